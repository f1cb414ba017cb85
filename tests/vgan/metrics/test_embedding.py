import json
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from vgan.errors import DataError
from vgan.metrics.embedding import FVD_CLIPS, open_embedder, random_embedder
from vgan.metrics.frechet import sample_distance

CPU = torch.device("cpu")


class MeanColour(nn.Module):
    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        return clips.mean((2, 3, 4))


class LikeI3d(nn.Module):
    """Has the arguments of the field's I3D file, and gives what it was given."""

    def forward(
        self,
        clips: torch.Tensor,
        rescale: bool = True,
        resize: bool = True,
        return_features: bool = False,
    ) -> torch.Tensor:
        if rescale or resize or not return_features:
            return torch.zeros(1, 1)
        size = float(clips.shape[2] * 1000 + clips.shape[3])
        return torch.full((clips.shape[0], 400), size)


def saved(module, path):
    with warnings.catch_warnings():
        # What published files were made with.
        warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is deprecated")
        torch.jit.save(torch.jit.script(module), str(path))
    return path


@pytest.fixture
def clips() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (4, 32, 64, 64, 3), np.uint8)


def test_default_embedder_is_the_same_every_time_and_names_itself(clips):
    first, second = (random_embedder().features(clips[:2], CPU) for _ in range(2))

    assert (first == second).all()
    assert first.shape == (2, 32)
    assert random_embedder().protocol(64, 60, 32, 64) == (
        "Fréchet distance (random-conv-32; 64 against 60 clips of 32 frames, 64 px scaled to 32)"
    )


def test_default_embedder_gives_the_numbers_that_earlier_tables_rest_on():
    ramp = np.arange(32 * 64 * 64 * 3).reshape(1, 32, 64, 64, 3) % 251
    found = random_embedder().features(ramp.astype(np.uint8), CPU)[0]

    assert found[:4] == pytest.approx([0.31898, 1.32288, 0.48839, 0.65367], rel=1e-3)


def test_default_embedder_tells_frozen_clips_from_moving_ones():
    rng = np.random.default_rng(0)
    moving = np.stack([
        np.stack([np.roll(picture, t, axis=1) for t in range(32)])
        for picture in rng.integers(0, 256, (24, 8, 8, 3), np.uint8).repeat(8, 1).repeat(8, 2)
    ])  # fmt: skip
    frozen = np.broadcast_to(moving[:, :1], moving.shape)
    seen, others = (random_embedder().features(c, CPU) for c in (moving[:12], moving[12:]))
    held = random_embedder().features(frozen[:12], CPU)

    floor = sample_distance(seen, others, shrink=True)
    assert sample_distance(held, others, shrink=True) > 5 * floor


def test_a_torchscript_file_embeds_and_is_named_with_its_checksum(clips, tmp_path):
    path = saved(MeanColour(), tmp_path / "colour.pt")
    embedder = open_embedder(path, CPU)

    expected = clips.mean((1, 2, 3)) / 127.5 - 1
    assert embedder.features(clips, CPU) == pytest.approx(expected, abs=1e-5)
    assert embedder.name.startswith("colour ")
    assert len(embedder.name.split()[1]) == 8
    assert embedder.protocol(FVD_CLIPS, FVD_CLIPS, 16, 224).startswith("Fréchet distance (colour")


def test_frames_and_size_come_from_the_file_beside_it(clips, tmp_path):
    path = saved(LikeI3d(), tmp_path / "net.pt")
    stated = saved(MeanColour(), tmp_path / "mae.pt")
    (tmp_path / "mae.json").write_text(json.dumps({"name": "VideoMAE", "frames": 16, "size": 32}))

    assert (
        open_embedder(stated, CPU)
        .protocol(9, 9, 32, 64)
        .endswith("9 against 9 clips of 16 frames, 64 px scaled to 32)")
    )
    assert (open_embedder(path, CPU).features(clips[:1], CPU) == 16 * 1000 + 224).all()
    clips[:, 16:] = 255
    clips[:, :16] = 0
    assert (open_embedder(stated, CPU).features(clips, CPU) == -1).all()  # of the first frames


def test_only_i3d_with_the_published_numbers_is_called_fvd(tmp_path):
    embedder = open_embedder(saved(LikeI3d(), tmp_path / "i3d.pt"), CPU)

    assert embedder.protocol(2048, 2048, 16, 224).startswith("FVD (I3D i3d.pt ")
    assert embedder.protocol(2048, 2048, 32, 64).startswith("FVD (")  # cut and scaled as published
    assert embedder.protocol(64, 2048, 16, 224).startswith("Fréchet distance (I3D i3d.pt ")
    assert embedder.protocol(2048, 2048, 8, 224).startswith("Fréchet distance (")
    assert not random_embedder().protocol(2048, 2048, 16, 224).startswith("FVD")


def test_too_little_memory_is_not_told_as_clips_that_an_embedder_cannot_take(clips):
    def full(_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    embedder = random_embedder()
    with pytest.raises(torch.OutOfMemoryError):
        replace(embedder, embed=full).features(clips, CPU)


def test_files_that_are_no_embedder_are_refused_in_one_line(clips, tmp_path):
    (tmp_path / "text.pt").write_text("no network")
    wrong = saved(nn.Linear(3, 4), tmp_path / "linear.pt")
    (tmp_path / "linear.json").write_text('{"frames": "many"}')

    for path, said in (("none.pt", "no such file"), ("text.pt", "not a TorchScript")):
        with pytest.raises(DataError, match=said):
            open_embedder(tmp_path / path, CPU)
    with pytest.raises(DataError, match="`frames` and `size`"):
        open_embedder(wrong, CPU)
    (tmp_path / "linear.json").unlink()
    with pytest.raises(DataError, match="cannot take clips"):
        open_embedder(wrong, CPU).features(clips, CPU)
