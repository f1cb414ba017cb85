"""Fetch the videos of a list with yt-dlp, where that is installed."""

import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from vgan.data.files import WriteError, write_json_lines
from vgan.data.video_list import FoundVideo, read_list
from vgan.errors import DataError, UsageError

FAILED_NAME = "failed.jsonl"


@dataclass(frozen=True)
class DownloadReport:
    """What became of a list's videos.

    Args:
        fetched: in this run.
        present: that were there.
        failed: (id, why) of the others.
        folder: where they are.
    """

    fetched: int
    present: int
    failed: list[tuple[str, str]]
    folder: Path

    def sentence(self) -> str:
        """Say it in one line."""
        return f"{self.folder}: {self.fetched} videos fetched, {self.present} were there"

    def check(self) -> None:
        """Fail when a video could not be fetched.

        Raises:
            DataError: naming the first one.
        """
        if self.failed:
            video, why = self.failed[0]
            raise DataError(
                f"{len(self.failed)} videos could not be fetched; the first, {video}: {why} (all "
                f"of them: {self.folder / FAILED_NAME}); run again to try them again"
            )


def find_downloader() -> list[str]:
    """Return the command that runs yt-dlp.

    Raises:
        UsageError: it is not installed.
    """
    program = shutil.which("yt-dlp")
    if program is not None:
        return [program]
    if importlib.util.find_spec("yt_dlp") is not None:
        return [sys.executable, "-m", "yt_dlp"]
    raise UsageError("--download needs yt-dlp: pip install 'vgan-eval[flickr]'")


def _present(folder: Path, pattern: str = "*") -> set[str]:
    """Ids of the videos in a folder: ID.EXT and no more, for what yt-dlp is still at has more."""
    return {p.stem for p in folder.glob(pattern) if p.suffix and "." not in p.stem}


def _fetch(downloader: list[str], folder: Path, video: FoundVideo) -> str | None:
    """Fetch one video; return why that failed, or None."""
    template = os.path.join(str(folder).replace("%", "%%"), f"{video.id}.%(ext)s")
    command = [
        *downloader, "--ignore-config", "--no-playlist", "--no-progress", "--no-warnings",
        "--output", template, "--", video.url,
    ]  # fmt: skip
    # An argument list, no shell, and the address comes after `--`.
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)  # noqa: S603
    if done.returncode == 0 and _present(folder, f"{video.id}.*"):
        return None
    said = [line for line in done.stderr.splitlines() if line.strip()]
    why = said[-1].removeprefix("ERROR: ") if said else f"yt-dlp left no file ({done.returncode})"
    if "No space left on device" in why:
        raise WriteError(f"{folder}: the disk is full; what is fetched is kept, run again to go on")
    return why


def download_videos(path: Path, folder: Path, *, progress: bool = True) -> DownloadReport:
    """Fetch the videos of a list into a folder, as ID.EXT; those that are there stay.

    Args:
        path: the list.
        folder: made if it is missing. Videos that cannot be fetched (deleted, private) are named
            in its `failed.jsonl`.
        progress: show a bar.

    Raises:
        UsageError: yt-dlp is not installed.
        DataError: the list is damaged.
        WriteError: the disk is full, or the folder cannot be written.
    """
    downloader = find_downloader()
    videos = read_list(path)
    there = _present(folder)
    todo = [v for v in videos if v.id not in there]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(f"{folder}: cannot be made ({error.strerror or error})") from None
    failed: list[tuple[str, str]] = []
    for video in tqdm(todo, desc="fetching videos", unit="video", disable=not progress):
        why = _fetch(downloader, folder, video)
        if why is not None:
            failed.append((video.id, why))
    write_json_lines(folder / FAILED_NAME, ({"id": id_, "why": why} for id_, why in failed))
    return DownloadReport(len(todo) - len(failed), len(videos) - len(todo), failed, folder)
