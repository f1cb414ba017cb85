"""Signs that a run has gone wrong without an error: named, counted, never silent."""

from dataclasses import asdict, dataclass
from typing import Any

from vgan.training.config import TrainConfig

# Below this mean difference between clips of different codes (share of the full range; real clips
# of one category are at 0.09 to 0.18) the generator shows the same clip for every code.
MIN_DIVERSITY = 0.01
# A discriminator loss below this says that it tells every clip, and teaches nothing.
MIN_DISCRIMINATOR_LOSS = 0.01
# For how many steps, since single easy batches happen.
PATIENCE_STEPS = 300
# Share of a run, and steps, after which equal samples are a collapse and not a start: weights drawn
# from N(0, 0.01) make every clip the same at first. Six runs of the paper's recipe at an eighth of
# its width differed by 0.017 to 0.046 at step 300, 0.034 to 0.082 at 600.
WARM_UP = 0.25
WARM_UP_STEPS = 500


@dataclass
class Health:
    """What is known about a run's health; kept in its checkpoints.

    Args:
        easy_since: step since which the discriminator's loss is about 0, None if it is not.
        easy_told: whether that was reported.
        collapsed: whether the last sample sheet had collapsed.
        last_good: the newest checkpoint saved in good health, None before the first.
    """

    easy_since: int | None = None
    easy_told: bool = False
    collapsed: bool = False
    last_good: int | None = None

    @property
    def good(self) -> bool:
        """Whether nothing is wrong now."""
        return not (self.collapsed or self.easy_told)

    def see_metrics(self, step: int, means: dict[str, float]) -> str | None:
        """Look at the mean metrics up to a step; return a warning the first time it is due."""
        loss = means.get("loss_d")
        if loss is None or loss > MIN_DISCRIMINATOR_LOSS:
            self.easy_since, self.easy_told = None, False
            return None
        if self.easy_since is None:
            self.easy_since = step
        if self.easy_told or step - self.easy_since < PATIENCE_STEPS:
            return None
        self.easy_told = True
        return (
            f"step {step}: the discriminator's loss has been about 0 since step {self.easy_since}: "
            "it tells every clip apart and the generator learns nothing more"
        )

    def see_samples(self, step: int, config: TrainConfig, diversity: float) -> str | None:
        """Look at the difference between the sheet's clips; return a warning at a collapse."""
        begun = step > max(WARM_UP_STEPS, WARM_UP * config.steps)
        collapsed = begun and diversity < MIN_DIVERSITY
        began = collapsed and not self.collapsed
        self.collapsed = collapsed
        if not began:
            return None
        return (
            f"step {step}: the samples have collapsed: clips of different codes differ by "
            f"{diversity:.4f} of the full range (below {MIN_DIVERSITY})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the plain values that a checkpoint keeps."""
        return asdict(self)
