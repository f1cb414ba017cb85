from pathlib import Path

import numpy as np
import pytest

from vgan.data.actions import ActionSet, ActionSplit, ActionVideo

GROUPS = ("ann", "bob", "cat", "dan")


def square_video(label: str, group: int, frames: int = 36) -> np.ndarray:
    """A bright square that goes right, or down, at a place of its group's; (T, 80, 96, 3)."""
    video = np.full((frames, 80, 96, 3), 40 + 10 * group, np.uint8)
    for t in range(frames):
        step = (t * 3) % 40
        y, x = (20 + group, 20 + step) if label == "right" else (15 + step, 40 + group)
        video[t, y : y + 14, x : x + 14] = (220, 180, 60)
    return video


@pytest.fixture(scope="session")
def action_folder(tmp_path_factory) -> Path:
    """Two classes of four groups, one video each, and the table that says so."""
    from vgan.data.videos import write_clip

    folder = tmp_path_factory.mktemp("actions")
    lines = ["file,label,group,split"]
    for label in ("down", "right"):
        for number, group in enumerate(GROUPS):
            name = f"{label}/{group}_{label}.mp4"
            write_clip(folder / name, square_video(label, number), 25.0)
            lines.append(f"{name},{label},{group},{'train' if number < 2 else 'test'}")
    (folder / "split.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def named_set():
    """Make an action set of names alone: `named_set({label: {group: videos}})`."""

    def make(counts: dict[str, dict[str, int]]) -> ActionSet:
        videos = tuple(
            ActionVideo(Path(f"{label}-{group}-{i}.mp4"), label, group, f"{label}/{group}-{i}")
            for label, groups in counts.items()
            for group, number in groups.items()
            for i in range(number)
        )
        half = len(videos) // 2
        splits = (ActionSplit("1", videos[:half], videos[half:]),)
        return ActionSet(tuple(counts), videos, splits)

    return make
