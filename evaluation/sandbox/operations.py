"""All operations of the API: importing this module fills the registry."""

from evaluation.sandbox import (  # noqa: F401 (imported for their registrations)
    accounts,
    assignments,
    blocks,
    bonuses,
    hit_types,
    hits,
    messages,
    notifications,
    qualification_types,
    qualifications,
    refused,
)
from evaluation.sandbox.registry import OPERATIONS, Operation
from evaluation.sandbox.wire import operation_names


def all_operations() -> list[Operation]:
    """Every operation of botocore's model, sorted by name.

    Raises:
        KeyError: botocore knows one that has no handler here.
    """
    return [OPERATIONS[name] for name in operation_names()]


def compatibility_table() -> str:
    """Return the Markdown table of `docs/mturk-compatibility.md`."""
    lines = ["| Operation | Here | What differs |", "| --- | --- | --- |"]
    lines += [f"| `{op.name}` | {op.support} | {op.note} |" for op in all_operations()]
    return "\n".join(lines)
