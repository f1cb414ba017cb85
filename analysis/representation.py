"""Accuracies of `vgan represent`: read, averaged over splits, with intervals by test group.

Videos of one group look alike (one film, one person), so the groups are what was sampled: the
interval is a jackknife over them, with Student's t on as many groups as there are, less one, on the
logit scale. It is never narrower than that of independent videos: a few groups may agree by chance.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from analysis.errors import AnalysisError

RESULTS_NAME = "results.jsonl"
LEVEL = 0.95
_NEEDED = (
    "method", "split", "fraction", "seed", "accuracy", "single_window_accuracy", "confusion",
    "classes", "groups", "parameters", "seconds", "data",
)  # fmt: skip


@dataclass(frozen=True)
class Result:
    """One line of a results file; see `vgan represent`."""

    method: str
    split: str
    fraction: float
    seed: int
    accuracy: float
    single_window_accuracy: float
    confusion: list[list[int]]
    classes: list[str]
    groups: dict[str, list[int]]
    parameters: int
    seconds: float
    data: str


@dataclass(frozen=True)
class Tally:
    """A method's right answers: by split and group, [right, videos], averaged over seeds.

    Another seed answers for the same videos again: it is no new evidence of how they vary.
    """

    counts: dict[tuple[str, str], tuple[float, float]]

    def accuracy(self, without: str | None = None) -> float:
        """Return the mean over splits of the share of right answers, one group left out.

        A split with no other group is left out as well; NaN where nothing remains.
        """
        sums = self._by_split(without)
        return float(np.mean([right / of for right, of in sums])) if sums else np.nan

    def independent_error(self) -> float:
        """Return the standard error that the accuracy would have if videos were independent."""
        variances = [right / of * (1 - right / of) / of for right, of in self._by_split()]
        return float(np.sqrt(sum(variances)) / len(variances))

    def _by_split(self, without: str | None = None) -> list[NDArray[np.float64]]:
        """Return [right, videos] of each split, one group left out."""
        sums: dict[str, NDArray[np.float64]] = defaultdict(lambda: np.zeros(2))
        for (split, group), count in self.counts.items():
            if group != without:
                sums[split] += count
        return list(sums.values())

    @property
    def groups(self) -> set[str]:
        """Names of the test groups."""
        return {group for _, group in self.counts}


@dataclass(frozen=True)
class Interval:
    """An estimate with its bounds; None where there are too few groups to say."""

    estimate: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Row:
    """A method at one share of the labels.

    Args:
        method: its name.
        fraction: of the labels.
        accuracy: mean over splits, 0..1, with its interval.
        spread: standard deviation over splits; None for one split.
        single_window: accuracy from one window of each video.
        splits: how many.
        seeds: how many in each.
        parameters: numbers learnt, the most over splits.
        seconds: of all tasks.
    """

    method: str
    fraction: float
    accuracy: Interval
    spread: float | None
    single_window: float
    splits: int
    seeds: int
    parameters: int
    seconds: float


def read_results(place: Path) -> list[Result]:
    """Read a results file, or the one in a folder; of a task that is in it twice, the last line.

    Raises:
        AnalysisError: it is missing, empty, damaged, or holds results of several data sets.
    """
    path = place / RESULTS_NAME if place.is_dir() else place
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise AnalysisError(
            f"{path}: cannot be read ({error.strerror}); `vgan represent` writes it"
        ) from None
    found = []
    for number, line in enumerate(lines, 1):
        try:
            raw = json.loads(line)
            found.append(Result(**{name: raw[name] for name in _NEEDED}))
        except (ValueError, KeyError, TypeError) as error:
            raise AnalysisError(f"{path}:{number}: not a result ({error})") from None
    if not found:
        raise AnalysisError(f"{path}: holds no results yet; `vgan represent` writes them")
    if len({result.data for result in found}) > 1:
        raise AnalysisError(f"{path}: holds results of several data sets; split the file")
    # Two runs into one folder at once write the same tasks twice, which are no further seeds.
    once = {(r.method, r.split, r.fraction, r.seed): r for r in found}
    return list(once.values())


def tally(results: Sequence[Result]) -> Tally:
    """Add up the right answers of one method's results, averaged over the seeds of a split."""
    counts: dict[tuple[str, str], list[list[int]]] = defaultdict(list)
    for result in results:
        for group, count in result.groups.items():
            counts[result.split, group].append(count)
    means = {key: np.mean(seeds, axis=0) for key, seeds in counts.items()}
    return Tally({key: (float(right), float(of)) for key, (right, of) in means.items()})


def jackknife(
    tallies: Sequence[Tally],
    statistic: Callable[[Sequence[float]], float],
    *,
    bounds: tuple[float, float] = (-np.inf, np.inf),
    least_error: float = 0.0,
) -> Interval:
    """Estimate a function of several methods' accuracies, leaving out one group at a time.

    Args:
        tallies: of methods tested on the same groups.
        statistic: of their accuracies.
        bounds: that the interval cannot leave; between 0 and 1 it is made on the logit scale.
        least_error: standard error under which none is believed.

    Returns:
        The estimate; its bounds are None where there are too few groups, or where all groups agree
        so that nothing is known of their spread.
    """
    estimate = statistic([t.accuracy() for t in tallies])
    groups = sorted(set.union(*(t.groups for t in tallies)))
    count = len(groups)
    if count < 2 or not np.isfinite(estimate):
        return Interval(estimate, None, None)
    left = np.asarray([statistic([t.accuracy(group) for t in tallies]) for group in groups])
    if not np.isfinite(left).all():
        return Interval(estimate, None, None)
    if estimate in (0.0, 1.0) and bounds == (0.0, 1.0):
        # Every group alike: what as many groups, each all right or all wrong, could hide.
        hidden = ((1 - LEVEL) / 2) ** (1 / count)
        low, high = (hidden, 1.0) if estimate else (0.0, 1 - hidden)
        return Interval(estimate, low, high)
    error = max(least_error, np.sqrt((count - 1) / count * ((left - left.mean()) ** 2).sum()))
    if error < 1e-12:
        return Interval(estimate, None, None)
    half = float(stats.t.ppf((1 + LEVEL) / 2, count - 1) * error)
    if bounds == (0.0, 1.0):  # symmetric and cut off at 1, it falls short near 1
        half /= estimate * (1 - estimate)
        low, high = special.expit(special.logit(estimate) + np.array([-half, half]))
    else:
        low, high = max(bounds[0], estimate - half), min(bounds[1], estimate + half)
    return Interval(estimate, float(low), float(high))


def accuracy_of(results: Sequence[Result]) -> Interval:
    """Return one method's accuracy, mean over splits, 0..1."""
    counted = tally(results)
    least = counted.independent_error()
    return jackknife([counted], lambda a: a[0], bounds=(0.0, 1.0), least_error=least)


def rows(results: Sequence[Result]) -> list[Row]:
    """Return every method at every share of the labels, in the order of the file."""
    grouped: dict[tuple[str, float], list[Result]] = defaultdict(list)
    for result in results:
        grouped[result.method, result.fraction].append(result)
    return [_row(*key, some) for key, some in grouped.items()]


def _row(method: str, fraction: float, results: Sequence[Result]) -> Row:
    by_split: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        by_split[result.split].append(result)
    means = [float(np.mean([r.accuracy for r in some])) for some in by_split.values()]
    singles = [np.mean([r.single_window_accuracy for r in some]) for some in by_split.values()]
    return Row(
        method=method,
        fraction=fraction,
        accuracy=accuracy_of(results),
        spread=float(np.std(means, ddof=1)) if len(means) > 1 else None,
        single_window=float(np.mean(singles)),
        splits=len(by_split),
        seeds=min(len(some) for some in by_split.values()),
        parameters=max(result.parameters for result in results),
        seconds=sum(result.seconds for result in results),
    )
