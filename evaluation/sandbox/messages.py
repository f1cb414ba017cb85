"""Messages to workers. Amazon sent e-mails; here they stand on the worker's page."""

from typing import Any

from sqlalchemy import select

from evaluation.sandbox.errors import invalid
from evaluation.sandbox.hit_types import require_length
from evaluation.sandbox.registry import Call, operation
from evaluation.sandbox.store import Assignment, AssignmentStatus, Hit, Message, Worker
from evaluation.sandbox.workers import find_worker

MAX_WORKERS = 100


def tell(call: Call, worker: Worker, subject: str, text: str) -> None:
    """Put a message on a worker's page."""
    call.unit.session.add(
        Message(
            account_id=call.account.id,
            worker_id=worker.id,
            subject=subject,
            text=text,
            sent_at=call.unit.now,
        )
    )


@operation("NotifyWorkers", note="Messages stand on the worker's page; no e-mail is sent.")
def notify_workers(call: Call) -> dict[str, Any]:
    """Write to up to 100 workers whose work the requester has judged; name the others."""
    ids = call.params["WorkerIds"]
    if not 1 <= len(ids) <= MAX_WORKERS:
        raise invalid("WorkerIds", f"1 to {MAX_WORKERS} workers, not {len(ids)}")
    subject = require_length("Subject", call.params["Subject"], 1, 200)
    text = require_length("MessageText", call.params["MessageText"], 1, 4096)
    failures = []
    for worker_id in dict.fromkeys(ids):
        worker = find_worker(call.unit, worker_id)
        if worker is None:
            failures.append(_failure(worker_id, "No such worker."))
        elif not _has_judged(call, worker):
            failures.append(_failure(worker_id, "You have not approved or rejected their work."))
        else:
            tell(call, worker, subject, text)
    return {"NotifyWorkersFailureStatuses": failures}


def _failure(worker_id: str, why: str) -> dict[str, str]:
    """Why one worker was not told."""
    return {
        "NotifyWorkersFailureCode": "HardFailure",
        "NotifyWorkersFailureMessage": why,
        "WorkerId": worker_id,
    }


def _has_judged(call: Call, worker: Worker) -> bool:
    """Whether the requester has approved or rejected work of this worker."""
    query = (
        select(Assignment.id)
        .join(Hit)
        .where(
            Hit.account_id == call.account.id,
            Assignment.worker_id == worker.id,
            Assignment.status.in_([AssignmentStatus.APPROVED, AssignmentStatus.REJECTED]),
        )
        .limit(1)
    )
    return call.unit.session.scalar(query) is not None
