"""How often do nominal 95 % intervals of a preference table cover the truth?

    python benchmarks/coverage.py [--reps 400] [--seed 1] [--processes 2] [--out coverage.md]
    python benchmarks/coverage.py --setting "tail 1.6" --reps 2500
    python benchmarks/coverage.py --resample --reps 100    # with the bootstraps, which are slow
    python benchmarks/coverage.py --only truths --models --vb 20 --reps 100    # with statsmodels'
    python benchmarks/coverage.py --looks    # of the intervals at all looks, see coverage_looks.py

Every setting is a row of four cells (see `analysis.synthetic`); the base is shaped like the
paper's study: 541 judgments a cell, 150 workers of unequal activity, 200 clips per source.
Prints Markdown: coverage in percent / mean width in points, for cells and for the Mean.
"""

import os
import time
import warnings
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from multiprocessing.pool import Pool
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # one core per process

import click
import numpy as np
from coverage_looks import looks_table
from scipy import sparse, stats
from scipy.special import expit, logit

from analysis.clusters import Floats, kish, sum_squares
from analysis.intervals import (
    Bounds,
    Estimate,
    cell_interval,
    clopper_pearson,
    korn_graubard,
    mean_interval,
    row_correlations,
    wilson,
)
from analysis.synthetic import Setting, draw_row, marginal_rate
from analysis.variance import Sample, component_variance, multiway, sandwich

BASE = Setting()
TRUTHS = {f"p={rate}": replace(BASE, rate=rate) for rate in (0.82, 0.53, 0.18, 0.03)}
STRESS = {
    "no clustering": replace(BASE, worker_sd=0.0, clip_sd=0.0),
    "worker sd 1": replace(BASE, worker_sd=1.0),
    "clip sd 1": replace(BASE, clip_sd=1.0),
    "20 clips": replace(BASE, clips=20),
    "30 workers": replace(BASE, workers=30),
    "30 workers, p=.5": replace(BASE, workers=30, rate=0.5),
    "12 workers": replace(BASE, workers=12),
    "tail 1.6": replace(BASE, activity=1.6),
    "busy differ": replace(BASE, busy_differ=0.5),
    "eye per category": replace(BASE, shared_eye=False),
    "40 per cell": replace(BASE, per_cell=40, workers=40, clips=30),
}
FEW_CLIPS = {
    f"{clips} clips": Setting(rate=0.7, workers=100, activity=0.5, clips=clips, per_cell=200)
    for clips in (2, 3, 4, 5, 8)
}
BY_ITEM = {
    f"{items} items": Setting(
        rate=0.9, workers=60, activity=0.0, clips=items, clip_sd=1.0, per_cell=60 * items,
        categories=1, by_item=True,
    )
    for items in (3, 5, 8, 10, 16, 30)
}  # fmt: skip
_FEW = Setting(activity=0.0, clips=100, clip_sd=0.3, per_cell=300, categories=1, worker_sd=1.5)
HARD = {
    "p=.99": replace(BASE, rate=0.99, workers=100),
    "busiest give most": replace(BASE, rate=0.7, activity=2.5, worker_sd=1.0, per_cell=300),
    "6 workers": replace(_FEW, rate=0.9, workers=6, worker_sd=0.5),
    "6 differ, p=.5": replace(_FEW, rate=0.5, workers=6),
    "6 differ": replace(_FEW, rate=0.9, workers=6),
    "12 differ": replace(_FEW, rate=0.9, workers=12),
    "30 differ": replace(_FEW, rate=0.9, workers=30),
    "20 differ by 3, p=.95": replace(_FEW, rate=0.95, workers=20, worker_sd=3.0),
    "5 items differ, p=.95": replace(BY_ITEM["5 items"], rate=0.95, clip_sd=1.5),
}
TABLES = (
    ("truths", TRUTHS, ""),
    ("stress", STRESS, "; p=0.82 unless said"),
    ("clips", FEW_CLIPS, "; p=0.7"),
    ("items", BY_ITEM, "; p=0.9, one category"),
    ("hard", HARD, "; p=0.9 unless said"),
)
SETTINGS = [label for _, settings, _ in TABLES for label in settings]
DRAWS = 400
Z = float(stats.norm.ppf(0.975))
Found = tuple[str, str, float, float]


@dataclass(frozen=True)
class Extras:
    """Intervals that take long, and are asked for.

    Args:
        resample: the bootstraps.
        models: GEE with exchangeable workers.
        vb: on how many rows the crossed mixed model is fitted, to the first cell.
    """

    resample: bool = False
    models: bool = False
    vb: int = 0


def logit_wald(rate: float, variance: float) -> Bounds:
    """Return the normal interval on the logit scale; the rate itself where it is 0 or 1."""
    spread = rate * (1 - rate)
    if spread <= 0:
        return rate, rate
    half = Z * variance**0.5 / spread
    return float(expit(logit(rate) - half)), float(expit(logit(rate) + half))


def multiway_sandwich(sample: Sample) -> float:
    """Return the three-way CR1 variance (Cameron, Gelbach and Miller), floored as ours."""
    single = [sandwich(sample, codes) for codes in sample.factors]
    both = [sum_squares(sample.influence, sample.joint[pair]) for pair in ((0, 1), (0, 2), (1, 2))]
    triple = sum_squares(sample.influence, sample.joint[0, 1, 2])
    independent = float(np.sum(sample.influence**2))
    return max(sum(single) - sum(both) + triple, single[0], independent)


def naive_and_parts(sample: Sample, scope: str) -> Iterator[Found]:
    """Yield the intervals that are compared with ours, for a cell or a row."""
    rate, n = sample.mean, len(sample)
    yield scope, "Wilson", *wilson(rate, n)
    yield scope, "Clopper-Pearson", *clopper_pearson(rate, n)
    jack = multiway(sample)
    if jack.independent > 0:
        spread = rate * (1 - rate)
        by_worker = spread / max(jack.by_worker, jack.independent)
        df = max(kish(sample.worker) - 1, 1)
        by_cr1 = sandwich(sample, sample.worker)
        yield scope, "worker sandwich (CR1, logit, z)", *logit_wald(rate, by_cr1)
        yield scope, "worker only, CR3", *korn_graubard(rate, n, by_worker, df)
        yield scope, "multiway (CR1, logit, z)", *logit_wald(rate, multiway_sandwich(sample))
        t = float(stats.t.ppf(0.975, jack.df))
        yield scope, "multiway CR3, Wilson, t", *wilson(rate, spread / jack.variance, t)
        yield scope, "multiway CR3", *korn_graubard(rate, n, spread / jack.variance, jack.df)


def cells_as_independent(row: Sample) -> Bounds:
    """Return the interval of a Mean whose cells' variances are added as if cells shared nobody."""
    cells = [multiway(cell).variance for cell in row.cells]
    return logit_wald(row.mean, float(np.mean(cells)) / len(cells))


def by_gee(cell: Sample) -> Iterator[Found]:
    """Yield the intervals of statsmodels' GEE, judgments of a worker exchangeable, of a cell."""
    import statsmodels.api as sm

    order = np.argsort(cell.worker, kind="stable")
    constant = np.ones((len(cell), 1))
    model = sm.GEE(
        cell.y[order], constant, groups=cell.worker[order], family=sm.families.Binomial(),
        cov_struct=sm.cov_struct.Exchangeable(),
    )  # fmt: skip
    for name, covariance in (("robust", "robust"), ("Mancl-DeRouen", "bias_reduced")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a cell of few wins may not converge: it counts
            low, high = model.fit(cov_type=covariance).conf_int()[0]
        yield "cell", f"GEE exchangeable, {name}", float(expit(low)), float(expit(high))


def by_variational_bayes(cell: Sample) -> Bounds:
    """Return the interval of statsmodels' crossed mixed model, fitted by variational Bayes.

    The intercept's interval is carried over to new workers and clips by the fitted spreads.
    """
    from statsmodels.genmod.bayes_mixed_glm import BinomialBayesMixedGLM

    n = len(cell)
    effects = [sparse.csr_array((np.ones(n), (np.arange(n), codes))) for codes in cell.factors]
    which = np.repeat(np.arange(3), [each.shape[1] for each in effects])
    design = sparse.csr_matrix(sparse.hstack(effects))
    found = BinomialBayesMixedGLM(cell.y, np.ones((n, 1)), design, which).fit_vb()
    variance = float(np.sum(np.exp(found.vcp_mean) ** 2))
    centre, half = float(found.fe_mean[0]), Z * float(found.fe_sd[0])
    return marginal_rate(centre - half, variance), marginal_rate(centre + half, variance)


def resampled(sample: Sample, scope: str, rng: np.random.Generator) -> Iterator[Found]:
    """Yield percentile intervals of the worker bootstrap and of the pigeonhole bootstraps.

    The latter draw workers, clips of A and, in the last, clips of B, and weight a judgment by the
    product (Owen and Eckles, Annals of Applied Statistics 6, 2012).
    """
    weights = np.ones((DRAWS, len(sample)))
    names = ("worker bootstrap", "pigeonhole, two-way", "pigeonhole, three-way")
    for name, codes in zip(names, sample.factors, strict=True):
        clusters = int(codes.max()) + 1
        drawn = rng.multinomial(clusters, np.full(clusters, 1 / clusters), size=DRAWS)
        weights = weights * drawn[:, codes]
        low, high = np.nanpercentile(_weighted_means(sample, weights), (2.5, 97.5))
        yield scope, name, float(low), float(high)


def _weighted_means(sample: Sample, weights: Floats) -> Floats:
    """The mean of the cell rates under each draw's weights, (draws, n); NaN for an empty cell."""
    rates = []
    for cell in range(len(sample.sizes)):
        own = sample.cell == cell
        total = weights[:, own].sum(axis=1)
        with np.errstate(invalid="ignore"):
            rates.append(weights[:, own] @ sample.y[own] / total)
    return np.asarray(np.mean(rates, axis=0))


def replicate(setting: Setting, seed: int, extras: Extras, *, vb: bool = False) -> list[Found]:
    """Return every interval of one drawn row, in shares."""
    row = draw_row(setting, np.random.default_rng(seed))
    chance = np.random.default_rng([seed, 1])
    within, across = row_correlations(row)
    out: list[Found] = []
    for cell in row.cells:
        out += naive_and_parts(cell, "cell")
        out += resampled(cell, "cell", chance) if extras.resample else ()
        out += by_gee(cell) if extras.models and 2 <= cell.y.sum() <= len(cell) - 2 else ()
        out.append(("cell", "pooled ICC", *_pooled(cell, component_variance(cell, within))))
        ours = cell_interval(cell, within)
        out.append(("cell", "**ours**", *_bounds(ours)))
    if vb:
        out.append(("cell", "crossed mixed model, VB", *by_variational_bayes(row.cells[0])))
    out += naive_and_parts(row, "mean")
    out.append(("mean", "cells as if independent", *cells_as_independent(row)))
    out += resampled(row, "mean", chance) if extras.resample else ()
    out.append(("mean", "pooled ICC", *_pooled(row, component_variance(row, across))))
    ours = mean_interval(row, across)
    out.append(("mean", "**ours**", *_bounds(ours)))
    return out


def _bounds(estimate: Estimate) -> tuple[float, float]:
    if estimate.low is None or estimate.high is None:
        raise ValueError(f"no interval to measure: {estimate.note}")
    return estimate.low / 100, estimate.high / 100


def _pooled(sample: Sample, variance: float) -> Bounds:
    rate, n = sample.mean, len(sample)
    effective = rate * (1 - rate) / variance if 0 < rate < 1 else n
    return korn_graubard(rate, n, effective, max(kish(sample.worker) - 1, 1))


def _job(arguments: tuple[Setting, int, Extras, bool]) -> list[Found]:
    setting, seed, extras, vb = arguments
    return replicate(setting, seed, extras, vb=vb)


def coverage(
    pool: Pool, setting: Setting, reps: int, seed: int, extras: Extras
) -> dict[tuple[str, str], tuple[float, float]]:
    """Return coverage and mean width, in percent, by (scope, method); no interval is a miss."""
    seen: dict[tuple[str, str], list[tuple[bool, float]]] = defaultdict(list)
    jobs = [(setting, seed + i, extras, i < extras.vb) for i in range(reps)]
    for found in pool.imap_unordered(_job, jobs, 4):
        for scope, method, low, high in found:
            seen[scope, method].append((low <= setting.rate <= high, high - low))
    return {
        key: (100 * float(np.mean([c for c, _ in v])), 100 * float(np.nanmean([w for _, w in v])))
        for key, v in seen.items()
    }


def markdown(
    title: str, results: dict[str, dict[tuple[str, str], tuple[float, float]]], scope: str
) -> str:
    """Return one table: methods down, settings across."""
    methods = list(dict.fromkeys(m for r in results.values() for s, m in r if s == scope))
    methods.sort(key=lambda method: method == "**ours**")
    lines = [f"\n### {title}\n", "| method | " + " | ".join(results) + " |"]
    lines.append("|---|" + "---|" * len(results))
    for method in methods:
        found = [r.get((scope, method)) for r in results.values()]
        shown = [f"{each[0]:.1f} / {each[1]:.1f}" if each else "" for each in found]
        lines.append(f"| {method} | " + " | ".join(shown) + " |")
    return "\n".join(lines) + "\n"


@click.command()
@click.option("--reps", default=400, show_default=True, help="Rows drawn per setting.")
@click.option("--seed", default=1, show_default=True)
@click.option("--processes", default=os.cpu_count(), show_default=True)
@click.option("--only", type=click.Choice([name for name, *_ in TABLES]), help="One of the tables.")
@click.option("--setting", type=click.Choice(SETTINGS), help="One column.")
@click.option("--resample", is_flag=True, help="Add the worker and the pigeonhole bootstraps.")
@click.option("--models", is_flag=True, help="Add statsmodels' GEE, exchangeable workers.")
@click.option(
    "--vb",
    default=0,
    metavar="ROWS",
    help="Fit statsmodels' crossed mixed model to a cell of so many rows (8 s each).",
)
@click.option("--looks", is_flag=True, help="The intervals that hold at all looks, and no others.")
@click.option("--out", type=click.Path(path_type=Path), help="Also write the tables to a file.")
def main(
    reps: int,
    seed: int,
    processes: int,
    only: str | None,
    setting: str | None,
    resample: bool,
    models: bool,
    vb: int,
    looks: bool,
    out: Path | None,
) -> None:
    """Measure the coverage of the intervals of cells and Means."""
    start, text = time.monotonic(), ""
    extras = Extras(resample, models, min(vb, reps))
    error = 100 * (0.95 * 0.05 / reps) ** 0.5
    with Pool(processes) as pool:
        if looks:
            text = looks_table(pool, reps, seed)
        for name, settings, at in TABLES:
            if looks or only not in (None, name):
                continue
            results = {}
            for i, (label, column) in enumerate(settings.items()):
                if setting in (None, label):
                    start_at = seed + 1_000_000 * i
                    results[label] = coverage(pool, column, reps, start_at, extras)
            if not results:
                continue
            text += markdown(
                f"Cells, coverage % / width ({reps} rows, MC s.e. {error / 2:.1f}{at})",
                results,
                "cell",
            )
            text += markdown(
                f"Mean, coverage % / width ({reps} rows, MC s.e. {error:.1f}{at})", results, "mean"
            )
    print(text)
    print(f"{time.monotonic() - start:.0f} s")
    if out is not None:
        out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
