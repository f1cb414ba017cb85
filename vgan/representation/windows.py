"""The videos of an action set as windows of 32 frames at 64x64, decoded once.

Every non-overlapping window of a video counts, from its first frame on (the paper trained on the
first one only; how many it tested on is not known). A video shorter than a window holds its last
frame. Nothing is stabilised or cropped but to the centre square.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from vgan.data.actions import ActionVideo
from vgan.data.executors import map_in_threads
from vgan.data.files import write_atomic, written_whole
from vgan.data.listing import FRAMES, SIZE
from vgan.data.making import CutSettings
from vgan.data.manifest import sha256_of
from vgan.data.videos import Frames, iter_frames, video_info
from vgan.data.windows import shrinker
from vgan.errors import DataError

_DECODED_AT_ONCE = 32


@dataclass(frozen=True)
class ActionWindows:
    """The windows of several videos.

    Args:
        clips: (N, 32, 64, 64, 3), uint8 RGB, memory-mapped.
        owner: (N,), which video each window is of; windows of a video are in order.
        padded: names of the videos that were shorter than a window.
        contents: SHA-256 of each video's file.
    """

    clips: NDArray[np.uint8]
    owner: NDArray[np.int64]
    padded: tuple[str, ...]
    contents: tuple[str, ...]

    @property
    def sha256(self) -> str:
        """Fingerprint of the videos' files in their order, for caches of what is computed here."""
        return hashlib.sha256("\n".join(self.contents).encode()).hexdigest()

    def of(self, videos: Sequence[int]) -> NDArray[np.int64]:
        """Return the numbers of the windows of some videos, in the order of the videos."""
        return np.concatenate([np.flatnonzero(self.owner == video) for video in videos])


def cut_windows(frames: Sequence[Frames]) -> Frames:
    """Cut frames (T, H, W, 3) into non-overlapping windows (N, 32, H, W, 3), N at least 1.

    What is left at the end is dropped; fewer than 32 frames are filled up with the last one.
    """
    held = list(frames) + [frames[-1]] * (FRAMES - len(frames))
    count = len(held) // FRAMES
    stacked = np.stack(held[: count * FRAMES])
    return stacked.reshape(count, FRAMES, *stacked.shape[1:])


def read_small(path: Path) -> list[Frames]:
    """Read every frame of a video, the centre square averaged down to (64, 64, 3).

    Raises:
        DataError: it cannot be read, or is smaller than that.
    """
    shrink = shrinker(path, video_info(path), CutSettings(None, FRAMES, SIZE))
    return [shrink(frame) for frame in iter_frames(path)]


def open_windows(
    videos: Sequence[ActionVideo], cache: Path, *, progress: bool = True
) -> ActionWindows:
    """Open the windows of the videos, decoding them at the first use.

    Args:
        videos: in the order that `ActionWindows.owner` counts.
        cache: folder for the decoded frames; where a video has changed, all are decoded anew, and
            those from before are deleted.
        progress: show a bar while decoding.

    Raises:
        DataError: a video cannot be read, or there is no room for the frames.
    """
    stem = cache / f"windows-{_fingerprint(videos)}"
    frames, index = stem.with_suffix(".u8"), stem.with_suffix(".index.json")
    if not index.is_file():
        write_atomic(index, json.dumps(_decode(videos, frames, progress)).encode())
        _drop_others(stem)
    try:
        stored = json.loads(index.read_text())
        per_video = np.asarray(stored["counts"], np.int64)
        shape = (int(per_video.sum()), FRAMES, SIZE, SIZE, 3)
        clips = np.memmap(frames, np.uint8, mode="r", shape=shape)
        padded, contents = tuple(stored["padded"]), tuple(stored["contents"])
    except (FileNotFoundError, ValueError, KeyError) as error:
        raise DataError(f"{frames}: damaged ({error}); delete {cache} to decode again") from None
    except OSError as error:
        raise DataError(f"{frames}: cannot be read ({error.strerror or error})") from None
    owner = np.repeat(np.arange(len(videos)), per_video)
    return ActionWindows(clips, owner, padded, contents)


def _drop_others(stem: Path) -> None:
    """Delete the windows of the videos as they were before: UCF101's take 30 GB."""
    for path in stem.parent.glob("windows-*"):
        if not path.name.startswith(f"{stem.name}."):
            path.unlink(missing_ok=True)


def _fingerprint(videos: Sequence[ActionVideo]) -> str:
    digest = hashlib.sha256(f"{FRAMES} {SIZE}".encode())
    for video in videos:
        state = video.path.stat()
        digest.update(f"\n{video.path} {state.st_size} {state.st_mtime_ns}".encode())
    return digest.hexdigest()[:16]


def _decode(
    videos: Sequence[ActionVideo], target: Path, progress: bool
) -> dict[str, list[int] | list[str]]:
    """Write the windows of all videos into one file.

    Returns:
        `counts` of each video's windows, `contents` (SHA-256 of each file) and the `padded`
        videos' names.
    """
    counts: list[int] = []
    padded: list[str] = []
    contents: list[str] = []
    paths = [video.path for video in videos]
    read = tqdm(
        map_in_threads(_read, paths, _DECODED_AT_ONCE), "decoding videos", len(paths),
        unit="video", disable=not progress,
    )  # fmt: skip
    with written_whole(target) as file:
        for video, (frames, sha256) in zip(videos, read, strict=True):
            windows = cut_windows(frames)
            file.write(windows.tobytes())
            counts.append(len(windows))
            contents.append(sha256)
            if len(frames) < FRAMES:
                padded.append(video.name)
    return {"counts": counts, "padded": padded, "contents": contents}


def _read(path: Path) -> tuple[list[Frames], str]:
    # Hashed where it is read anyhow: thousands of videos at every start would take minutes.
    return read_small(path), sha256_of(path)
