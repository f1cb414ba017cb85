"""Videos are fetched once, by a yt-dlp that here is a script of four lines."""

import json
import os
from pathlib import Path

import pytest

from vgan.cli import main
from vgan.data import downloads
from vgan.data.downloads import download_videos, find_downloader
from vgan.data.files import WriteError
from vgan.data.video_list import FoundVideo, write_list
from vgan.errors import DataError, UsageError

SCRIPT = """#!/bin/sh
printf '%s\\n' "$@" >> "$0.calls"
while [ "$1" != "--output" ]; do shift; done
case "$4" in
  *gone*) echo "WARNING: hm" >&2; echo "ERROR: [flickr] 2: This video is gone" >&2; exit 1;;
  *full*) echo "ERROR: unable to write: No space left on device" >&2; exit 1;;
  *nothing*) exit 0;;
esac
name=$(printf '%s' "$2" | sed 's/%(ext)s/mp4/; s/%%/%/g')
printf 'video' > "$name"
"""


@pytest.fixture
def ytdlp(tmp_path, monkeypatch) -> Path:
    """A yt-dlp that writes five bytes, or fails for some addresses."""
    program = tmp_path / "bin" / "yt-dlp"
    program.parent.mkdir()
    program.write_text(SCRIPT)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return program


def _list(tmp_path, *pages) -> Path:
    videos = [
        FoundVideo(str(n), "", "1@N00", "", "cc-by-2.0", f"https://www.flickr.com/{page}", (), "",
                   "", "flickr")
        for n, page in enumerate(pages)
    ]  # fmt: skip
    write_list(tmp_path / "list.jsonl", videos)
    return tmp_path / "list.jsonl"


def test_videos_are_fetched_by_id_and_those_that_are_there_stay(tmp_path, ytdlp):
    path, folder = _list(tmp_path, "a", "b", "c"), tmp_path / "100% real"
    folder.mkdir()
    (folder / "0.mov").write_bytes(b"there")
    for left in ("1.mp4.part", "1.temp.mp4", "2.f137.mp4", "2.mp4.ytdl"):
        (folder / left).write_bytes(b"half")

    report = download_videos(path, folder, progress=False)

    assert (report.fetched, report.present, report.failed) == (2, 1, [])
    assert (folder / "1.mp4").read_bytes() == (folder / "2.mp4").read_bytes() == b"video"
    assert not (folder / "0.mp4").exists()
    asked = Path(f"{ytdlp}.calls").read_text().splitlines()
    assert asked[-2:] == ["--", "https://www.flickr.com/c"]
    assert "--ignore-config" in asked
    assert download_videos(path, folder, progress=False).present == 3


def test_videos_that_fail_are_named_and_the_others_fetched(tmp_path, ytdlp):
    path, folder = _list(tmp_path, "a", "gone", "nothing", "d"), tmp_path / "videos"

    report = download_videos(path, folder, progress=False)

    failed = [json.loads(line) for line in (folder / "failed.jsonl").read_text().splitlines()]
    assert (report.fetched, [f["id"] for f in failed]) == (2, ["1", "2"])
    assert failed[0]["why"] == "[flickr] 2: This video is gone"
    assert failed[1]["why"] == "yt-dlp left no file (0)"
    with pytest.raises(DataError, match="2 videos could not be fetched; the first, 1: "):
        report.check()


def test_a_full_disk_stops_at_once(tmp_path, ytdlp):
    with pytest.raises(WriteError, match="the disk is full"):
        download_videos(_list(tmp_path, "full", "b"), tmp_path / "videos", progress=False)

    assert "https://www.flickr.com/b" not in Path(f"{ytdlp}.calls").read_text()


def test_without_yt_dlp_the_extra_to_install_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(downloads.importlib.util, "find_spec", lambda _: None)

    with pytest.raises(UsageError, match=r"pip install 'vgan-eval\[flickr\]'"):
        find_downloader()


def test_the_command_fetches_what_it_found_and_fails_when_a_video_did(
    tmp_path, ytdlp, flickr, capsys
):
    flickr.fill(1)
    flickr.upload(1_262_304_000, owner="gone")
    out, folder = tmp_path / "list.jsonl", tmp_path / "videos"
    command = ["find-videos", "--tags", "beach", "--out", str(out), "--download", str(folder)]

    assert main([*command, "--since", "2010-01-01", "--until", "2010-01-02"]) == 1

    shown = capsys.readouterr()
    assert "1 videos fetched, 0 were there" in shown.out
    assert "1 videos could not be fetched" in shown.err
    assert (folder / "4000000000.mp4").exists()
