"""Plan batches: which there are, in the order they were made, and by which rule each was."""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from evaluation.schema import PlanBatch, Study

POOL_RULE = "pool"  # the first: templates that sessions draw from
PLAN_RULE = "study file"
SESSION_RULE = "session"
TOP_UP_RULE = "top-up"


def next_number(session: Session, study: Study) -> int:
    """Return the number of the batch that a study would get next, from 0; only reads."""
    last = session.scalar(select(func.max(PlanBatch.number)).where(PlanBatch.study_id == study.id))
    return 0 if last is None else last + 1


def add_batch(session: Session, study: Study, rule: str, reason: str, now: datetime) -> PlanBatch:
    """Add the next batch, without its trials, in an open write unit."""
    batch = PlanBatch(
        study_id=study.id,
        number=next_number(session, study),
        seed=study.seed,
        rule=rule,
        reason=reason,
        created_at=now,
    )
    session.add(batch)
    session.flush()
    return batch
