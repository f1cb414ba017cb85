"""What an examination finds: a name, how bad it is, what was seen, and what to mend."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How a check ended; only `fail` makes the examination fail."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


@dataclass(frozen=True)
class Finding:
    """One line of the examination.

    Args:
        name: of the check, such as `media gzip`; stable, so that scripts can look for it.
        status: how it ended.
        found: what was seen, in a few words.
        mend: what to do about it; empty when all is well.
    """

    name: str
    status: Status
    found: str
    mend: str = ""


def ok(name: str, found: str) -> Finding:
    """Return a finding that is as it should be."""
    return Finding(name, Status.OK, found)


def warn(name: str, found: str, mend: str) -> Finding:
    """Return a finding that a study survives, but should not have to."""
    return Finding(name, Status.WARN, found, mend)


def fail(name: str, found: str, mend: str) -> Finding:
    """Return a finding that has to be mended before people come."""
    return Finding(name, Status.FAIL, found, mend)


def skip(name: str, found: str, mend: str = "") -> Finding:
    """Return a check that was not made, and why."""
    return Finding(name, Status.SKIP, found, mend)


def count_failed(findings: Sequence[Finding]) -> int:
    """Count what has to be mended."""
    return sum(finding.status is Status.FAIL for finding in findings)
