"""The checkpoint of a run: written whole or not at all, read without running code."""

import io
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vgan.data.files import write_atomic
from vgan.errors import CheckpointError, DeviceError, failure_of_device
from vgan.training.config import TrainConfig, from_dict

FORMAT = 1


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint; the file appears whole or not at all.

    Args:
        path: where to; its folder is made.
        state: tensors and plain values, nested in dictionaries and lists.

    Raises:
        DataError: the disk is full or the folder cannot be written.
    """
    # Through memory: torch.save turns a full disk into a RuntimeError without its reason.
    buffer = io.BytesIO()
    torch.save(state | {"format": FORMAT}, buffer)
    write_atomic(path, buffer.getvalue())


def all_finite(state: Any) -> bool:
    """Whether every floating-point tensor in a nested state is finite."""
    if isinstance(state, Tensor):
        return not state.is_floating_point() or bool(state.isfinite().all())
    if isinstance(state, dict):
        return all(all_finite(value) for value in state.values())
    if isinstance(state, list | tuple):
        return all(all_finite(value) for value in state)
    return True


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU; only tensors and plain values are accepted from the file.

    Raises:
        CheckpointError: the file is missing, damaged, or written by a newer version.
        DeviceError: there is too little memory to read it.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such checkpoint") from None
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError, OSError) as error:
        _blame_the_device(error, path)
        raise CheckpointError(
            f"{path}: damaged, or not a checkpoint; delete it to go on from the one before"
        ) from None
    if not isinstance(state, dict) or not isinstance(state.get("format"), int):
        raise CheckpointError(f"{path}: not a checkpoint of a training run")
    if state["format"] > FORMAT:
        raise CheckpointError(f"{path}: written by a newer version (format {state['format']})")
    return state


def checkpoint_config(state: dict[str, Any], path: Path, model: str) -> TrainConfig:
    """Return the settings in a checkpoint, which must be of the given model.

    Raises:
        CheckpointError: the checkpoint is of another model, or has no readable settings.
    """
    raw = state.get("config")
    if not isinstance(raw, dict):
        raise CheckpointError(f"{path}: no settings inside; not a checkpoint of a training run")
    config = from_dict(raw, str(path))
    if config.model != model:
        raise CheckpointError(
            f"{path}: a checkpoint of the {config.model} model, but the run trains {model}"
        )
    return config


def restore_trainer(trainer: Any, state: dict[str, Any], path: Path) -> None:
    """Give a trainer the state of a checkpoint.

    Raises:
        CheckpointError: the state is of a network of another shape.
        DeviceError: the device has too little memory for it.
    """
    with fitting(path):
        trainer.load_state_dict(state["trainer"])


@contextmanager
def fitting(path: Path) -> Iterator[None]:
    """Turn what goes wrong when a state is loaded into an error of ours that names its file."""
    try:
        yield
    except (RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
        _blame_the_device(error, path)
        why = str(error).strip().splitlines()[0]
        why = f"misses {why}" if isinstance(error, KeyError) else why
        raise CheckpointError(
            f"{path}: does not fit the run's settings ({why}); was it written by another version?"
        ) from None


def _blame_the_device(error: Exception, path: Path) -> None:
    """Raise a DeviceError where the device failed, and not the file."""
    if failure := failure_of_device(error):
        raise DeviceError(f"{path}: {failure}; the checkpoint is whole") from None
