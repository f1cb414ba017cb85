"""How a study stands on Prolific: whether it takes people, and whether it may be started again.

Source:
    Prolific's help pages, "Pausing and stopping a study": a study whose places were all handed in
    is paused when one of them is rejected or returned; one that was stopped cannot be resumed.
"""

from typing import Any

from evaluation.crowd.base import CrowdError, CrowdGone
from evaluation.crowd.prolific_calls import Calls
from evaluation.crowd.prolific_terms import screen_out_slots

_PLACELESS = ("RETURNED", "TIMED-OUT", "REJECTED", "SCREENED OUT")


def look_up(calls: Calls, study: str) -> dict[str, Any]:
    """Return a study as Prolific shows it."""
    return calls.having("status", "GET", f"studies/{study}/")


def is_offered(calls: Calls, study: str) -> bool:
    """Whether a study runs or is full.

    Raises:
        CrowdGone: it was stopped, and nothing in it waits for review.
    """
    found = look_up(calls, study)
    if not _is_stopped(calls, study, found):
        return bool(found["status"] != "PAUSED")
    if found["status"] == "COMPLETED":
        raise _gone()
    return False


def startable(calls: Calls, study: str) -> dict[str, Any]:
    """Return a study, unless nobody can be let into it again.

    Raises:
        CrowdGone: it was stopped, and nothing in it waits for review.
        CrowdError: it was stopped and something waits, or it is paused, as its paid screen-outs are
            used up.
    """
    found = look_up(calls, study)
    if _is_stopped(calls, study, found):
        if found["status"] == "COMPLETED":
            raise _gone()
        raise CrowdError(
            "the study was stopped on Prolific, which is final there, and submissions in it wait: "
            "run `vgan-eval review`, decide on Prolific's site about what that leaves undecided, "
            "then `vgan-eval publish` makes a new study for what is lacking"
        )
    slots = screen_out_slots(found)
    if found["status"] != "PAUSED" or slots is None:
        return found
    if _counts(calls, study).get("SCREENED OUT", 0) >= slots:
        raise CrowdError(
            f"all {slots} paid screen-outs of the study are used, and Prolific starts it again "
            "only with more: add slots to its screen-out on Prolific's site, run "
            "`vgan-eval extend`, and go on"
        )
    return found


def _is_stopped(calls: Calls, study: str, found: dict[str, Any]) -> bool:
    """Whether a study is over with places free; a full one of which one is freed is paused."""
    if found["status"] not in ("AWAITING REVIEW", "COMPLETED"):
        return False
    counts = _counts(calls, study)
    taken = counts["TOTAL"] - sum(counts.get(state, 0) for state in _PLACELESS)
    return taken < int(found["total_available_places"])


def _counts(calls: Calls, study: str) -> dict[str, int]:
    counts = calls.having("TOTAL", "GET", f"studies/{study}/submissions/counts/")
    # Each "may be null", the API's reference says.
    return {state: int(count or 0) for state, count in counts.items()}


def _gone() -> CrowdGone:
    return CrowdGone(
        "the study was stopped on Prolific, which is final there; `vgan-eval publish` makes a new "
        "one for what is lacking"
    )
