"""Whether a design gives the exclusion rules of [analysis] what they judge workers by."""

from itertools import count
from typing import NamedTuple

from evaluation.errors import UsageError
from evaluation.exclusion_rules import (
    LEAST_REAL_TRIALS,
    LEAST_REPEATS,
    THRESHOLDS,
    chance_of_sides,
)
from evaluation.study import Study

# Answers that are all of one side: no fewer are too unlikely for chance.
LEAST_SIDES = next(n for n in count(1) if chance_of_sides(n, n, n) < THRESHOLDS["side-bias"])


class _Need(NamedTuple):
    """From how many of which trials on a rule judges a worker, and what the design gives.

    Args:
        least: trials.
        of: what they are.
        most: that one worker can have, over all their sessions.
        usual: that they will have on average.
        remedy: what to write to have more.
    """

    least: int
    of: str
    most: int
    usual: float
    remedy: str


def check_exclusions(study: Study) -> tuple[str, ...]:
    """Refuse exclusion rules by which nobody can be judged; return a warning of each weak one.

    Raises:
        UsageError: the message names the rule and what to write.
    """
    warnings = []
    needs = _needs(study)
    for rule in study.analysis.exclude:
        where = f"[analysis] exclude: {rule}"
        if rule == "too-fast":
            warnings.append(
                f"{where} leaves out nobody who rates on the pages of this version, where answers "
                "are locked until both clips have run once"
            )
            continue
        need = needs[rule]
        if need.most < need.least:
            raise UsageError(
                f"{where} judges a worker from {need.least} {need.of} on, and the design gives one "
                f"at most {need.most}, so nobody can be judged; {need.remedy}, or leave it out"
            )
        if need.usual < need.least:
            warnings.append(
                f"{where} judges a worker from {need.least} {need.of} on, and one has about "
                f"{need.usual:.0f}: many cannot be judged, and are kept; {need.remedy}"
            )
        if rule == "gold" and (need.most - 1) / need.most < THRESHOLDS[rule] - 1e-9:
            warnings.append(
                f"{where} leaves a worker out for a single slip: {THRESHOLDS[rule]:.0%} must be "
                f"right, of {need.most} {need.of} in all their sessions; {need.remedy}"
            )
    return tuple(warnings)


def _needs(study: Study) -> dict[str, _Need]:
    """What each rule needs of one worker, by its name."""
    session, rows = study.session, study.design.comparisons
    test, gold, repeats, identical = (
        n * study.workers.sessions_per_worker
        for n in (session.trials, session.gold, session.repeats, session.identical)
    )
    real = sum("real" in row.sources for row in rows)
    others = real - (real == len(rows))  # each row is cleaned by what is learnt on the others
    sides, compare = test + repeats + identical, "compare more with the source `real`"
    of = "trials against the source `real`"
    return {
        "gold": _Need(1, "gold trials", gold, gold, "raise [session] gold"),
        "side-bias": _Need(LEAST_SIDES, "answers", sides, sides, "raise [session] trials"),
        "repeats": _Need(LEAST_REPEATS, "repeats", repeats, repeats, "raise [session] repeats"),
        "paper": _Need(
            LEAST_REAL_TRIALS, f"{of} on other rows", test if others else 0,
            test * others / len(rows), f"{compare} or raise [session] trials",
        ),
        "paper-as-published": _Need(
            LEAST_REAL_TRIALS, of, test if real else 0,
            test * real / len(rows), f"{compare} or raise [session] trials",
        ),
    }  # fmt: skip
