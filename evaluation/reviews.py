"""Review: collect what workers submitted, decide by a policy, tell the platform, keep the books.

Each call to a platform is written down, made, and ticked off. A process killed before or after
any single call leaves a row in state `intended`; the next run looks at what the platform shows and
only then makes the call. So nothing is approved or rejected twice, and nothing is forgotten. The
policy decides about pay only: what enters a table is decided by the analysis, later and apart.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from evaluation import frozen, schema
from evaluation.clock import Clock, utc_now
from evaluation.crowd.base import Crowd, PlatformAssignment
from evaluation.database import Database, find_study
from evaluation.money.decisions import (
    STATUS,
    Due,
    count_answers,
    intend_review,
    latest_review,
    note_reversal,
    note_unknown,
    tick_off,
)
from evaluation.money.policy import BY_OTHERS, JUDGED, Policy, decide
from evaluation.money.screen_outs import NONE_PAID, ScreenOuts, book_screen_outs
from evaluation.privacy.erasing import ALL_LISTED, is_gone, last_hand_in, settled_digests
from evaluation.publishing.growing import close_returned
from evaluation.publishing.offers import once_group
from evaluation.publishing.places import match_offers
from evaluation.schema import (
    Assignment,
    AssignmentStatus,
    CallState,
    Hit,
    Review,
    ReviewDecision,
    Worker,
)
from evaluation.secret import settled_digest
from evaluation.sessions.arrivals import (
    our_assignment,
    platform_ids,
    published_hits,
    sessions_started,
)
from evaluation.sessions.closing import answered_trials
from evaluation.sessions.leases import lock_study


class LeftOpen(NamedTuple):
    """A session that a review leaves for a person to look at.

    Args:
        worker: the platform's id.
        assignment: the platform's id.
        answered: its trials that have an answer to every question.
        trials: of all kinds; 0 where there is no session here.
    """

    worker: str
    assignment: str
    answered: int
    trials: int


@dataclass(frozen=True)
class ReviewPlan:
    """What a review is about to do, or did.

    Args:
        approve: assignments to approve.
        reject: assignments to reject.
        noted: assignments decided on the platform (by a person, or by auto-approval) that are
            written into our books.
        already: assignments that were settled before.
        undecided: submitted assignments without a finished session here; they are left for a
            person to look at (the platform approves them by itself in the end).
        unlisted: sessions finished here that the platform does not list: handed in a moment later,
            never handed in, or made up by somebody who knows the page's address. Who is forgotten
            is none of them: nobody can be paid for those.
        reward_cents: of those to approve; their money is on hold since publishing.
        currency: ISO 4217, of the last HIT; empty where there is none.
        hits: how many are published there.
        ended: how many the platform has paused or stopped, and offered when last asked.
        screen_outs: paid by the platform to people who found nothing left, and booked now.
    """

    approve: int
    reject: int
    noted: int
    already: int
    undecided: tuple[LeftOpen, ...]
    unlisted: tuple[LeftOpen, ...]
    reward_cents: int
    currency: str
    hits: int
    ended: int = 0
    screen_outs: ScreenOuts = NONE_PAID

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.approve or self.reject or self.noted)


def review(
    db: Database,
    study_name: str | None,
    crowd: Crowd,
    policy: Policy | None = None,
    *,
    confirm: Callable[[ReviewPlan], bool] = lambda _: True,
    now: Clock = utc_now,
) -> ReviewPlan:
    """Collect what workers submitted, decide by the policy, and tell the platform.

    Workers who have had all sessions that the study allows are put into the group that cannot
    take its next HITs.

    Args:
        db: the study database.
        study_name: slug; None where there is one study.
        crowd: the platform.
        policy: who is paid; the default pays all who finished.
        confirm: asked before anything is written or called; False stops.
        now: the clock.

    Raises:
        CrowdError, CrowdUnreachable: the platform refused or did not answer; run it again.
    """
    policy = policy or Policy()
    if policy.reject_unfinished:
        crowd.check_rejection(policy.reason)
    with db.read() as session:
        study = find_study(session, study_name)
        hits = published_hits(session, study, crowd.name, crowd.environment)
    asked = now()
    collected = [
        (hit.id, theirs) for hit in hits for theirs in crowd.assignments(str(hit.external_id))
    ]
    with db.read() as session:
        plan, due = _planned(session, study, crowd, hits, collected, policy)
    if not confirm(plan):
        return plan
    if close_returned(db, study_name, crowd):
        with db.read() as session:
            unlisted = _unlisted(session, study, crowd, [theirs for _, theirs in collected])
        plan = replace(plan, unlisted=unlisted)
    for one in due:
        _settle(db, study.id, crowd, one, now)
    for _, theirs in collected:
        _bar(db, study.id, crowd, theirs)
    if not crowd.terms.pays_late:
        _note_all_listed(db, hits, asked)
    plan = replace(plan, screen_outs=book_screen_outs(db, study_name, crowd, now))
    return replace(plan, ended=match_offers(db, study_name, crowd, now))


def _note_all_listed(db: Database, hits: Sequence[Hit], asked: datetime) -> None:
    """Note of which HITs everything that can ever be handed in was listed, and is settled now."""
    over = [hit.id for hit in hits if (last := last_hand_in(hit)) is not None and asked >= last]
    if not over:
        return
    with db.write() as session:
        for hit in session.scalars(select(Hit).where(Hit.id.in_(over))):
            hit.details = {**hit.details, ALL_LISTED: asked.isoformat()}


def _planned(
    session: Session,
    study: schema.Study,
    crowd: Crowd,
    hits: Sequence[Hit],
    collected: list[tuple[int, PlatformAssignment]],
    policy: Policy,
) -> tuple[ReviewPlan, list[Due]]:
    """Decide about every collected assignment; only reads."""
    due, already, reward = [], 0, 0
    undecided: list[tuple[str, str, int | None]] = []
    without_ids = settled_digests(session, study)
    for hit_id, theirs in collected:
        ours = our_assignment(session, study.id, crowd, theirs)
        digest = settled_digest(study.secret, theirs.external_id, theirs.worker)
        # A link's session may be called like one that is gone: earlier versions did not look.
        if ours is None and digest in without_ids:
            if _is_reversed(without_ids[digest], theirs):
                due.append(Due(theirs, hit_id, ReviewDecision.APPROVE, BY_OTHERS, digest))
            else:
                already += 1
            continue
        latest = latest_review(session, ours) if ours else None
        if latest and latest.state is CallState.DONE and STATUS[latest.decision] is theirs.status:
            already += 1
            continue
        decided = decide(theirs, ours, latest, policy)
        if decided is None:
            undecided.append((theirs.worker, theirs.external_id, ours.id if ours else None))
            continue
        due.append(Due(theirs, hit_id, *decided))
        if theirs.status not in JUDGED and decided[0] is ReviewDecision.APPROVE:
            reward += session.get_one(Hit, hit_id).reward_cents
    calls = [one.decision for one in due if one.theirs.status not in JUDGED]
    approve = calls.count(ReviewDecision.APPROVE)
    plan = ReviewPlan(
        approve=approve,
        reject=len(calls) - approve,
        noted=len(due) - len(calls),
        already=already,
        undecided=_left_open(session, undecided),
        unlisted=_unlisted(session, study, crowd, [theirs for _, theirs in collected]),
        reward_cents=reward,
        currency=hits[-1].currency if hits else "",
        hits=len(hits),
    )
    return plan, due


def _is_reversed(decision: ReviewDecision | None, theirs: PlatformAssignment) -> bool:
    """Whether a rejection became an approval on the platform, of a session whose ids are gone."""
    return decision is ReviewDecision.REJECT and theirs.status is AssignmentStatus.APPROVED


def _unlisted(
    session: Session, study: schema.Study, crowd: Crowd, collected: list[PlatformAssignment]
) -> tuple[LeftOpen, ...]:
    """Return the sessions finished here that are not among what the platform lists."""
    is_finished = Assignment.status == AssignmentStatus.SUBMITTED
    listed = {(theirs.external_id, theirs.worker) for theirs in collected}
    missing = [
        (worker, theirs, ours)
        for (theirs, worker), ours in platform_ids(session, study, crowd, is_finished).items()
        if (theirs, worker) not in listed and not is_gone(worker)
    ]
    return _left_open(session, missing)


def _left_open(
    session: Session, rows: Sequence[tuple[str, str, int | None]]
) -> tuple[LeftOpen, ...]:
    """Add how much was answered to the platform's ids of worker and assignment and our id."""
    given = answered_trials(session, [ours for _, _, ours in rows if ours is not None])
    return tuple(
        LeftOpen(worker, theirs, *given.get(ours or 0, (0, 0))) for worker, theirs, ours in rows
    )


def _settle(db: Database, study_id: int, crowd: Crowd, due: Due, now: Clock) -> None:
    """Write one decision down, tell the platform, tick it off."""
    theirs = due.theirs
    with db.write() as session:
        study = session.get_one(schema.Study, study_id)
        lock_study(session, study)  # two runs at once write every decision down once
        if due.digest:
            note_reversal(session, study, due, now())
            return
        ours = our_assignment(session, study_id, crowd, theirs)
        ours = ours or note_unknown(session, study, due, now())
        review_id = intend_review(session, study, ours, due, now()).id
        answers = count_answers(session, ours)
    if theirs.status not in JUDGED:
        if due.decision is ReviewDecision.APPROVE:
            crowd.approve(theirs.external_id, due.text)
        else:
            crowd.reject(theirs.external_id, due.text, answers)
    with db.write() as session:
        tick_off(session, session.get_one(Review, review_id), now())


def _bar(db: Database, study_id: int, crowd: Crowd, theirs: PlatformAssignment) -> None:
    """Bar a worker who has had all their sessions from the study's next HITs, once."""
    with db.read() as session:
        study = session.get_one(schema.Study, study_id)
        ours = our_assignment(session, study_id, crowd, theirs)
        if ours is None:
            return
        had = sessions_started(session, study, ours.worker_id)
        group = once_group(study)
        barred = list(ours.worker.details.get("barred", []))
        allowed = frozen.workers(study).sessions_per_worker
    if group in barred or had < allowed:
        return
    crowd.bar(group, theirs.worker)
    with db.write() as session:
        worker = session.get_one(Worker, ours.worker_id)
        worker.details = {**worker.details, "barred": [*barred, group]}
