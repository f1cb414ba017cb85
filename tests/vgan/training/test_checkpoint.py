import errno
import os
import pickle
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from vgan.errors import CheckpointError, DataError, DeviceError
from vgan.training.checkpoint import (
    checkpoint_config,
    load_checkpoint,
    restore_trainer,
    save_checkpoint,
)
from vgan.training.trainers import build_trainer

CPU = torch.device("cpu")


def test_a_checkpoint_comes_back_exactly(tmp_path):
    weights = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    save_checkpoint(
        tmp_path / "new" / "a.pt", {"weights": weights, "step": 7, "nested": [{"a": 1}]}
    )
    state = load_checkpoint(tmp_path / "new" / "a.pt")

    assert torch.equal(state["weights"], weights)
    assert (state["step"], state["nested"]) == (7, [{"a": 1}])


@pytest.mark.parametrize("broken", ["write", "rename"])
def test_a_full_disk_leaves_the_old_checkpoint_and_nothing_half_written(
    tmp_path, monkeypatch, broken
):
    path = tmp_path / "a.pt"
    save_checkpoint(path, {"step": 1})

    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    if broken == "write":
        monkeypatch.setattr(Path, "write_bytes", full)
    else:
        monkeypatch.setattr(os, "replace", full)
    with pytest.raises(DataError, match=r"a.pt: cannot be written .No space left on device"):
        save_checkpoint(path, {"step": 2})

    assert load_checkpoint(path)["step"] == 1
    assert [file.name for file in tmp_path.iterdir()] == ["a.pt"]


def test_a_truncated_checkpoint_is_refused_by_name(tmp_path):
    path = tmp_path / "a.pt"
    save_checkpoint(path, {"weights": torch.zeros(1000)})
    path.write_bytes(path.read_bytes()[:2000])

    with pytest.raises(CheckpointError, match=r"a.pt: damaged"):
        load_checkpoint(path)


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("code ran",))

    path = tmp_path / "a.pt"
    path.write_bytes(pickle.dumps(Evil(), protocol=2))

    with pytest.raises(CheckpointError, match=r"a.pt: damaged, or not a checkpoint"):
        load_checkpoint(path)


def test_a_torch_file_that_is_no_checkpoint_is_refused(tmp_path):
    torch.save({"weights": torch.zeros(3)}, tmp_path / "a.pt")

    with pytest.raises(CheckpointError, match=r"a.pt: not a checkpoint of a training run"):
        load_checkpoint(tmp_path / "a.pt")


def test_a_checkpoint_of_a_newer_version_is_refused(tmp_path):
    torch.save({"format": 99}, tmp_path / "a.pt")

    with pytest.raises(CheckpointError, match=r"a.pt: written by a newer version"):
        load_checkpoint(tmp_path / "a.pt")


def test_a_checkpoint_of_another_model_is_refused_naming_both(tiny, tmp_path):
    state = {"config": asdict(tiny("one-stream"))}

    with pytest.raises(CheckpointError, match=r"one-stream model, but the run .* two-stream"):
        checkpoint_config(state, tmp_path / "a.pt", "two-stream")


def test_a_checkpoint_of_another_width_does_not_fit(tiny, tmp_path):
    wide = build_trainer(tiny(width=2), None, CPU)
    narrow = build_trainer(tiny(), None, CPU)

    with pytest.raises(CheckpointError, match=r"a.pt: does not fit the run's settings"):
        restore_trainer(narrow, {"trainer": wide.state_dict()}, tmp_path / "a.pt")


# What torch 2.13 says; the second is an AcceleratorError's.
FULL = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 7.79 GiB"
BROKEN = "CUDA error: an illegal memory access was encountered\nCUDA kernel errors might be"


@pytest.mark.parametrize(
    ("error", "told"),
    [(torch.OutOfMemoryError(FULL),
      "not enough memory on the GPU, which other programs may use too"),
     (torch.AcceleratorError(BROKEN),
      "the GPU failed (CUDA error: an illegal memory access was encountered)")],
)  # fmt: skip
def test_a_device_that_fails_is_not_taken_for_a_checkpoint_that_does_not_fit(
    tiny, tmp_path, monkeypatch, error, told
):
    trainer = build_trainer(tiny(), None, CPU)
    state = trainer.state_dict()

    def fail(*_):
        raise error

    # As a copy to a device would: load_state_dict wraps what this raises.
    monkeypatch.setattr(torch.Tensor, "copy_", fail)
    with pytest.raises(DeviceError) as caught:
        restore_trainer(trainer, {"trainer": state}, tmp_path / "a.pt")

    assert str(caught.value) == f"{tmp_path / 'a.pt'}: {told}; the checkpoint is whole"


def test_too_little_memory_does_not_make_a_checkpoint_damaged(tmp_path, monkeypatch):
    save_checkpoint(tmp_path / "a.pt", {"step": 1})

    def load(*_args, **_kwargs):
        return torch.empty(1 << 50)

    monkeypatch.setattr(torch, "load", load)
    with pytest.raises(DeviceError, match=r"a.pt: not enough memory on this machine,.* whole"):
        load_checkpoint(tmp_path / "a.pt")
