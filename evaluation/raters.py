"""Simulated raters: what each kind sees, answers, and how fast (no database here).

The latent quality of a source is a number on the logit scale. A rater prefers clip A with
probability logistic(difference of the sources + difference of this rater's taste for the two
sources + difference of the two clips). Taste has a standard deviation of 0.5 per comparison and
each clip one of 0.5, as in the planning simulation behind the intervals; the kinds differ in what
they do with it.
"""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from evaluation.errors import UsageError
from evaluation.schema import Choice, Side, TrialKind
from evaluation.sessions.order import opposite

RATER_SD = 0.5  # of a rater's taste for one comparison
CLIP_SD = 0.5  # of a clip
_TASTE_SD = RATER_SD / math.sqrt(2)  # for one source, so that a difference has RATER_SD

# Solved so that, averaged over raters and clips, the preferences of Table 1's Mean column come
# out within 1.3 points of the published 82, 82, 53, 18, 16 and 3 percent; and the 62 percent that
# preferred generated clips to a static frame, taken for the two-stream generator's.
PAPER_STRENGTHS: Mapping[str, float] = {
    "real": 0.0,
    "vgan-two-stream": -1.79,
    "vgan-one-stream": -1.90,
    "autoencoder-gmm": -3.61,
    "static": -2.36,
}
_UNKNOWN = (-2.0, 1.0)  # mean and standard deviation of the quality of other sources


@dataclass(frozen=True)
class RaterKind:
    """How a kind of rater answers.

    Args:
        gold: probability of a right answer where there is a right answer.
        lapse: probability of answering without looking, on a random side.
        one_side: probability of pressing the rater's own favourite side whatever is shown.
        flips_real: judges a real clip as the fake one, wherever one is shown.
        median_ms: median response time after the clips have been watched once.
        log_sd: standard deviation of the response time's logarithm.
        watches: whether it waits for one full loop before answering.
    """

    gold: float
    lapse: float = 0.0
    one_side: float = 0.0
    flips_real: bool = False
    median_ms: float = 1500.0
    log_sd: float = 0.5
    watches: bool = True


KINDS: Mapping[str, RaterKind] = {
    "careful": RaterKind(gold=0.98),
    "noisy": RaterKind(gold=0.85, lapse=0.3, log_sd=0.8),
    "side-biased": RaterKind(gold=0.75, one_side=0.6, median_ms=900.0),
    "random": RaterKind(gold=0.5, lapse=1.0, median_ms=1200.0),
    "fast-clicker": RaterKind(gold=0.5, lapse=1.0, median_ms=250.0, log_sd=0.3, watches=False),
    "real-looks-fake": RaterKind(gold=0.95, flips_real=True),
}
DEFAULT_MIX: Mapping[str, float] = {"careful": 0.85, "noisy": 0.1, "fast-clicker": 0.05}


@dataclass(frozen=True)
class SeenPair:
    """What a rater is shown: names of sources and clips, the sides, and how long a loop lasts."""

    kind: TrialKind
    source_a: str
    source_b: str
    clip_a: str
    clip_b: str
    a_is_left: bool
    correct: Side | None
    loop_ms: float


@dataclass
class World:
    """The latent truth that all raters of one simulation share; a function of its seed.

    Args:
        seed: of everything random here.
        strengths: quality per source, logit scale; the paper's sources have defaults, and the
            quality of any other source is drawn from the seed and its name.
    """

    seed: int
    strengths: Mapping[str, float] = field(default_factory=dict)
    _clips: dict[str, float] = field(default_factory=dict, repr=False)

    def strength(self, source: str) -> float:
        """Return the quality of a source."""
        for known in (self.strengths, PAPER_STRENGTHS):
            if source in known:
                return known[source]
        return random.Random(f"{self.seed}/source/{source}").gauss(*_UNKNOWN)

    def clip_effect(self, clip: str) -> float:
        """Return how much better than its source's average a clip is."""
        if clip not in self._clips:
            self._clips[clip] = random.Random(f"{self.seed}/clip/{clip}").gauss(0.0, CLIP_SD)
        return self._clips[clip]


class Rater:
    """One simulated worker.

    Args:
        name: the worker's id; with the world's seed it fixes taste and favourite side.
        kind: how it answers.
        world: the truth it perceives.
    """

    def __init__(self, name: str, kind: RaterKind, world: World) -> None:
        self.kind = kind
        self._world = world
        self._seed = f"{world.seed}/rater/{name}"
        self._favourite = random.Random(f"{self._seed}/side").choice([Side.LEFT, Side.RIGHT])
        self._tastes: dict[str, float] = {}

    def _taste(self, source: str) -> float:
        if source not in self._tastes:
            rng = random.Random(f"{self._seed}/taste/{source}")
            self._tastes[source] = rng.gauss(0.0, _TASTE_SD)
        return self._tastes[source]

    def prefers_a(self, pair: SeenPair) -> float:
        """Return the probability that this rater, looking, prefers clip A."""
        world = self._world
        if pair.clip_a == pair.clip_b:
            return 0.5
        a, b = (
            world.strength(source) + self._taste(source) + world.clip_effect(clip)
            for source, clip in ((pair.source_a, pair.clip_a), (pair.source_b, pair.clip_b))
        )
        logit = a - b
        if self.kind.flips_real and "real" in (pair.source_a, pair.source_b):
            logit = -logit
        return 1.0 / (1.0 + math.exp(-logit))

    def choose(self, pair: SeenPair, rng: random.Random) -> Choice:
        """Return the side this rater presses."""
        if rng.random() < self.kind.one_side:
            return Choice(self._favourite.value)
        if pair.correct is not None:
            right = rng.random() < self.kind.gold
            return Choice((pair.correct if right else opposite(pair.correct)).value)
        chance = 0.5 if rng.random() < self.kind.lapse else self.prefers_a(pair)
        a_wins = rng.random() < chance
        return Choice.LEFT if a_wins is pair.a_is_left else Choice.RIGHT

    def response_ms(self, pair: SeenPair, rng: random.Random) -> float:
        """Return the time from the first frame to the answer."""
        thinking = rng.lognormvariate(math.log(self.kind.median_ms), self.kind.log_sd)
        return round(thinking + (pair.loop_ms if self.kind.watches else 0.0), 1)


def parse_mix(mix: Mapping[str, float]) -> dict[str, float]:
    """Return the shares of the kinds, scaled to a sum of 1.

    Raises:
        UsageError: an unknown kind, or a share that is negative, no number, or all are 0.
    """
    for kind, share in mix.items():
        if kind not in KINDS:
            raise UsageError(f"no kind of rater {kind!r}; known: {', '.join(KINDS)}")
        if not (math.isfinite(share) and share >= 0):
            raise UsageError(f"the share of {kind} must be a number of at least 0, got {share!r}")
    total = sum(mix.values())
    if not total > 0:
        raise UsageError("the shares of the raters sum to 0; give one of them a share")
    return {kind: share / total for kind, share in mix.items() if share}


def assign_kinds(n_workers: int, mix: Mapping[str, float], rng: random.Random) -> list[str]:
    """Return the kind of each worker: shares as exact as whole workers allow, random order."""
    shares = parse_mix(mix)
    counts = {kind: int(share * n_workers) for kind, share in shares.items()}
    by_remainder = sorted(
        shares, key=lambda kind: counts[kind] - shares[kind] * n_workers
    )  # largest remainder first; equal ones in the order given
    for kind in by_remainder[: n_workers - sum(counts.values())]:
        counts[kind] += 1
    kinds = [kind for kind, n in counts.items() for _ in range(n)]
    rng.shuffle(kinds)
    return kinds
