"""The rows of the table: which methods there are, and what each needs."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from vgan.data.listing import FRAMES, SIZE, list_clips
from vgan.errors import UsageError
from vgan.representation.classifier import Schedule
from vgan.representation.frame_methods import Pretraining, ShuffleAndLearn, TemporalCoherence
from vgan.representation.names import METHODS
from vgan.representation.pretrained import PretrainedDiscriminator, load_discriminator
from vgan.representation.protocol import Method
from vgan.representation.stip import BagOfWords, Stip
from vgan.representation.unlabelled import UnlabelledClips, only_category, open_unlabelled
from vgan.representation.vgan_methods import FineTuned, FromScratch, LogisticOnLayer4


@dataclass(frozen=True)
class Budget:
    """How long everything trains.

    Args:
        fine_tuning: of the VGAN network, and of its random start.
        converged: of the random start that trains on until its loss is low.
        frames: fine-tuning of the frame networks.
        pretraining: of the frame networks.
        bag: of words.
        vgan_steps: of the VGAN, where a run is trained here.
    """

    fine_tuning: Schedule
    converged: Schedule
    frames: Schedule
    pretraining: Pretraining
    bag: BagOfWords
    vgan_steps: int


def budget_of(name: str) -> Budget:
    """Return the settings of a budget: `full` is a GPU's day, `small` minutes on a laptop."""
    if name == "full":
        return Budget(
            fine_tuning=Schedule(epochs=27, batch=256),
            converged=Schedule(epochs=300, batch=256, enough=0.02),
            frames=Schedule(epochs=60, batch=256, learning_rate=1e-3),
            pretraining=Pretraining(steps=100_000, batch=128, width=32),
            bag=BagOfWords(),
            vgan_steps=65_000,
        )
    return Budget(
        fine_tuning=Schedule(epochs=27, batch=16),
        converged=Schedule(epochs=120, batch=16, enough=0.02),
        frames=Schedule(epochs=60, batch=32, learning_rate=1e-3),
        pretraining=Pretraining(steps=400, batch=48, width=16),
        bag=BagOfWords(words=800, sample=40_000),
        vgan_steps=600,
    )


@dataclass(frozen=True)
class Sources:
    """What pre-training starts from.

    Args:
        run: a run with the paper's discriminator; None trains one on `unlabelled`.
        unlabelled: a clip folder without labels; None leaves the frame methods the training
            videos of each split.
        imagenet: a file of ResNet weights.
        width: of the VGAN networks.
        device: where they run.
        out: folder where a run is trained.
    """

    run: Path | None
    unlabelled: Path | None
    imagenet: Path | None
    width: int
    device: torch.device
    out: Path

    def lacking(self, method: str) -> str | None:
        """Say what a method needs and is not there, or None."""
        if method in ("vgan-logistic", "vgan-finetune") and not (self.run or self.unlabelled):
            return "needs --run RUN, or --unlabelled CLIPS to train one on"
        if method == "imagenet" and self.imagenet is None:
            return "needs --imagenet FILE, the weights of a ResNet"
        return None


def check_sources(names: Sequence[str], sources: Sources) -> None:
    """Make sure that methods have what they need, before hours are spent on others.

    Raises:
        UsageError: something that a method needs was not given, or the unlabelled clips are of
            several categories.
        CheckpointError: the run will not do.
        DataError: the unlabelled clips are not there or of another size, or the weights cannot be
            read.
    """
    for name in names:
        if (why := sources.lacking(name)) is not None:
            raise UsageError(f"{name} {why}")
    if sources.run is not None:
        load_discriminator(sources.run, sources.width)
    if sources.unlabelled is not None:
        clips = sources.unlabelled
        list_clips(clips, only_category(clips), "train", (FRAMES, SIZE, SIZE))
    if "imagenet" in names:
        _imagenet(sources)


def build_methods(names: Sequence[str], sources: Sources, budget: Budget) -> list[Method]:
    """Make methods ready to be asked; a run is trained here where one is needed and not given.

    Args:
        names: of the methods; `check_sources` was asked about them.
        sources: what they start from.
        budget: how long they train.
    """
    builder = _Builder(sources, budget)
    return [builder.method(name) for name in names]


class _Builder:
    """Opens what several rows share once."""

    def __init__(self, sources: Sources, budget: Budget) -> None:
        self.sources, self.budget = sources, budget

    def method(self, name: str) -> Method:
        """Return the method of a name."""
        budget, width = self.budget, self.sources.width
        if name.startswith("vgan-random"):
            is_long = name == "vgan-random-converged"
            return FromScratch(name, width, budget.converged if is_long else budget.fine_tuning)
        if name == "coherence-drlim":
            return TemporalCoherence(self.unlabelled, budget.pretraining, budget.frames, "drlim")
        if name == "coherence-l1":
            return TemporalCoherence(self.unlabelled, budget.pretraining, budget.frames, "l1")
        if name == "shuffle-and-learn":
            return ShuffleAndLearn(self.unlabelled, budget.pretraining, budget.frames)
        if name == "vgan-logistic":
            return LogisticOnLayer4(self.pretrained)
        if name == "vgan-finetune":
            return FineTuned(self.pretrained, budget.fine_tuning)
        if name == "imagenet":
            return _imagenet(self.sources)
        if name in ("stip", "stip-64"):
            return Stip("native" if name == "stip" else "small", budget.bag)
        raise UsageError(f"no method called {name!r}; there are {', '.join(METHODS)}")

    @cached_property
    def unlabelled(self) -> UnlabelledClips | None:
        """The unlabelled clips, where a folder of them was given."""
        folder = self.sources.unlabelled
        return open_unlabelled(folder) if folder is not None else None

    @cached_property
    def pretrained(self) -> PretrainedDiscriminator:
        """The discriminator of the run, trained now where none was given."""
        return load_discriminator(self.sources.run or self._train(), self.sources.width)

    def _train(self) -> Path:
        from vgan.training.config import resolve_config
        from vgan.training.folder import RunFolder
        from vgan.training.loop import TrainingInterrupted, train

        clips = self.sources.unlabelled
        assert clips is not None  # `check_sources` was asked
        config = resolve_config(
            "two-stream", "small", "paper",
            device=str(self.sources.device), width=self.sources.width,
            steps=self.budget.vgan_steps, category=only_category(clips),
        )  # fmt: skip
        run = RunFolder(self.sources.out / "vgan")
        if run.config.is_file() and (steps := run.read_config().steps) != config.steps:
            raise UsageError(
                f"{run.path}: a run of {steps} steps, and this --budget asks for {config.steps}; "
                "take another --out"
            )
        try:
            return train(config, clips, run.path, resume=True, device=self.sources.device)
        except TrainingInterrupted:  # says how `vgan train` would go on, not this
            raise KeyboardInterrupt from None


def _imagenet(sources: Sources) -> Method:
    from vgan.data.manifest import sha256_of
    from vgan.representation.imagenet import ImageNet, load_features

    assert sources.imagenet is not None  # `lacking` was asked
    return ImageNet(load_features(sources.imagenet), sha256_of(sources.imagenet))
