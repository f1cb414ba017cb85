"""The Python that the documentation shows runs as it stands there."""

import re
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest
import torch

from vgan.data.videos import read_video, video_info
from vgan.generated_folder import order_clips
from vgan.sampling import generate

DOCS = Path(__file__).parents[2] / "docs"


def _run(page: str, with_words: str) -> dict[str, Any]:
    """Run the one fenced block of a page that has the words; return its names."""
    blocks = re.findall(r"^```python\n(.*?)^```$", (DOCS / page).read_text("utf-8"), re.M | re.S)
    (block,) = (text for text in blocks if with_words in text)
    names: dict[str, Any] = {}
    exec(block, names)
    return names


@pytest.fixture
def here(tmp_path, monkeypatch, runs):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/beach-two-stream").symlink_to(runs["two-stream"])
    return tmp_path


def test_a_run_used_from_python_makes_the_clips_of_generate(here):
    names = _run("training.md", "load_run")

    generate(order_clips(Path("runs/beach-two-stream"), Path("out"), 4, 1))
    assert names["made"].mask.shape == (4, 1, 32, 64, 64)
    for number, frames in enumerate(names["frames"]):
        saved = read_video(here / f"out/beach/{number:05}.mp4").frames
        # 4 clips at once, 16 in a chunk: the last bit of a sum may differ.
        assert np.abs(frames.astype(int) - saved).max() <= 1


def test_the_streams_of_a_future_run_take_pictures(runs):
    from vgan.training.run import load_run

    with torch.no_grad():
        made = load_run(runs["future"]).network.streams(torch.zeros(2, 3, 64, 64))

    assert made.clip.shape == (2, 3, 32, 64, 64)


def test_a_clip_becomes_a_gif_of_four_times_its_size(here):
    generate(order_clips(Path("runs/beach-two-stream"), Path("generated/vgan-two-stream"), 1, 1))

    _run("training.md", "clip.gif")

    assert iio.imread(here / "clip.gif").shape == (32, 256, 256, 3)


def test_a_folder_of_pictures_becomes_a_video(here):
    (here / "frames").mkdir()
    for number in range(5):
        iio.imwrite(here / f"frames/{number}.png", np.full((36, 64, 4), 50 * number, np.uint8))

    _run("ingest.md", "frames")

    frames = read_video(here / "OUT.mp4").frames
    assert frames.shape == (5, 36, 64, 3)
    assert np.abs(frames.mean(axis=(1, 2, 3)) - 50 * np.arange(5)).max() < 4
    assert video_info(here / "OUT.mp4").fps == 25
