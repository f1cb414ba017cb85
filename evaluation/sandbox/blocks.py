"""Blocks: workers a requester does not want. They see and take none of the requester's HITs."""

from typing import Any

from sqlalchemy import select

from evaluation.sandbox.hit_types import require_length
from evaluation.sandbox.paging import page
from evaluation.sandbox.registry import Call, operation
from evaluation.sandbox.store import Block, Worker
from evaluation.sandbox.workers import find_worker, get_worker


def _find(call: Call, worker: Worker) -> Block | None:
    """The requester's block of a worker."""
    return call.unit.session.scalar(
        select(Block).where(Block.account_id == call.account.id, Block.worker_id == worker.id)
    )


@operation("CreateWorkerBlock", note="Blocking again replaces the reason.")
def create_worker_block(call: Call) -> dict[str, Any]:
    """Block a worker."""
    worker = get_worker(call.unit, call.params["WorkerId"])
    block = _find(call, worker)
    if block is None:
        block = Block(account_id=call.account.id, worker=worker)
        call.unit.session.add(block)
    block.reason = require_length("Reason", call.params["Reason"], 1, 4096)
    return {}


@operation("DeleteWorkerBlock")
def delete_worker_block(call: Call) -> dict[str, Any]:
    """Lift a block; nothing happens when there is none."""
    worker = find_worker(call.unit, call.params["WorkerId"])
    block = _find(call, worker) if worker is not None else None
    if block is not None:
        call.unit.session.delete(block)
    return {}


@operation("ListWorkerBlocks")
def list_worker_blocks(call: Call) -> dict[str, Any]:
    """List blocked workers and why."""
    rows, counts = page(call, select(Block).where(Block.account_id == call.account.id), Block.id)
    blocks = [{"WorkerId": row.worker.external_id, "Reason": row.reason} for row in rows]
    return {**counts, "WorkerBlocks": blocks}
