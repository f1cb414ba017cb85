"""Open a run folder: begin a run in it, or make sure that the run in it is the one asked for.

This module imports no torch: a run that is finished is found so at once.
"""

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from vgan.data.listing import (
    FRAMES,
    MORE_TEST_CLIPS,
    SIZE,
    lacks_test_clips,
    list_clips,
    mixed_rates,
    training_categories,
)
from vgan.data.locking import locked
from vgan.data.manifest import ClipRecord
from vgan.errors import DataError, UsageError
from vgan.training.config import TrainConfig, check_config, option_name
from vgan.training.folder import RunFolder, TrainingData

logger = logging.getLogger(__name__)

NAMED_SKIPPED = 10  # clips named on the terminal; all of them are in data.json
# What may differ when a run is resumed: it changes what is written, not what is learnt.
FREE_ON_RESUME = ("sample_every", "checkpoint_every")


def only_category(data: Path) -> str:
    """Return the category that is trained on where none is named: the only one there is.

    Args:
        data: the clip folder; or a list of stacked clips, which have none and are called `all`.

    Raises:
        UsageError: there are several; the message names them.
        DataError: no such folder, or no training clips in it.
    """
    if data.is_file():
        return "all"
    found = training_categories(data)
    if len(found) > 1:
        raise UsageError(f"give --category; there are {', '.join(found)} in {data}")
    return found[0]


def resumed_config(saved: TrainConfig, **asked: Any) -> TrainConfig:
    """Return the settings of a run that is taken up again.

    What was not asked for (None) stays as it was. What only decides when things are written may
    change, and so may `steps` while the learning rate does not depend on it.

    Raises:
        UsageError: a setting that decides the weights differs; the message names it.
    """
    free = set(FREE_ON_RESUME)
    if saved.learning_rate_floor == 1.0:
        free.add("steps")
    changes: dict[str, Any] = {}
    for name, value in asked.items():
        if value is None or value == getattr(saved, name):
            continue
        if name not in free:
            why = ", towards which its learning rate falls" if name == "steps" else ""
            raise UsageError(
                f"cannot resume with {option_name(name)} {value}: the run was started with "
                f"{getattr(saved, name)}{why}; leave it out or start a new run with another --out"
            )
        changes[name] = value
    config = replace(saved, **changes)
    check_config(config)
    return config


def open_folder(folder: RunFolder, config: TrainConfig, resume: bool) -> TrainConfig:
    """Return the settings to train with, those of the run in the folder where there is one.

    Raises:
        UsageError: the folder holds a run and `resume` is off, a run of other settings or one
            that is trained further already, or something that is no run.
    """
    if folder.config.is_file():
        if not resume:
            raise UsageError(f"{folder.path} already holds a run; add --resume to go on with it")
        config = resumed_config(folder.read_config(), **asdict(config))
        if (step := max(folder.saved_steps(), default=0)) > config.steps:
            raise UsageError(
                f"cannot resume with `steps` {config.steps}: the run is trained to step {step} "
                "already; leave it out or start a new run with another --out"
            )
        return config
    if folder.path.exists() and not folder.path.is_dir():
        raise UsageError(f"{folder.path} is a file; --out must be a new folder")
    begun = {folder.data.name, folder.versions.name, folder.lock.name}
    if folder.path.is_dir() and {file.name for file in folder.path.iterdir()} - begun:
        raise UsageError(
            f"{folder.path} is not empty and holds no run to --resume; give another --out"
        )
    return config


@contextmanager
def alone_in(folder: RunFolder) -> Iterator[None]:
    """Keep other processes from training in a run folder; where no run begins, leave no folder.

    Raises:
        UsageError: another process is training in it.
        DataError: the folder cannot be written.
    """
    in_use = f"{folder.path}: another process is training here; wait for it or give another --out"
    with locked(folder.lock, in_use):
        try:
            yield
        finally:
            if not folder.config.is_file():
                with suppress(OSError):  # it is not empty
                    folder.lock.unlink()
                    folder.path.rmdir()


def nothing_to_do(
    folder: RunFolder, config: TrainConfig, data: Path, root: Path | None = None
) -> bool:
    """Whether the run of these settings is finished; says so, if it is.

    Args:
        folder: of the run.
        config: as `open_folder` or `resumed_config` returned it.
        data: the clips asked for. Those of a finished run are compared by their list, since
            decoding takes longer; and only those named anew need to be there still.
        root: of a list's paths.

    Raises:
        UsageError: the finished run was trained on other clips.
        DataError: there are no such clips, and they are not those the run was started with.
    """
    steps = folder.saved_steps()
    trained = bool(steps) and steps[-1] >= config.steps
    if not trained or (config.model == "autoencoder" and not folder.mixture.is_file()):
        return False
    saved = folder.read_data()
    try:
        used = listed_for_training(saved, data, root)
    except DataError:
        if str(data.resolve()) != saved.folder:
            raise
    else:
        _check_same_clips(saved, data, used)
    logger.info("%s: already finished at step %d; nothing to do", folder.path, config.steps)
    return True


def listed_for_training(
    saved: TrainingData, data: Path, root: Path | None = None
) -> list[ClipRecord]:
    """Return the training clips that are listed now; none is decoded.

    Args:
        saved: what a run was trained on; the clips it could not use are left out.
        data: the clip folder, or the list of stacked clips.
        root: of a list's paths.

    Raises:
        DataError: there are no such clips.
    """
    listed = list_clips(data, saved.category, "train", (FRAMES, SIZE, SIZE), root).records
    left_out = {clip for clip, _ in saved.skipped}
    return [record for record in listed if record.clip not in left_out] or listed


def check_data(
    folder: RunFolder,
    config: TrainConfig,
    data: Path,
    records: Sequence[ClipRecord],
    skipped: Sequence[tuple[str, str]],
    root: Path | None = None,
) -> None:
    """Write down what the run is trained on, or check that it is still the same.

    Args:
        folder: of the run.
        config: its settings.
        data: the clip folder, or the list of stacked clips.
        records: of the clips that are trained on.
        skipped: (clip, why) of those that are not; they are named.
        root: of a list's paths.

    Raises:
        UsageError: a resumed run's clips are not those it was started with.
    """
    for clip, why in skipped[:NAMED_SKIPPED]:
        logger.warning("%s: not trained on (%s)", (root or data) / clip, why)
    if len(skipped) > NAMED_SKIPPED:
        logger.warning("%d clips in all are not trained on: %s", len(skipped), folder.data)
    if folder.config.is_file():
        _check_same_clips(folder.read_data(), data, records)
        return
    if mixed := mixed_rates(records):
        logger.warning("%s: %s", data, mixed)
    if data.is_dir() and lacks_test_clips(data, config.category):
        logger.warning(
            "%s: no test clips of %s to measure generated ones against (%s)",
            data, config.category, MORE_TEST_CLIPS,
        )  # fmt: skip
    rates = sorted(record.fps for record in records)
    folder.write_data(
        TrainingData(
            folder=str(data.resolve()),
            category=config.category,
            clips_sha256=clips_fingerprint(records),
            clips=len(records),
            fps=rates[len(rates) // 2],
            skipped=tuple(skipped),
            root=None if root is None else str(root.resolve()),
        )
    )


def _check_same_clips(saved: TrainingData, data: Path, records: Sequence[ClipRecord]) -> None:
    if saved.clips_sha256 != clips_fingerprint(records):
        raise UsageError(
            f"cannot resume with `data` {data}: its clips are not those of {saved.folder} "
            "that the run was started with"
        )


def clips_fingerprint(records: Sequence[ClipRecord]) -> str:
    """Return the SHA-256 of the names and checksums of the training clips, in their order."""
    listed = json.dumps([(record.clip, record.sha256) for record in records])
    return hashlib.sha256(listed.encode()).hexdigest()
