"""Whose judgments are left out of an analysis, by rules fixed before the data.

No rule looks at which generator won, but for the paper's own, which is why that one is learnt on
the other rows only; with the same rows (`paper-as-published`) it is circular and says so. Payment
never depends on these rules. A rule is written `name` or `name:threshold`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from analysis.declared import declared_of
from analysis.errors import JudgmentsError, UsageError
from analysis.preference import add_preferences

Mask = NDArray[np.bool_]

LEAST_REAL_TRIALS = 10  # the paper's rule judges a worker on at least this many
LEAST_REPEATS = 4  # fewer repeats tell a careful worker from a coin by luck


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
    """

    rule: str
    says: str
    workers: int
    judgments: int
    note: str = ""


def parse_rule(text: str) -> Rule:
    """Read `name` or `name:threshold`.

    Raises:
        UsageError: there is no such rule, or the threshold is not a number in (0, 1].
    """
    name, _, threshold = text.strip().partition(":")
    if name not in RULES:
        raise UsageError(f"no exclusion rule {name!r}; there is {', '.join(RULES)}, none")
    if not threshold:
        return Rule(name, RULES[name].threshold)
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
    for rule in rules:
        kind = RULES[rule.name]
        drop, note = kind.find(counted, rule.threshold)
        out[counts] |= drop
        gone = drop & test
        says = kind.says.format(rule.threshold)
        report.append(
            Dropped(rule.text, says, len(set(workers[gone])), int(gone.sum()), note or kind.note)
        )
    return judgments[~out], report


def _of_workers(judgments: pd.DataFrame, bad: "pd.Index[str]") -> Mask:
    return judgments["worker"].isin(bad).to_numpy()


def _need(judgments: pd.DataFrame, rule: str, column: str) -> None:
    if (judgments[column].isna() | (judgments[column] == "")).all():
        raise JudgmentsError(f"rule {rule} needs the column `{column}`, which is empty")


def _by_gold(judgments: pd.DataFrame, threshold: float) -> tuple[Mask, str]:
    gold = judgments[judgments["trial_kind"] == "gold"]
    if gold.empty:
        raise JudgmentsError("rule gold: there are no gold trials among the judgments")
    _need(gold, "gold", "correct_choice")
    gold = gold[gold["correct_choice"] != ""]  # others have no right answer to miss
    right = (gold["choice"] == gold["correct_choice"]).groupby(gold["worker"]).mean()
    bad = right.index[right < threshold - 1e-9]
    return _of_workers(judgments, bad), _unjudged(judgments, right.index, "gold trial")


def _unjudged(judgments: pd.DataFrame, judged: "pd.Index[str]", what: str) -> str:
    count = len(set(judgments["worker"]) - set(judged))
    return f"{count} workers saw too few ({what}s) to be judged, and are kept" if count else ""


def longest_run_probability(run: int, n: int) -> float:
    """Return the chance that n fair coin flips have a run of equal sides at least `run` long."""
    if run <= 1 or n < run:
        return 1.0 if 0 < run <= n else 0.0
    # ways[k]: chance that no run has reached `run` yet and the present one is k long.
    ways = np.zeros(run)
    ways[1] = 1.0
    for _ in range(n - 1):
        shorter = ways.sum() / 2
        ways[2:] = ways[1:-1] / 2
        ways[1] = shorter
    return float(1 - ways.sum())


def _by_side(judgments: pd.DataFrame, threshold: float) -> tuple[Mask, str]:
    shown = judgments[judgments["trial_kind"].isin(("test", "repeat", "identical"))]
    shown = shown[shown["choice"] != "tie"].sort_values(
        ["worker", "answered_at", "position"], kind="stable"
    )
    bad = []
    for worker, group in shown.groupby("worker", sort=False):
        left = (group["choice"] == "left").to_numpy()
        n = len(left)
        tails = float(stats.binomtest(int(left.sum()), n).pvalue)
        changes = np.flatnonzero(np.diff(left.astype(np.int8)))
        run = int(np.diff(np.concatenate(([-1], changes, [n - 1]))).max())
        if min(tails, longest_run_probability(run, n)) < threshold:
            bad.append(worker)
    return _of_workers(judgments, pd.Index(bad)), ""


def _by_speed(judgments: pd.DataFrame, threshold: float) -> tuple[Mask, str]:
    _need(judgments, "too-fast", "loops")
    loops = judgments["loops"].dropna()
    share = (loops < 1).groupby(judgments["worker"]).mean()
    bad = share.index[share > threshold]
    return _of_workers(judgments, bad) | (judgments["loops"] < 1).to_numpy(), ""


def _by_repeats(judgments: pd.DataFrame, threshold: float) -> tuple[Mask, str]:
    agree = repeat_agreement(judgments)
    if agree.empty:
        raise JudgmentsError("rule repeats: there are no repeated trials among the judgments")
    per_worker = agree.groupby("worker")["same"].agg(["mean", "size"])
    judged = per_worker[per_worker["size"] >= LEAST_REPEATS]
    bad = judged.index[judged["mean"] < threshold]
    return _of_workers(judgments, bad), _unjudged(judgments, judged.index, "repeat")


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


def _by_real_as_published(judgments: pd.DataFrame, threshold: float) -> tuple[Mask, str]:
    real = _real_trials(judgments, "paper-as-published")
    missed = real.groupby("worker")["missed"].agg(["mean", "size"])
    bad = missed.index[(missed["size"] >= LEAST_REAL_TRIALS) & (missed["mean"] > threshold)]
    return _of_workers(judgments, bad), ""


def _by_real(judgments: pd.DataFrame, threshold: float) -> tuple[Mask, str]:
    """The paper's rule, each row judged by a worker's trials of the other rows only."""
    real = _real_trials(judgments, "paper")
    missed = real.pivot_table("missed", "worker", "pair_type", aggfunc="sum", fill_value=0.0)
    seen = real.pivot_table("missed", "worker", "pair_type", aggfunc="count", fill_value=0)
    drop = np.zeros(len(judgments), dtype=bool)
    for pair_type in judgments["pair_type"].unique():
        others = np.asarray(missed.columns != pair_type)
        n = seen.to_numpy()[:, others].sum(axis=1)
        rate = missed.to_numpy()[:, others].sum(axis=1) / np.maximum(n, 1)
        bad = missed.index[(n >= LEAST_REAL_TRIALS) & (rate > threshold)]
        here = (judgments["pair_type"] == pair_type).to_numpy()
        drop |= here & _of_workers(judgments, bad)
    return drop, ""


@dataclass(frozen=True)
class _Kind:
    """How a rule finds what to drop, its default threshold, and what it says of itself.

    Args:
        find: given the counted judgments and a threshold, returns which to drop, and a note.
        threshold: the default.
        says: what it does, in words.
        note: a warning that always goes with it.
    """

    find: Callable[[pd.DataFrame, float], tuple[Mask, str]]
    threshold: float
    says: str
    note: str = ""


RULES = {
    "gold": _Kind(_by_gold, 0.8, "workers right on fewer than {:.0%} of their gold trials"),
    "side-bias": _Kind(
        _by_side,
        0.001,
        "workers whose sides, or longest run of one side, have p < {:g} by chance",
    ),
    "too-fast": _Kind(
        _by_speed,
        0.1,
        "answers given before the clips had run once, and workers with more than {:.0%} of them",
    ),
    "repeats": _Kind(
        _by_repeats, 0.5, "workers who give the same answer on fewer than {:.0%} of repeated pairs"
    ),
    "paper": _Kind(
        _by_real,
        0.35,
        "workers who judged the real clip less realistic in more than {:.0%} of trials; learnt on "
        "the other rows",
    ),
    "paper-as-published": _Kind(
        _by_real_as_published,
        0.35,
        "workers who judged the real clip less realistic in more than {:.0%} of trials",
        "circular: the rule looks at the same judgments that it cleans",
    ),
}
