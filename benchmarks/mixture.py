"""The mixture of the autoencoder's codes: ours against scikit-learn's.

    python benchmarks/mixture.py                                  # a minute on a laptop
    python benchmarks/mixture.py --codes 100000 --components 256 --numbers 100   # the paper's size

Both fit full covariances to the same codes, with the same start rule (k-means), tolerance and
floor of the covariance; the score is the mean log-likelihood of codes neither has seen. The codes
are drawn from a mixture of more Gaussians than are fitted, so that there is no right answer to hit
by luck.
"""

import argparse
import os
import platform
import time
import warnings

import numpy as np
import sklearn
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as TheirMixture

from vgan.models.mixture import GaussianMixture

TOLERANCE, FLOOR = 1e-3, 1e-6


def draw_codes(count: int, numbers: int, seed: int = 0) -> NDArray[np.float64]:
    """Draw codes (count, numbers) from many Gaussians, each spread along a few directions."""
    chance = np.random.default_rng(seed)
    kinds = 400
    centres = chance.normal(0, 2, (kinds, numbers))
    spreads = chance.normal(0, 0.6, (kinds, numbers, 8))
    kind = chance.integers(kinds, size=count)
    noise = chance.normal(0, 0.3, (count, numbers))
    along = chance.normal(0, 1, (count, 8))
    return np.asarray(centres[kind] + np.einsum("ndk,nk->nd", spreads[kind], along) + noise)


def main() -> None:
    """Fit both and print time, iterations and held-out likelihood."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--codes", type=int, default=20_000)
    parser.add_argument("--numbers", type=int, default=50)
    parser.add_argument("--components", type=int, default=64)
    parser.add_argument("--iterations", type=int, default=100, help="at most, for both")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    codes = draw_codes(args.codes + args.codes // 10, args.numbers)
    learnt, kept = codes[: args.codes], codes[args.codes :]

    begun = time.perf_counter()
    ours = GaussianMixture.fit(
        torch.from_numpy(learnt).to(args.device), args.components, seed=0,
        reg_covar=FLOOR, tolerance=TOLERANCE, most_iterations=args.iterations,
    )  # fmt: skip
    our_seconds = time.perf_counter() - begun
    our_score = float(ours.log_prob(torch.from_numpy(kept).to(args.device)).mean())

    begun = time.perf_counter()
    theirs = TheirMixture(
        args.components, tol=TOLERANCE, reg_covar=FLOOR, max_iter=args.iterations, random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # printed below as its iterations
        theirs.fit(learnt)
    their_seconds = time.perf_counter() - begun
    their_score = float(theirs.score(kept))

    print(
        f"{args.codes:,} codes of {args.numbers} numbers, {args.components} components, "
        f"{args.device}, {os.cpu_count()} cores; torch {torch.__version__}, "
        f"scikit-learn {sklearn.__version__}, Python {platform.python_version()}"
    )
    print(f"{'':14} {'seconds':>8} {'iterations':>11} {'held-out log-likelihood':>24}")
    print(f"{'ours':14} {our_seconds:8.1f} {len(ours.log_likelihoods):11} {our_score:24.3f}")
    print(f"{'scikit-learn':14} {their_seconds:8.1f} {theirs.n_iter_:11} {their_score:24.3f}")
    print(f"{'ratio':14} {their_seconds / our_seconds:8.2f}")


if __name__ == "__main__":
    main()
