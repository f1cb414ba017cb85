"""How well automatic scores agree with people, against how well people agree with each other.

A score predicts a choice when the preferred clip has the better score. Scores are given per clip
(columns `clip,score`) or per source (`source,score`); equal scores count one half.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from analysis.clusters import Codes, Floats, codes_of
from analysis.csv_text import read_csv_text
from analysis.errors import AnalysisError, JudgmentsError
from analysis.exclusions import exclude, rules_for
from analysis.intervals import LEAST_WORKERS, Estimate, estimate_of
from analysis.preference import table_preferences
from analysis.shared_clips import Clusters, spread_between_people, spread_over_rows
from analysis.text import BANNER, interval_text, percent_text, text_grid
from analysis.variance import Sample
from evaluation.quantities import quantity


@dataclass(frozen=True)
class Agreement:
    """Shares of choices predicted, in percent.

    Args:
        metric: of the scores, with a clustered interval.
        by_row: the same for each row.
        people: of one worker by another on the same pair, or None where no pair was judged by two.
        pairs: how many pairs were judged by two workers or more.
        alpha: Krippendorff's, of which clip of such a pair people chose, chance being that of the
            row; None as for `people`, or where everybody chose alike in every row.
    """

    metric: Estimate
    by_row: dict[str, Estimate]
    people: Estimate | None
    pairs: int
    alpha: float | None


def read_scores(path: Path) -> "tuple[str, pd.Series[float]]":
    """Read `clip,score` or `source,score`.

    Returns:
        `clip` or `source`, and the scores by it.

    Raises:
        JudgmentsError: the columns are others, a score is not a number, or a key comes twice.
    """
    frame = read_csv_text(path)
    key = next((k for k in ("clip", "source") if k in frame.columns), None)
    if key is None or "score" not in frame.columns:
        raise JudgmentsError(f"{path}: needs the columns clip,score or source,score")
    scores = pd.to_numeric(frame["score"], errors="coerce")
    bad = np.flatnonzero(~np.isfinite(scores.to_numpy()))
    if len(bad):
        raise JudgmentsError(f"{path}:{bad[0] + 2}: the score is not a finite number")
    twice = np.flatnonzero(frame[key].duplicated().to_numpy())
    if len(twice):
        raise JudgmentsError(f"{path}:{twice[0] + 2}: {key} {frame[key][twice[0]]!r} comes twice")
    return key, pd.Series(scores.to_numpy(dtype=float), index=frame[key])


def agreement(
    preferences: pd.DataFrame,
    key: str,
    scores: "pd.Series[float]",
    *,
    lower_is_better: bool = False,
) -> Agreement:
    """Compare scores with choices; ties of people are left out.

    Args:
        preferences: from `table_preferences`.
        key: `clip` or `source`.
        scores: by clip id or source name.
        lower_is_better: whether a small score is a good one.

    Raises:
        AnalysisError: a clip or source that was judged has no score.
    """
    decided = preferences[preferences["choice"] != "tie"]
    missing = sorted(
        (set(decided[f"left_{key}"]) | set(decided[f"right_{key}"])) - set(scores.index)
    )
    if missing:
        raise AnalysisError(f"{len(missing)} judged {key}s have no score, first {missing[0]}")
    if decided.empty:
        raise AnalysisError("there are no decided judgments to compare scores with")
    sign = -1.0 if lower_is_better else 1.0
    left = sign * decided[f"left_{key}"].map(scores).to_numpy(dtype=float)
    right = sign * decided[f"right_{key}"].map(scores).to_numpy(dtype=float)
    better_left = np.where(left == right, 0.5, (left > right).astype(float))
    chose_left = (decided["choice"] == "left").to_numpy()
    hit = np.where(chose_left, better_left, 1 - better_left)
    pair = codes_of(decided["clip_a"] + "\n" + decided["clip_b"])
    chosen = decided["y"].to_numpy(dtype=np.int64)  # 1 where clip A was
    first = _first_answers(decided, pair)
    people, pairs = _between_people(decided.iloc[first], pair[first], chosen[first])
    rows = {
        str(row): _estimate(decided[mine], hit[mine])
        for row in decided["row"].unique()
        if (mine := (decided["row"] == row).to_numpy()).any()
    }
    row_of = decided["row"].to_numpy()
    alpha = krippendorff_alpha(pair[first], chosen[first], row_of[first])
    return Agreement(_estimate(decided, hit), rows, people, pairs, alpha)


def _estimate(frame: pd.DataFrame, hit: Floats) -> Estimate:
    """The mean of `hit` over all judgments."""
    return estimate_of(_sample(frame, hit), spread_over_rows(hit, Clusters.of(frame)))


def _sample(frame: pd.DataFrame, hit: Floats) -> Sample:
    """The judgments, whichever source of a row the study names first."""
    a, b = frame["cluster_a"], frame["cluster_b"]
    return Sample.of(hit, frame["worker"], a.where(a < b, b), b.where(a < b, a))


def krippendorff_alpha(
    unit: ArrayLike, value: ArrayLike, row: ArrayLike | None = None
) -> float | None:
    """Return Krippendorff's alpha of values of no order: agreement beyond that of chance.

    Where nearly all values are alike, it is low however well people agree.

    Args:
        unit: what each value is about, (n,).
        value: what somebody said of it, (n,).
        row: to which row the unit belongs, (n,); None: there is one row. Chance disagreement is
            that of values of one row, as the same value says something else in another.

    Returns:
        At most 1; None where no unit has two values, or all such values of every row are alike.

    Source:
        Krippendorff, Content Analysis, 2013, chapter 12, for one row; over several, observed and
        expected disagreements are summed.
    """
    units, values = codes_of(unit), codes_of(value)
    rows = np.zeros_like(units) if row is None else codes_of(row)
    counts = np.zeros((units.max(initial=-1) + 1, values.max(initial=-1) + 1))
    np.add.at(counts, (units, values), 1)
    row_of = np.zeros(len(counts), dtype=np.int64)
    row_of[units] = rows
    twice = counts.sum(axis=1) > 1
    counts, row_of = counts[twice], row_of[twice]
    size = counts.sum(axis=1)
    observed = np.sum((size**2 - np.sum(counts**2, axis=1)) / (size - 1))
    expected = sum(_by_chance(counts[row_of == r].sum(axis=0)) for r in np.unique(row_of))
    return float(1 - observed / expected) if expected else None


def _by_chance(counts: Floats) -> float:
    """The disagreement of values that come in such numbers, paired at random."""
    total = counts.sum()
    return float((total**2 - np.sum(counts**2)) / (total - 1))


def _first_answers(frame: pd.DataFrame, pair: Codes) -> Codes:
    """The places of each worker's first answer on a pair: who answers twice is no other person."""
    asked = frame[["worker", "answered_at", "position"]].reset_index(drop=True).assign(pair=pair)
    ordered = asked.sort_values(["answered_at", "position"], kind="stable")
    return np.sort(ordered.drop_duplicates(["pair", "worker"]).index.to_numpy(dtype=np.int64))


def _between_people(frame: pd.DataFrame, pair: Codes, y: Codes) -> tuple[Estimate | None, int]:
    """For each worker's answer on a pair that others judged, the share of the others who agree."""
    shared = np.bincount(pair)[pair] > 1
    if not shared.any():
        return None, 0
    asked, pair, y = frame[shared], codes_of(pair[shared]), y[shared]
    n, wins = np.bincount(pair)[pair], np.bincount(pair, weights=y)[pair]
    agreeing = np.where(y == 1, wins - 1, n - wins - 1) / (n - 1)
    spread = spread_between_people(pair, y.astype(np.float64), Clusters.of(asked))
    found = estimate_of(_sample(asked, agreeing), spread)
    if spread is None and found.workers >= LEAST_WORKERS:
        found = replace(found, note="every pair was judged by one worker and others: no interval")
    return found, int(pair.max()) + 1


def agreement_text(
    judgments: pd.DataFrame, scores: Path, rules: Sequence[str], *, lower_is_better: bool
) -> str:
    """Return the agreement of a file of scores with judgments as a text table.

    Args:
        judgments: from `load_judgments`.
        scores: `clip,score` or `source,score`.
        rules: exclusions asked for; none: what the study file declares.
        lower_is_better: whether a small score is a good one.

    Raises:
        AnalysisError: see `read_scores` and `agreement`.
    """
    key, values = read_scores(scores)
    kept, _ = exclude(judgments, rules_for(judgments, rules))
    found = agreement(table_preferences(kept), key, values, lower_is_better=lower_is_better)
    lines = [("scores, all rows", found.metric)]
    lines += [(f"  {row}", estimate) for row, estimate in found.by_row.items()]
    if found.people is not None:
        lines.append(
            (f"another person ({quantity(found.pairs, 'pair')} judged by several)", found.people)
        )
    grid = [(name, percent_text(e.percent), interval_text(e), f"{e.n:,}") for name, e in lines]
    banner = f"{BANNER}\n" if judgments.attrs["simulated"] else ""
    title = "Percent of choices predicted (chance is 50)"
    text = banner + text_grid(title, ("by", "percent", "interval", "n"), grid)
    if found.alpha is not None:
        text += f"Krippendorff's alpha between people: {found.alpha:.2f} (low where most agree "
        text += "on one source, however well they agree)\n"
    return text
