"""What the exclusion rules go by: thresholds, and the chances of sides that `side-bias` weighs.

The standard library only: `init` weighs a design and the dashboard, whose server must stay light,
the evidence by the numbers of the analysis.
"""

import math
from statistics import NormalDist

# Of every rule by its name. `side-bias` is a probability, the others are shares.
THRESHOLDS = {
    "gold": 0.8,
    "side-bias": 0.001,
    "too-fast": 0.1,
    "repeats": 0.5,
    "paper": 0.35,
    "paper-as-published": 0.35,
}
LEAST_REAL_TRIALS = 10  # the paper's rule judges a worker on at least this many
LEAST_REPEATS = 4  # fewer repeats tell a careful worker from a coin by luck

# How many standard errors the band of plots is wide on either side: a picture, not the rule.
SIDE_SIGMAS = NormalDist().inv_cdf(1 - THRESHOLDS["side-bias"] / 2)


def chance_of_sides(left: int, n: int, run: int) -> float:
    """Return how likely fair coin flips are as one-sided as these answers.

    Args:
        left: how many of the answers were left.
        n: answers that were no tie, at least 1.
        run: how many in a row, at most, were of one side.

    Returns:
        The smaller probability of two: of as uneven a number of sides (exact binomial, two-sided),
        and of as long a run.
    """
    return min(uneven_probability(left, n), longest_run_probability(run, n))


def uneven_probability(left: int, n: int) -> float:
    """Return the two-sided exact binomial p-value of `left` out of n fair coin flips."""
    fewer = min(left, n - left)
    if 2 * fewer >= n - 1:  # both tails together are all there is
        return 1.0
    logs = math.lgamma(n + 1) - math.lgamma(fewer + 1) - math.lgamma(n - fewer + 1)
    term = total = math.exp(logs - n * math.log(2))
    for k in range(fewer, 0, -1):  # from the largest term down, until the rest is nothing
        term *= k / (n - k + 1)
        total += term
        if term < 1e-17 * total:
            break
    return min(1.0, 2 * total)


def longest_run_probability(run: int, n: int) -> float:
    """Return the chance that n fair coin flips have a run of equal sides at least `run` long."""
    if run <= 1 or n < run:
        return 1.0 if 0 < run <= n else 0.0
    # never[k]: chance of no such run in k flips. One that ends at flip k, and is the first, follows
    # a flip of the other side, before which there was none.
    never = [1.0] * run
    never.append(1 - 2.0 ** (1 - run))
    for k in range(run + 1, n + 1):
        never.append(never[k - 1] - 2.0**-run * never[k - run])
    return 1 - never[n]
