"""One strength per source from the table of wins: Bradley-Terry.

The log odds that A is preferred over B are the strength of A minus that of B. Strengths sum to 0.
The fit needs only the table of wins, so that a refit costs microseconds (`bootstrap_strengths`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special, stats
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from analysis.clusters import Codes, Floats, codes_of
from analysis.errors import ConvergenceError

_STEPS = 60


@dataclass(frozen=True)
class Contests:
    """Who met whom, how often, and who won: pairs (i, j) with i < j by position in `sources`.

    Args:
        sources: names.
        pairs: (P, 2), positions of the two sources.
        wins: (..., P), how often the first won; ties count half.
        games: (..., P), how often they met.
    """

    sources: tuple[str, ...]
    pairs: NDArray[np.int64]
    wins: Floats
    games: Floats

    @property
    def design(self) -> Floats:
        """(P, M - 1), +1 and -1 for the two sources of a pair, the last source left out."""
        out = np.zeros((len(self.pairs), len(self.sources)))
        rows = np.arange(len(self.pairs))
        out[rows, self.pairs[:, 0]], out[rows, self.pairs[:, 1]] = 1.0, -1.0
        return out[:, :-1]


def contests_of(preferences: pd.DataFrame) -> tuple[Contests, Codes, Floats]:
    """Count wins over all categories.

    Args:
        preferences: from `table_preferences`.

    Returns:
        The contests, the pair of each judgment, and whether its first source won.
    """
    sources = tuple(sorted(set(preferences["a"]) | set(preferences["b"])))
    place = {name: i for i, name in enumerate(sources)}
    a = preferences["a"].map(place).to_numpy(dtype=np.int64)
    b = preferences["b"].map(place).to_numpy(dtype=np.int64)
    y = preferences["y"].to_numpy(dtype=np.float64)
    first_won = np.where(a < b, y, 1 - y)
    keys, pair = np.unique(np.minimum(a, b) * len(sources) + np.maximum(a, b), return_inverse=True)
    pairs = np.column_stack([keys // len(sources), keys % len(sources)])
    wins = np.bincount(pair, weights=first_won, minlength=len(keys)).astype(np.float64)
    games = np.bincount(pair, minlength=len(keys)).astype(np.float64)
    return Contests(sources, pairs, wins, games), pair, np.asarray(first_won)


def check_connected(contests: Contests) -> None:
    """Refuse a table without a finite maximum of the likelihood.

    Raises:
        ConvergenceError: some sources never met the others, or never won, or never lost, against
            all of them.

    Source:
        Ford, American Mathematical Monthly 64 (1957): every set of sources must win and lose.
    """
    i, j = contests.pairs.T
    beaten = np.concatenate([contests.games - contests.wins, contests.wins]) > 0
    arcs = (np.concatenate([i, j])[beaten], np.concatenate([j, i])[beaten])
    size = len(contests.sources)
    graph = csr_array((np.ones(beaten.sum()), arcs), shape=(size, size))
    met, group = connected_components(graph, directed=False)
    if met > 1:
        some, others = _apart(contests.sources, group)
        raise ConvergenceError(
            f"no strengths on one scale: {some} were never compared with {others}; a study that "
            "compares one of these with one of those has a ranking"
        )
    count, group = connected_components(graph, directed=True, connection="strong")
    if count > 1:
        some, _ = _apart(contests.sources, group)
        raise ConvergenceError(
            f"no finite strengths: {some} won all, or lost all, judgments against the other sources"
        )


def _apart(sources: Sequence[str], group: NDArray[np.int32]) -> tuple[str, str]:
    """The names of the smallest group, and those of all the others."""
    mine = group == np.argmin(np.bincount(group))
    some = [name for name, inside in zip(sources, mine, strict=True) if inside]
    return ", ".join(some), ", ".join(name for name in sources if name not in some)


def fit_strengths(contests: Contests) -> Floats:
    """Return the maximum-likelihood strengths by Fisher scoring.

    Args:
        contests: one table, or many: any leading axes of `wins` and `games` are fitted at once.

    Returns:
        (..., M), strengths that sum to 0; NaN for a table of many that has no finite maximum.

    Raises:
        ConvergenceError: a single table has no finite maximum.
    """
    single = contests.wins.ndim == 1
    if single:
        check_connected(contests)
    wins, games = np.atleast_2d(contests.wins), np.atleast_2d(contests.games)
    design = contests.design
    beta = np.zeros((len(wins), design.shape[1]))
    worst = np.full(len(wins), np.inf)
    for _ in range(_STEPS):
        rate = special.expit(beta @ design.T)
        score = (wins - games * rate) @ design
        weight = games * np.clip(rate * (1 - rate), 1e-12, None)
        information = np.einsum("rp,pk,pl->rkl", weight, design, design, optimize=True)
        step = np.einsum("rkl,rl->rk", np.linalg.pinv(information, hermitian=True), score)
        worst = np.abs(step).max(axis=1)
        # A step of more than one logit overshoots where preferences are near certain.
        beta += step / np.maximum(1.0, worst)[:, None]
        if worst.max() < 1e-12:
            break
    beta[(worst > 1e-6) | (np.abs(beta).max(axis=1) > 30)] = np.nan
    if single and np.isnan(beta).any():
        raise ConvergenceError("the strengths did not converge: preferences are too extreme")
    full = np.concatenate([beta, np.zeros((len(beta), 1))], axis=1)
    full = full - full.mean(axis=1, keepdims=True)
    return np.asarray(full[0] if single else full)


@dataclass(frozen=True)
class Fit:
    """How well one strength per source explains the rows.

    Args:
        deviance: of the rows' win rates from the fitted ones, judgments taken as independent.
        scaled: the deviance over the mean design effect.
        df: rows minus free strengths; 0 where nothing can be tested.
        p: of the scaled deviance, or None without degrees of freedom.
    """

    deviance: float
    scaled: float
    df: int
    p: float | None


def goodness_of_fit(contests: Contests, strengths: Floats, design_effect: float = 1.0) -> Fit:
    """Compare the rows' win rates with what one strength per source implies."""
    i, j = contests.pairs.T
    rate = special.expit(strengths[i] - strengths[j])
    wins, games = contests.wins, contests.games
    parts = special.xlogy(wins, wins / (games * rate))
    parts = parts + special.xlogy(games - wins, (games - wins) / (games * (1 - rate)))
    deviance = float(2 * parts.sum())
    df = len(wins) - len(strengths) + 1
    scaled = deviance / design_effect
    return Fit(deviance, scaled, df, float(stats.chi2.sf(scaled, df)) if df > 0 else None)


def bootstrap_strengths(preferences: pd.DataFrame, draws: int, seed: int) -> Floats:
    """Refit the strengths on resampled workers.

    Workers are resampled whole; clips are not, so intervals from these draws are too short where
    clips differ. For shapes and rank probabilities; the intervals of `rank` are the ones to print.

    Args:
        preferences: from `table_preferences`.
        draws: how many refits.
        seed: of the resampling.

    Returns:
        (draws, M), in the alphabetical order of the sources; NaN where a draw has no maximum.
    """
    contests, pair, won = contests_of(preferences)
    worker = codes_of(preferences["worker"])
    workers, pairs = int(worker.max()) + 1, len(contests.pairs)
    where, shape = worker * pairs + pair, (workers, pairs)
    games = np.bincount(where, minlength=workers * pairs).reshape(shape)
    wins = np.bincount(where, weights=won, minlength=workers * pairs).reshape(shape)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(workers, np.full(workers, 1 / workers), draws).astype(np.float64)
    many = Contests(contests.sources, contests.pairs, drawn @ wins, drawn @ games)
    return fit_strengths(many)
