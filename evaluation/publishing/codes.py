"""Completion codes, for approving people on the site that sent them."""

import csv
from collections import Counter
from pathlib import Path

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from evaluation.clock import seconds_between
from evaluation.database import Database, find_study
from evaluation.errors import UsageError
from evaluation.files import make_private, written_whole
from evaluation.links import CROWD
from evaluation.publishing.environments import crowds_of
from evaluation.schema import Assignment, AssignmentStatus, Environment, Study, Worker

COLUMNS = ("participant", "code", "status", "accepted_at", "submitted_at", "seconds", "crowd")
_ROOM = "local"  # whom no platform sends; there is no trying out of it


def code_rows(
    session: Session, study: Study, environment: Environment
) -> list[dict[str, str | float]]:
    """Return the sessions that came by the study's link or its room's, in order; only reads.

    A code belongs to one session of one participant: a code that a site shows for somebody else
    was copied. Sessions that are not finished have none.
    """
    query = (
        select(Assignment, Worker.external_id)
        .join(Worker)
        .where(
            Assignment.study_id == study.id,
            or_(
                and_(Assignment.crowd == CROWD, Assignment.environment == environment),
                Assignment.crowd == _ROOM,
            ),
            # A withdrawn session has a code only while it is to be paid.
            or_(
                Assignment.status != AssignmentStatus.WITHDRAWN,
                Assignment.completion_code != "",
            ),
        )
        .order_by(Assignment.id)
    )
    rows: list[dict[str, str | float]] = []
    for one, participant in session.execute(query):
        # Of a withdrawn session no times are kept.
        is_withdrawn = one.status is AssignmentStatus.WITHDRAWN
        begin, end = (None, None) if is_withdrawn else (one.accepted_at, one.submitted_at)
        took = seconds_between(begin, end)
        rows.append(
            {
                "participant": participant,
                "code": one.completion_code,
                "status": one.status.value,
                "accepted_at": begin.isoformat(timespec="seconds") if begin else "",
                "submitted_at": end.isoformat(timespec="seconds") if end else "",
                "seconds": "" if took is None else round(took, 1),
                "crowd": one.crowd,
            }
        )
    return rows


def write_codes(
    db: Database, study_name: str | None, environment: Environment, out: Path
) -> dict[str, int]:
    """Write the codes as CSV, over an older file; return how many sessions have which status.

    Raises:
        UsageError: everybody came by a platform, where nobody is approved by a code of ours.
        EvaluationError: the file cannot be written.
    """
    with db.read() as session:
        study = find_study(session, study_name)
        rows, crowds = code_rows(session, study, environment), crowds_of(session, study)
    if not rows and crowds and CROWD not in crowds:
        names = " and ".join(sorted(crowds))
        raise UsageError(
            f"study `{study.name}` is published on {names}, where workers hand in without a code "
            "to be checked; `vgan-eval review` approves them"
        )
    with written_whole(out) as part:
        make_private(part)
        with part.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    return Counter(str(row["status"]) for row in rows)
