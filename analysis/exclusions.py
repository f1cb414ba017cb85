"""Whose judgments are left out of an analysis, by rules fixed before the data.

No rule looks at which generator won, but for the paper's own, which is why that one is learnt on
the other rows only; with the same rows (`paper-as-published`) it is circular and says so. Payment
never depends on these rules. A rule is written `name` or `name:threshold`.
"""

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.declared import declared_of
from analysis.errors import JudgmentsError, UsageError
from analysis.preference import add_preferences
from evaluation.exclusion_rules import LEAST_REAL_TRIALS, LEAST_REPEATS, THRESHOLDS, chance_of_sides
from evaluation.quantities import quantity

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Rule:
    """An exclusion rule with its threshold."""

    name: str
    threshold: float

    @property
    def text(self) -> str:
        """As it is written on the command line."""
        return f"{self.name}:{self.threshold:g}"


@dataclass(frozen=True)
class Dropped:
    """What one rule alone leaves out.

    Args:
        rule: the rule, as text.
        says: what it does, in words.
        workers: workers who lose judgments.
        judgments: test judgments left out.
        note: a warning, such as that the rule is circular, or how many could not be judged.
        judged: workers who have given what the rule judges them by.
    """

    rule: str
    says: str
    workers: int
    judgments: int
    note: str = ""
    judged: int = 0


@dataclass(frozen=True)
class LeftOut:
    """What all rules together leave out: less than their sum, as a worker may break several.

    Args:
        judgments: test judgments left out.
        of_judgments: test judgments before.
        workers: workers who lose judgments.
        of_workers: workers who gave test judgments.
    """

    judgments: int
    of_judgments: int
    workers: int
    of_workers: int

    @property
    def text(self) -> str:
        """In words."""
        return (
            f"{self.judgments:,} of {quantity(self.of_judgments, 'judgment')}, "
            f"of {self.workers:,} of {quantity(self.of_workers, 'worker')}"
        )


def left_out(before: pd.DataFrame, after: pd.DataFrame) -> LeftOut:
    """Count what is missing in a part of the test judgments, by their index."""
    gone = before.loc[before.index.difference(after.index), "worker"]
    workers = before["worker"].nunique()
    return LeftOut(len(gone), len(before), int(gone.nunique()), int(workers))


def parse_rule(text: str) -> Rule:
    """Read `name` or `name:threshold`.

    Raises:
        UsageError: there is no such rule, or the threshold is not a number in (0, 1].
    """
    name, _, threshold = text.strip().partition(":")
    if name not in RULES:
        raise UsageError(f"no exclusion rule {name!r}; there is {', '.join(RULES)}, none")
    if not threshold:
        return Rule(name, THRESHOLDS[name])
    try:
        value = float(threshold)
    except ValueError:
        value = -1.0
    if not 0 < value <= 1:
        raise UsageError(f"rule {text!r}: the threshold must be a number above 0, up to 1")
    return Rule(name, value)


def parse_rules(texts: Sequence[str]) -> tuple[Rule, ...]:
    """Read several rules; `none` stands alone and means no rule; `duplicates` is for loading."""
    names = [text for text in texts if text != "duplicates"]
    if "none" in names:
        if len(names) > 1:
            raise UsageError("rule none cannot be combined with others")
        return ()
    return tuple(dict.fromkeys(parse_rule(name) for name in names))


def rules_for(judgments: pd.DataFrame, asked: Sequence[str]) -> tuple[Rule, ...]:
    """Return the exclusion rules: those asked for, else those the study file declares."""
    others = [name for name in asked if name != "duplicates"]
    return parse_rules(others or declared_of(judgments).exclude)


def exclude(judgments: pd.DataFrame, rules: Sequence[Rule]) -> tuple[pd.DataFrame, list[Dropped]]:
    """Leave out judgments by rules; each rule looks at the whole data, whatever the others drop.

    Args:
        judgments: of all kinds of trial, from `load_judgments`. Rules see those that count; the
            others enter no table and stay.
        rules: from `parse_rules`.

    Returns:
        The judgments kept, and for each rule what it alone drops.

    Raises:
        JudgmentsError: a rule needs a column or a kind of trial that is not there.
    """
    out = np.zeros(len(judgments), dtype=bool)
    report = []
    counts = judgments["counted"].to_numpy()
    counted = judgments if counts.all() else judgments[counts]  # a copy of a million takes long
    test = (counted["trial_kind"] == "test").to_numpy()
    workers = counted["worker"].to_numpy(dtype=object)
    everybody = set(workers)
    for rule in rules:
        kind = RULES[rule.name]
        found = kind.find(counted, rule.threshold)
        out[counts] |= found.drop
        gone = found.drop & test
        judged = len(everybody if found.judged is None else found.judged)
        notes = [kind.note] if kind.note else []
        if judged < len(everybody):
            kept = len(everybody) - judged
            notes.append(
                f"{quantity(kept, 'worker')} saw too few {kind.by} to be judged, "
                f"and {'is' if kept == 1 else 'are'} kept"
            )
        report.append(
            Dropped(
                rule.text,
                kind.says.format(threshold=rule.threshold, percent=100 * rule.threshold),
                len(set(workers[gone])),
                int(gone.sum()),
                "; ".join(notes),
                judged,
            )
        )
    return judgments[~out], report


def _of_workers(judgments: pd.DataFrame, bad: "pd.Index[str]") -> Mask:
    return judgments["worker"].isin(bad).to_numpy()


def _need(judgments: pd.DataFrame, rule: str, column: str) -> None:
    if (judgments[column].isna() | (judgments[column] == "")).all():
        raise JudgmentsError(f"rule {rule} needs the column `{column}`, which is empty")


@dataclass(frozen=True)
class _Found:
    """What a rule drops, and whom it could judge; None: everybody."""

    drop: Mask
    judged: Set[str] | None = None


def _by_gold(judgments: pd.DataFrame, threshold: float) -> _Found:
    gold = judgments[judgments["trial_kind"] == "gold"]
    if gold.empty:
        raise JudgmentsError("rule gold: there are no gold trials among the judgments")
    _need(gold, "gold", "correct_choice")
    gold = gold[gold["correct_choice"] != ""]  # others have no right answer to miss
    right = (gold["choice"] == gold["correct_choice"]).groupby(gold["worker"]).mean()
    bad = right.index[right < threshold - 1e-9]
    return _Found(_of_workers(judgments, bad), set(right.index))


def _by_side(judgments: pd.DataFrame, threshold: float) -> _Found:
    shown = judgments[judgments["trial_kind"].isin(("test", "repeat", "identical"))]
    shown = shown[shown["choice"] != "tie"].sort_values(
        ["worker", "answered_at", "position"], kind="stable"
    )
    bad = []
    for worker, group in shown.groupby("worker", sort=False):
        left = (group["choice"] == "left").to_numpy()
        n = len(left)
        changes = np.flatnonzero(np.diff(left.astype(np.int8)))
        run = int(np.diff(np.concatenate(([-1], changes, [n - 1]))).max())
        if chance_of_sides(int(left.sum()), n, run) < threshold:
            bad.append(worker)
    return _Found(_of_workers(judgments, pd.Index(bad)))


def _by_speed(judgments: pd.DataFrame, threshold: float) -> _Found:
    _need(judgments, "too-fast", "loops")
    loops = judgments["loops"].dropna()
    share = (loops < 1).groupby(judgments["worker"]).mean()
    bad = share.index[share > threshold]
    return _Found(_of_workers(judgments, bad) | (judgments["loops"] < 1).to_numpy())


def _by_repeats(judgments: pd.DataFrame, threshold: float) -> _Found:
    agree = repeat_agreement(judgments)
    if agree.empty:
        raise JudgmentsError("rule repeats: there are no repeated trials among the judgments")
    per_worker = agree.groupby("worker")["same"].agg(["mean", "size"])
    judged = per_worker[per_worker["size"] >= LEAST_REPEATS]
    bad = judged.index[judged["mean"] < threshold]
    return _Found(_of_workers(judgments, bad), set(judged.index))


def repeat_agreement(judgments: pd.DataFrame) -> pd.DataFrame:
    """Return one row per repeated trial: `worker`, and `same`, whether the answer came back."""
    second = judgments[(judgments["trial_kind"] == "repeat") & (judgments["repeat_of"] != "")]
    first = judgments[["worker", "trial", "label"]]
    both = second.merge(
        first, left_on=["worker", "repeat_of"], right_on=["worker", "trial"], suffixes=("", "_1")
    )
    return pd.DataFrame({"worker": both["worker"], "same": both["label"] == both["label_1"]})


def _real_trials(judgments: pd.DataFrame, rule: str) -> pd.DataFrame:
    """Test judgments against real clips: was the real one judged less realistic?"""
    test = judgments[judgments["trial_kind"] == "test"]
    real = test[(test["left_source"] == "real") != (test["right_source"] == "real")]
    if real.empty:
        raise JudgmentsError(f"rule {rule}: no trial compares with the source `real`")
    out = add_preferences(real)
    # 1 where the generated clip won, whichever side of the row `real` is on.
    out["missed"] = out["y"].where(out["b"] == "real", 1 - out["y"])
    return out


def _by_real_as_published(judgments: pd.DataFrame, threshold: float) -> _Found:
    real = _real_trials(judgments, "paper-as-published")
    missed = real.groupby("worker")["missed"].agg(["mean", "size"])
    judged = missed[missed["size"] >= LEAST_REAL_TRIALS]
    bad = judged.index[judged["mean"] > threshold]
    return _Found(_of_workers(judgments, bad), set(judged.index))


def _by_real(judgments: pd.DataFrame, threshold: float) -> _Found:
    """The paper's rule, each row judged by a worker's trials of the other rows only."""
    real = _real_trials(judgments, "paper")
    missed = real.pivot_table("missed", "worker", "pair_type", aggfunc="sum", fill_value=0.0)
    seen = real.pivot_table("missed", "worker", "pair_type", aggfunc="count", fill_value=0)
    drop = np.zeros(len(judgments), dtype=bool)
    judged: set[str] = set()
    for pair_type in judgments["pair_type"].unique():
        others = np.asarray(missed.columns != pair_type)
        n = seen.to_numpy()[:, others].sum(axis=1)
        rate = missed.to_numpy()[:, others].sum(axis=1) / np.maximum(n, 1)
        enough = n >= LEAST_REAL_TRIALS
        here = (judgments["pair_type"] == pair_type).to_numpy()
        drop |= here & _of_workers(judgments, missed.index[enough & (rate > threshold)])
        judged |= set(missed.index[enough]) & set(judgments.loc[here, "worker"])
    return _Found(drop, judged)


@dataclass(frozen=True)
class _Kind:
    """How a rule finds what to drop, and what it says of itself.

    Args:
        find: given the counted judgments and a threshold, returns what was found.
        says: what it does, in words.
        by: the trials that it judges a worker by, where some may have seen too few.
        note: a warning that always goes with it.
    """

    find: Callable[[pd.DataFrame, float], _Found]
    says: str
    by: str = ""
    note: str = ""


RULES = {
    "gold": _Kind(
        _by_gold, "workers right on fewer than {percent:g}% of their gold trials", "gold trials"
    ),
    "side-bias": _Kind(
        _by_side,
        "workers whose sides, or longest run of one side, have p < {threshold:g} by chance",
    ),
    "too-fast": _Kind(
        _by_speed,
        "answers given before the clips had run once, and workers with more than {percent:g}% of "
        "them",
    ),
    "repeats": _Kind(
        _by_repeats,
        "workers who give the same answer on fewer than {percent:g}% of repeated pairs",
        "repeats",
    ),
    "paper": _Kind(
        _by_real,
        "workers who judged the real clip less realistic in more than {percent:g}% of trials; "
        "learnt on the other rows",
        "trials against real clips on other rows",
    ),
    "paper-as-published": _Kind(
        _by_real_as_published,
        "workers who judged the real clip less realistic in more than {percent:g}% of trials",
        "trials against real clips",
        "circular: the rule looks at the same judgments that it cleans",
    ),
}
