"""The folder of a run: its files, and what is known of the run without loading a network.

A run folder holds `config.json` (every setting), `data.json` (what it was trained on),
`versions.json`, `forms.json` (how its layers are worked out), `metrics.jsonl`, `tensorboard/`,
`samples/`, `sheet.png`, `checkpoints/` and, for the autoencoder, `mixture.pt`.

This module imports no torch, so that a command that finds its work done says so at once.
"""

import json
import re
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from vgan.data.files import write_json
from vgan.data.manifest import sha256_of
from vgan.errors import CheckpointError, DataError
from vgan.training.config import TrainConfig, from_json

_CHECKPOINT_NAME = re.compile(r"step-(\d+)\.pt")


@dataclass(frozen=True)
class TrainingData:
    """What a run was trained on, as `data.json` keeps it.

    Args:
        folder: the clip folder, or the text list of stacked clips.
        category: of the clips.
        clips_sha256: of the names and checksums of its training clips; a resumed run must find the
            same.
        clips: number of training clips; 0 of a generator that was trained elsewhere.
        fps: frames per second of the training clips, and so of what is generated.
        skipped: clips that were not trained on, with the reason of each.
        root: of the list's paths, where it was given.
    """

    folder: str
    category: str
    clips_sha256: str
    clips: int
    fps: float
    skipped: tuple[tuple[str, str], ...] = ()
    root: str | None = None

    def clips_in(self, data: Path | None) -> Path:
        """Return the folder of clips that was asked for, or the run's own.

        Raises:
            DataError: none was asked for, and the run's own is gone.
        """
        own = Path(self.folder)
        if data is None and not own.exists():
            raise DataError(f"{own}: the run's clips are no longer there; give others with --data")
        return data or own

    @property
    def list_root(self) -> Path | None:
        """The folder that a list's paths are below, where it was given."""
        return Path(self.root) if self.root else None


class RunFolder:
    """Where the files of one run are.

    Args:
        path: the run folder; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.json"
        self.data = path / "data.json"
        self.versions = path / "versions.json"
        self.forms = path / "forms.json"
        self.metrics = path / "metrics.jsonl"
        self.tensorboard = path / "tensorboard"
        self.samples = path / "samples"
        self.sheet = path / "sheet.png"
        self.mixture = path / "mixture.pt"
        self.checkpoints = path / "checkpoints"
        self.lock = path / ".lock"

    def checkpoint(self, step: int) -> Path:
        """Return where the checkpoint after `step` steps is kept."""
        return self.checkpoints / f"step-{step:07d}.pt"

    def saved_steps(self) -> list[int]:
        """Return the steps that have a checkpoint, oldest first."""
        if not self.checkpoints.is_dir():
            return []
        names = (_CHECKPOINT_NAME.fullmatch(file.name) for file in self.checkpoints.iterdir())
        return sorted(int(name[1]) for name in names if name)

    def newest_checkpoint(self) -> tuple[int, Path]:
        """Return the newest checkpoint: its step and its file.

        Raises:
            CheckpointError: there is none yet.
        """
        steps = self.saved_steps()
        if not steps:
            raise CheckpointError(
                f"{self.path}: no checkpoint yet; continue the run with "
                f"`vgan train {self.read_config().model} --resume --out {self.path}`"
            )
        return steps[-1], self.checkpoint(steps[-1])

    def read_config(self) -> TrainConfig:
        """Read the run's settings.

        Raises:
            CheckpointError: this is not a run folder, or its settings cannot be read.
        """
        return from_json(_read_text(self.config), str(self.config))

    def read_data(self) -> TrainingData:
        """Read what the run was trained on.

        Raises:
            CheckpointError: the file is missing or damaged.
        """
        try:
            raw = json.loads(_read_text(self.data))
            raw["skipped"] = tuple((clip, why) for clip, why in raw["skipped"])
            return TrainingData(**raw)
        except (ValueError, TypeError, KeyError) as error:
            raise CheckpointError(f"{self.data}: damaged ({error})") from None

    def check_discriminator(self) -> None:
        """Make sure that the run's discriminator has learnt something.

        Raises:
            CheckpointError: it has not: the run is a generator that was trained elsewhere.
        """
        if not self.read_data().clips:
            raise CheckpointError(
                f"{self.path}: its discriminator has learnt nothing, since `vgan convert` made the "
                "run of a generator alone; take a run that `vgan train` made"
            )

    def write_data(self, data: TrainingData) -> None:
        """Write what the run is trained on."""
        write_json(self.data, asdict(data))

    def prune(self, keep: set[int]) -> None:
        """Delete the checkpoints of all other steps, and what a killed process left unfinished."""
        for step in self.saved_steps():
            if step not in keep:
                self.checkpoint(step).unlink()
        for part in self.checkpoints.glob(".*.part"):
            part.unlink()


@dataclass(frozen=True)
class SavedRun:
    """A run as it lies in its folder: what is known of it before its network is loaded.

    Args:
        folder: where its files are.
        config: its settings.
        data: what it was trained on.
        step: steps trained.
        file: its newest checkpoint.
    """

    folder: RunFolder
    config: TrainConfig
    data: TrainingData
    step: int
    file: Path

    @cached_property
    def checkpoint_sha256(self) -> str:
        """The checksum of the checkpoint, which names the weights."""
        return sha256_of(self.file)


def find_run(path: Path) -> SavedRun:
    """Find the newest checkpoint of a run, without loading it.

    Args:
        path: the run folder.

    Raises:
        CheckpointError: not a run folder, or no checkpoint yet.
    """
    folder = RunFolder(path)
    config, data = folder.read_config(), folder.read_data()
    return SavedRun(folder, config, data, *folder.newest_checkpoint())


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise CheckpointError(
            f"{path.parent}: not a run folder (no {path.name}){_runs_below(path.parent)}"
        ) from None
    except NotADirectoryError:
        raise CheckpointError(
            f"{path.parent}: is a file; give the run folder, where config.json and checkpoints/ are"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path}: cannot be read ({error})") from None


def _runs_below(folder: Path) -> str:
    """Name the runs in a folder that is none itself, as part of a message."""
    runs = sorted(str(config.parent) for config in folder.glob("*/config.json"))
    return f"; the runs in it are {', '.join(runs)}" if runs else ""
