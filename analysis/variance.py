"""How far a preference would move with new workers and new clips: multiway cluster variance.

Judgments that share a worker, a clip of A or a clip of B are correlated, so the binomial variance
is too small, by a factor (the *design effect*) of two to four in data like the paper's. Here are
the two remedies that hold their level in simulation (`benchmarks/coverage.py`): the multiway
jackknife, and design effects from pooled intraclass correlations for when workers are few.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, zip_longest

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.clusters import Codes, Floats, codes_of, intersection, kish, renumbered, sum_squares
from analysis.ties import tie_factor

# Above any intraclass correlation of forced choices we have seen; keeps one odd cell from taking
# over a row.
MAX_CORRELATION = 0.6


@dataclass(frozen=True)
class Sample:
    """The judgments of one row (or of one cell), coded.

    Args:
        y: (n,), 1 where A was preferred, 0 where B was, 0.5 for a tie.
        cell: (n,), 0..C-1, the category of each judgment; every cell has a judgment.
        worker: (n,), codes of the workers.
        clip_a: (n,), codes of the stimulus clusters on A's side.
        clip_b: (n,), codes of the stimulus clusters on B's side.
    """

    y: Floats
    cell: Codes
    worker: Codes
    clip_a: Codes
    clip_b: Codes

    @classmethod
    def of(
        cls,
        y: ArrayLike,
        worker: ArrayLike,
        clip_a: ArrayLike,
        clip_b: ArrayLike,
        cell: ArrayLike | None = None,
    ) -> "Sample":
        """Code labels of any kind; one cell where none is given."""
        values = np.asarray(y, dtype=np.float64)
        cells = np.zeros(len(values), np.int64) if cell is None else codes_of(cell)
        return cls(values, cells, codes_of(worker), codes_of(clip_a), codes_of(clip_b))

    def __len__(self) -> int:
        return len(self.y)

    @cached_property
    def sizes(self) -> Floats:
        """(C,), judgments per cell."""
        return np.bincount(self.cell).astype(np.float64)

    @cached_property
    def rates(self) -> Floats:
        """(C,), share preferring A per cell."""
        return np.asarray(np.bincount(self.cell, weights=self.y) / self.sizes)

    @cached_property
    def ties(self) -> Floats:
        """(C,), ties per cell."""
        return np.asarray(np.bincount(self.cell, weights=self.y == 0.5), dtype=np.float64)

    @cached_property
    def flat(self) -> NDArray[np.bool_]:
        """(C,), whether all judgments of a cell are alike (all ties, too): it shows no variance."""
        return np.asarray((self.rates <= 0) | (self.rates >= 1) | (self.ties == self.sizes))

    @cached_property
    def smoothed(self) -> Floats:
        """(C,), (x + 2) / (n + 4), after Agresti and Coull, The American Statistician 52 (1998)."""
        return np.asarray((self.rates * self.sizes + 2) / (self.sizes + 4))

    @cached_property
    def tie_factors(self) -> Floats:
        """(C,), `tie_factor` at the smoothed rates: in (0, 1], 1 without ties."""
        return tie_factor(self.smoothed, self.ties / (self.sizes + 4))

    @property
    def mean(self) -> float:
        """Unweighted mean of the cell rates: every category counts the same."""
        return float(self.rates.mean())

    @property
    def factors(self) -> tuple[Codes, Codes, Codes]:
        """The three clusterings: worker, clip of A, clip of B."""
        return self.worker, self.clip_a, self.clip_b

    @cached_property
    def influence(self) -> Floats:
        """(n,), what each judgment's residual contributes to the mean of the cell rates."""
        sizes = self.sizes
        residuals = self.y - self.rates[self.cell]
        return np.asarray(residuals / (len(sizes) * sizes[self.cell]))

    def take(self, keep: NDArray[np.bool_]) -> "Sample":
        """Return the judgments where `keep` is true, coded anew."""
        taken = Sample(
            self.y[keep], *(renumbered(codes[keep]) for codes in (self.cell, *self.factors))
        )
        # Making these from the factors costs the most of all, and a part needs them too.
        joint = {which: renumbered(codes[keep]) for which, codes in self.joint.items()}
        vars(taken)["joint"] = joint
        return taken

    @cached_property
    def cells(self) -> "tuple[Sample, ...]":
        """One sample per cell, in the order of the codes."""
        return tuple(self.take(self.cell == c) for c in range(len(self.sizes)))

    @cached_property
    def joint(self) -> dict[tuple[int, ...], Codes]:
        """The clusterings that agree in two or all three of `factors`, by their places there."""
        found: dict[tuple[int, ...], Codes] = {
            (i, j): intersection((self.factors[i], self.factors[j]))
            for i, j in combinations(range(3), 2)
        }
        found[0, 1, 2] = intersection((found[0, 1], self.clip_b))
        return found

    @cached_property
    def multiway(self) -> "Multiway":
        """The variance over all three factors; see `multiway`."""
        return _multiway(self, _distinct(self.factors))

    @cached_property
    def products(self) -> "tuple[Floats, Floats]":
        """What correlations are estimated from; see `correlations`."""
        return _products(self)


@dataclass(frozen=True)
class Multiway:
    """A variance with its degrees of freedom.

    Args:
        variance: of the mean of the cell rates, floored at `by_worker` and at `independent`.
        df: Satterthwaite degrees of freedom, at least 1.
        by_worker: the one-way variance, judgments clustered by worker only.
        independent: the variance if all judgments were independent.
    """

    variance: float
    df: float
    by_worker: float
    independent: float


def jackknife(sample: Sample, codes: Codes) -> float:
    """Return the delete-one-cluster (CR3) variance of the mean of the cell rates.

    A cluster may span cells: leaving out a worker changes every category the worker judged.

    Args:
        sample: the judgments.
        codes: (n,), the clustering.

    Source:
        CR3 as a jackknife: MacKinnon, Nielsen and Webb, J. Applied Econometrics 38 (2023).
    """
    clusters, cells = int(codes.max()) + 1, len(sample.sizes)
    where, shape = codes * cells + sample.cell, (clusters, cells)
    residuals = sample.y - sample.rates[sample.cell]
    sums = np.bincount(where, weights=residuals, minlength=clusters * cells).reshape(shape)
    counts = np.bincount(where, minlength=clusters * cells).reshape(shape)
    # A cluster that holds a whole cell has residuals that sum to 0 there; 1 avoids 0 / 0.
    shifts = (sums / np.maximum(sample.sizes - counts, 1)).mean(axis=1)
    return float(np.sum(shifts**2)) * (clusters - 1) / clusters


def sandwich(sample: Sample, codes: Codes) -> float:
    """Return the one-way CR1 variance: cluster sums of the influence, times G / (G - 1)."""
    clusters = int(codes.max()) + 1
    return sum_squares(sample.influence, codes) * clusters / max(clusters - 1, 1)


def _distinct(factors: Sequence[Codes]) -> list[Codes]:
    """Drop clusterings that repeat an earlier one: pairing by item makes both sides equal."""
    kept: list[Codes] = []
    for codes in factors:
        if not any(_alike(codes, other) for other in kept):
            kept.append(codes)
    return kept


def _alike(first: Codes, second: Codes) -> bool:
    """Whether two clusterings put the same judgments together, however they number them."""
    if first.max() != second.max():
        return False
    return np.array_equal(codes_of(first), codes_of(second))


def multiway(sample: Sample, factors: Sequence[Codes] | None = None) -> Multiway:
    """Return the multiway CR3 variance of the mean of the cell rates.

    The one-way jackknife variances are added, the pairwise intersections taken off, the triple
    one added again. The result need not be positive, hence the two floors.

    Args:
        sample: the judgments of a row or a cell.
        factors: the clusterings, workers first; default all three of the sample.

    Source:
        Cameron, Gelbach and Miller, JBES 29 (2011), with CR3 for the one-way terms; floors as the
        max of standard errors in MacKinnon, Nielsen and Webb, arXiv 2406.08880.
    """
    return sample.multiway if factors is None else _multiway(sample, _distinct(factors))


def _multiway(sample: Sample, parts: list[Codes]) -> Multiway:
    ready = all(
        part is own for part, own in zip_longest(parts, sample.factors)
    )  # so the intersections are at hand
    influence = sample.influence
    independent = float(np.sum(influence**2))
    single = [jackknife(sample, codes) for codes in parts]
    variance = sum(single)
    for size in range(2, len(parts) + 1):
        subsets = combinations(range(len(parts)), size)
        joint = sum(
            sum_squares(
                influence,
                sample.joint[which] if ready else intersection([parts[i] for i in which]),
            )
            for which in subsets
        )
        variance += joint if size % 2 else -joint
    variance = max(variance, single[0], independent)
    df = _satterthwaite(variance, single, [kish(codes) - 1 for codes in parts], independent, sample)
    return Multiway(variance, df, single[0], independent)


def _satterthwaite(
    variance: float, single: list[float], dfs: list[float], independent: float, sample: Sample
) -> float:
    """Degrees of freedom of a sum of variances: each excess over i.i.d. has its clusters' df."""
    spare = max(len(sample) - 1, 1)
    excess = [max(part - independent, 0.0) for part in single]
    below = sum(e * e / max(df, 0.5) for e, df in zip(excess, dfs, strict=True))
    below += independent**2 / spare
    df = variance**2 / below if below > 0 else float(spare)
    return float(np.clip(df, min(2.0, spare), spare))


@dataclass(frozen=True)
class Correlations:
    """Intraclass correlations of the judgments: of two that share a worker, a clip A, a clip B."""

    worker: float
    clip_a: float
    clip_b: float


# For a row where every judgment went one way: what comparable studies show (docs/statistics.md).
TYPICAL = Correlations(0.05, 0.05, 0.05)


def correlations(sample: Sample, *, across: bool = False) -> Correlations | None:
    """Estimate the intraclass correlations of a row by moments, pooled over its cells.

    The product of two standardised judgments is regressed on what the two share. Where the same
    pair was judged often, judgments share both clips, and only the sum of those two correlations
    can be told; it is split evenly.

    Args:
        sample: the judgments of a row.
        across: a worker's judgments of different categories count as sharing the worker too; for
            the variance of the Mean. Clips never span categories.

    Returns:
        Each in [0, 0.6], or None where no cell has both answers, or nothing is shared.
    """
    products, shared = np.zeros(3), np.zeros((3, 3))
    usable = ~sample.flat
    for cell in (sample.cells[c] for c in np.flatnonzero(usable)):
        more, counts = cell.products
        products += more
        shared += counts
    if not shared.any():
        return None
    if across:
        more, counts = (sample if usable.all() else sample.take(usable[sample.cell])).products
        products[0], shared[0, 0] = more[0], counts[0, 0]
    rho = np.linalg.lstsq(shared, products, rcond=1e-10)[0].clip(0, MAX_CORRELATION)
    return Correlations(float(rho[0]), float(rho[1]), float(rho[2]))


def _products(sample: Sample) -> tuple[Floats, NDArray[np.float64]]:
    """Sums of products of judgments that share a factor, and how many share which two factors."""
    spread = sample.rates * (1 - sample.rates) * sample.tie_factors
    centred = (sample.y - sample.rates[sample.cell]) / np.sqrt(spread[sample.cell])
    # Centring at the sample's own rate lowers every product by about Var(rate) / spread.
    shift = multiway(sample).variance / float(np.mean(spread))
    products, counts = np.zeros(3), np.zeros((3, 3))
    for i, first in enumerate(sample.factors):
        for j in range(i + 1):
            joint = first if i == j else sample.joint[j, i]
            sizes = np.bincount(joint).astype(np.float64)
            counts[i, j] = counts[j, i] = float(np.sum(sizes * sizes - sizes))
        total = sum_squares(centred, first) - float(np.sum(centred**2))
        products[i] = total + counts[i, i] * shift
    return products, counts


def component_variance(sample: Sample, rho: Correlations) -> float:
    """Return the variance of the mean of the cell rates that the correlations imply.

    A cell whose judgments are all alike has no spread of its own, and that of its smoothed rate.
    """
    sizes, rates = sample.sizes, np.where(sample.flat, sample.smoothed, sample.rates)
    spread = rates * (1 - rates) * sample.tie_factors
    weights = (np.sqrt(spread) / (len(sizes) * sizes))[sample.cell]
    own = float(np.sum(weights**2))
    shared = zip((rho.worker, rho.clip_a, rho.clip_b), sample.factors, strict=True)
    return own + sum(r * (sum_squares(weights, codes) - own) for r, codes in shared)
