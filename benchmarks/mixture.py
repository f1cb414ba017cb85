"""The mixture of the autoencoder's codes: ours against scikit-learn's.

    python benchmarks/mixture.py                                  # two minutes on two cores
    python benchmarks/mixture.py --seeds 8 --codes-of patches     # likelihood at eight seeds
    python benchmarks/mixture.py --codes 100000 --components 256 --numbers 100   # the paper's size

Both fit full covariances to the same codes, with the same start rule (k-means), tolerance, floor of
the covariance and most iterations; they take turns in one process. The score is the mean
log-likelihood of codes neither has seen. A seed is that of the codes and of both starts; seconds,
iterations and scores are means over the seeds, the ratio is the median of theirs to ours.
"""

import argparse
import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import sklearn
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from sklearn.datasets import load_sample_images
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as TheirMixture

from vgan.models.mixture import GaussianMixture

TOLERANCE, FLOOR = 1e-3, 1e-6  # the floor is a share of the codes' mean variance
THEIRS = "scikit-learn"
Codes = NDArray[np.float64]


def draw_codes(count: int, numbers: int, seed: int = 0, kinds: int = 400) -> Codes:
    """Draw codes (count, numbers) from many Gaussians, each spread along a few directions.

    There are more of them than are fitted, so that there is no right answer to hit by luck.
    """
    chance = np.random.default_rng(seed)
    centres = chance.normal(0, 2, (kinds, numbers))
    spreads = chance.normal(0, 0.6, (kinds, numbers, 8))
    kind = chance.integers(kinds, size=count)
    noise = chance.normal(0, 0.3, (count, numbers))
    along = chance.normal(0, 1, (count, 8))
    return np.asarray(centres[kind] + np.einsum("ndk,nk->nd", spreads[kind], along) + noise)


def manifold(count: int, numbers: int, seed: int) -> Codes:
    """Draw codes near a curved sheet of 12 dimensions, dense in the middle and with long tails."""
    chance = np.random.default_rng(seed)
    place = chance.normal(size=(count, 12)) * chance.gamma(2, 0.5, (count, 1))
    bends, out = chance.normal(0, 0.6, (12, 64)), chance.normal(0, 0.4, (64, numbers))
    return np.asarray(np.tanh(place @ bends) @ out + chance.normal(0, 0.1, (count, numbers)))


def patches(count: int, numbers: int, seed: int) -> Codes:
    """Cut patches of `numbers` pixels in a row of squares from scikit-learn's two photographs."""
    chance = np.random.default_rng(seed)
    side = int(np.sqrt(numbers))
    if side * side != numbers:
        raise SystemExit(f"patches are square, and {numbers} is not: try --numbers 100")
    images = (image.mean(axis=2) / 32 for image in load_sample_images().images)
    cut = [sliding_window_view(image, (side, side)).reshape(-1, numbers) for image in images]
    chosen = chance.permutation(np.concatenate(cut))[:count]
    return np.asarray(chosen + chance.normal(0, 0.03, chosen.shape))  # grey levels are not rounded


KINDS: dict[str, Callable[[int, int, int], Codes]] = {
    "kinds": draw_codes,
    "few-kinds": partial(draw_codes, kinds=20),  # fewer than are fitted
    "manifold": manifold,
    "patches": patches,
}


class Fit(NamedTuple):
    """What one fit took and reached."""

    seconds: float
    iterations: int
    score: float


def fit_ours(learnt: Codes, kept: Codes, seed: int, args: argparse.Namespace) -> Fit:
    """Fit ours."""
    codes = torch.from_numpy(learnt).to(args.device)
    begun = time.perf_counter()
    mixture = GaussianMixture.fit(
        codes, args.components, seed=seed,
        reg_share=FLOOR, tolerance=TOLERANCE, most_iterations=args.iterations,
    )  # fmt: skip
    seconds = time.perf_counter() - begun  # the last likelihood of the fit waits for the device
    score = float(mixture.log_prob(torch.from_numpy(kept).to(args.device)).mean())
    return Fit(seconds, len(mixture.log_likelihoods), score)


def fit_theirs(learnt: Codes, kept: Codes, seed: int, args: argparse.Namespace) -> Fit:
    """Fit scikit-learn's."""
    mixture = TheirMixture(
        args.components, tol=TOLERANCE, reg_covar=FLOOR * learnt.var(axis=0).mean(),
        max_iter=args.iterations, random_state=seed,
    )  # fmt: skip
    begun = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # printed below as its iterations
        mixture.fit(learnt)
    return Fit(time.perf_counter() - begun, mixture.n_iter_, float(mixture.score(kept)))


def main() -> None:
    """Fit both and print time, iterations and held-out likelihood."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--codes", type=int, default=20_000)
    parser.add_argument("--numbers", type=int, default=50)
    parser.add_argument("--components", type=int, default=64)
    parser.add_argument("--iterations", type=int, default=100, help="at most, for both")
    parser.add_argument("--codes-of", choices=KINDS, default="kinds", help="what the codes are of")
    parser.add_argument("--seeds", type=int, default=1, help="how many")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--ours-only", action="store_true", help="not scikit-learn's")
    args = parser.parse_args()
    print(
        f"{args.codes:,} codes of {args.numbers} numbers ({args.codes_of}), {args.components} "
        f"components, {args.device}, {os.cpu_count()} cores; torch {torch.__version__}, "
        f"scikit-learn {sklearn.__version__}, Python {platform.python_version()}"
    )
    ways = {"ours": fit_ours} if args.ours_only else {"ours": fit_ours, THEIRS: fit_theirs}
    fits: dict[str, list[Fit]] = {name: [] for name in ways}
    for seed in range(args.first_seed, args.first_seed + args.seeds):
        count = args.codes + args.codes // 10
        codes = KINDS[args.codes_of](count, args.numbers, seed)
        learnt, kept = codes[: args.codes], codes[args.codes :]
        for name, fit in ways.items():
            fits[name].append(fit(learnt, kept, seed, args))
        scores = " against ".join(f"{of_seed[-1].score:.3f}" for of_seed in fits.values())
        print(f"seed {seed}: held out {scores}", flush=True)
    print_table(fits)


def print_table(fits: dict[str, list[Fit]]) -> None:
    """Print the means over the seeds, the ratio of the times and the gain in likelihood."""
    print(f"{'':14} {'seconds':>8} {'iterations':>11} {'held-out log-likelihood':>24}")
    for name, of_seeds in fits.items():
        seconds, iterations, score = (
            statistics.mean(figures) for figures in zip(*of_seeds, strict=True)
        )
        print(f"{name:14} {seconds:8.1f} {iterations:11.1f} {score:24.3f}")
    if THEIRS not in fits:
        return
    pairs = list(zip(fits["ours"], fits[THEIRS], strict=True))
    ratios = [theirs.seconds / ours.seconds for ours, theirs in pairs]
    gains = [ours.score - theirs.score for ours, theirs in pairs]
    print(
        f"{'ratio':14} {statistics.median(ratios):8.2f}   ({min(ratios):.2f} to {max(ratios):.2f})"
    )
    print(
        f"{'gain held out':14} {statistics.mean(gains):8.3f}   "
        f"({min(gains):.3f} to {max(gains):.3f}; above 0 at {sum(g > 0 for g in gains)} of "
        f"{len(gains)} seeds)"
    )


if __name__ == "__main__":
    main()
