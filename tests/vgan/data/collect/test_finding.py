"""A search can be killed at any point; run again, it ends with the same list."""

import errno
import json
import os
from datetime import date

import pytest

from vgan.cli import main
from vgan.data import journal
from vgan.data.files import WriteError
from vgan.data.finding import find_videos
from vgan.data.flickr import FlickrError
from vgan.data.video_list import read_list
from vgan.errors import DataError, UsageError

FIRST = 1_262_304_000
KEY = "k3y-of-the-test"
JANUARY = {"since": date(2010, 1, 1), "until": date(2010, 1, 31), "progress": False}


class _Killed:
    """A bucket that lets some calls through and then kills the run."""

    def __init__(self, calls: int) -> None:
        self.left = calls

    def take(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt


def test_a_search_writes_every_video_once_in_order_of_upload(tmp_path, flickr, api):
    flickr.fill(30, every_s=-3600 * 24 + 86_400 * 2)
    flickr.upload(FIRST, license="0")

    report = find_videos(tmp_path / "list.jsonl", "beach, ocean", open_api=api, **JANUARY)

    listed = read_list(tmp_path / "list.jsonl")
    assert len({v.id for v in listed}) == len(listed) == report.videos == report.new == 31
    assert [v.uploaded for v in listed] == sorted(v.uploaded for v in listed)
    assert report.sentence() == ("31 videos (31 found now): 30 cc-by-2.0, 1 all-rights-reserved")
    assert flickr.calls[0]["tags"] == "beach,ocean"


@pytest.mark.parametrize("calls", [1, 5, 10])
def test_a_search_that_was_killed_goes_on_and_ends_with_the_same_list(tmp_path, flickr, api, calls):
    flickr.fill(4500, every_s=200)
    find_videos(tmp_path / "whole.jsonl", "beach", open_api=api, **JANUARY)
    asked, out = len(flickr.calls), tmp_path / "list.jsonl"

    def killed(key):
        opened = api(key)
        opened._bucket = _Killed(calls)
        return opened

    with pytest.raises(KeyboardInterrupt):
        find_videos(out, "beach", open_api=killed, **JANUARY)
    assert not out.exists()
    with (tmp_path / "list.jsonl.journal").open("a") as file:
        file.write('{"id": "40000')  # half a line, as a kill leaves it
    flickr.calls.clear()
    find_videos(out, "beach", open_api=api, **JANUARY)

    assert out.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert find_videos(out, "beach", open_api=api, **JANUARY).new == 0  # its journal is whole too
    assert len(flickr.calls) == (asked if calls < 10 else 3)  # 10 calls were a slice and more


def test_an_end_that_was_left_open_is_that_of_the_first_run(tmp_path, flickr, api):
    flickr.upload(FIRST)
    out, open_end = tmp_path / "list.jsonl", {"since": date(2010, 1, 1), "progress": False}
    flickr.faults = [(500, {})] * 6
    with pytest.raises(FlickrError):
        find_videos(out, "beach", open_api=api, **open_end)
    until = json.loads((tmp_path / "list.jsonl.journal").read_text())["asked"]["until"]

    find_videos(out, "beach", open_api=api, **open_end)

    assert {int(call["max_upload_date"]) for call in flickr.calls[-1:]} == {until}


def test_a_list_that_is_whole_is_left_as_it_is(tmp_path, flickr, api):
    flickr.fill(3)
    out = tmp_path / "list.jsonl"
    find_videos(out, "beach", open_api=api, **JANUARY)
    out.write_text("".join(out.read_text().splitlines(keepends=True)[1:]))
    flickr.calls.clear()

    report = find_videos(out, "beach", open_api=api, **JANUARY)

    assert (report.videos, report.new, flickr.calls) == (2, 0, [])
    out.unlink()
    assert find_videos(out, "beach", open_api=api, **JANUARY).videos == 3
    assert flickr.calls == []


@pytest.mark.parametrize(
    ("other", "was"),
    [
        ({"tags": "golf"}, r"tags \['beach'\]"),
        ({"match": "all"}, "match any"),
        ({"licences": "cc0"}, "licences None"),
        ({"until": None}, "until 1264982399"),
    ],
)
def test_another_search_does_not_go_on_with_this_list(tmp_path, flickr, api, other, was):
    find_videos(tmp_path / "list.jsonl", "beach", open_api=api, **JANUARY)

    with pytest.raises(UsageError, match=rf"list\.jsonl: was made with {was}"):
        find_videos(tmp_path / "list.jsonl", open_api=api, **{"tags": "beach", **JANUARY, **other})


def test_a_file_that_is_no_list_of_ours_is_not_overwritten(tmp_path, flickr, api):
    (tmp_path / "list.jsonl").write_text("mine\n")

    with pytest.raises(UsageError, match="was not made here"):
        find_videos(tmp_path / "list.jsonl", "beach", open_api=api, **JANUARY)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{broken", "not JSON"),
        ('{"id": "1"}', "key `title`|key `owner`"),
        ('{"id": "../x", "owner": "a", "licence": "b", "url": "https://c"}', "letters, digits"),
        ('{"id": "1", "owner": "a", "licence": "b", "url": "--exec=rm"}', "must begin with"),
        ('{"id": "1", "owner": "a", "licence": "b", "url": "https://c", "tags": 3}', "`tags`"),
    ],
)
def test_a_damaged_line_is_named_by_file_and_number(tmp_path, line, message):
    good = '{"id": "1", "owner": "a", "licence": "b", "url": "https://c", "new_key": 1}'
    path = tmp_path / "list.jsonl"
    path.write_text(f"{good}\n\n{line}\n")

    with pytest.raises(DataError, match=rf"list\.jsonl:3: .*({message})"):
        read_list(path)


def test_a_damaged_journal_line_is_named_too(tmp_path, flickr, api):
    flickr.fill(2)
    find_videos(tmp_path / "list.jsonl", "beach", open_api=api, **JANUARY)
    path = tmp_path / "list.jsonl.journal"
    lines = path.read_text().splitlines(keepends=True)

    path.write_text("".join([lines[0], "{broken\n", *lines[1:]]))

    with pytest.raises(DataError, match=r"list\.jsonl\.journal:2: not JSON"):
        find_videos(tmp_path / "list.jsonl", "beach", open_api=api, **JANUARY)


def test_a_full_disk_ends_the_search_and_the_next_run_goes_on(tmp_path, flickr, api, monkeypatch):
    flickr.fill(3)
    real, left = journal.os.fsync, [1]

    def full(number):
        if not left:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left.pop()
        real(number)

    with monkeypatch.context() as patch:
        patch.setattr(journal.os, "fsync", full)
        with pytest.raises(WriteError, match=r"list\.jsonl\.journal: .*No space left"):
            find_videos(tmp_path / "list.jsonl", "beach", open_api=api, **JANUARY)

    assert find_videos(tmp_path / "list.jsonl", "beach", open_api=api, **JANUARY).videos == 3


def test_the_key_is_written_nowhere(tmp_path, flickr, api):
    flickr.fill(3)
    find_videos(tmp_path / "list.jsonl", "beach", open_api=api, **JANUARY)

    written = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
    assert written
    assert KEY.encode() not in written


def test_the_command_finds_and_says_what(tmp_path, flickr, capsys):
    flickr.fill(2)
    flickr.upload(FIRST, license="0")
    command = ["find-videos", "--tags", "beach", "--since", "2010-01-01", "--until", "2010-01-31"]

    assert main([*command, "--licences", "cc-by", "--out", str(tmp_path / "list.jsonl")]) == 0

    assert "2 videos (2 found now): 2 cc-by-2.0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "key", "code", "message"),
    [
        (["--tags", "beach"], None, 2, "FLICKR_API_KEY is not set"),
        (["--tags", "beach"], "wr0ng", 1, "refuses the key in FLICKR_API_KEY"),
        (["--tags", " , "], KEY, 2, "no tag is named"),
        (["--tags", "a", "--licences", "gpl"], KEY, 2, "no licence 'gpl'; there are all-rights"),
        (["--tags", "a", "--yfcc", "nowhere.bz2"], KEY, 1, "nowhere.bz2: no such metadata file"),
    ],
    ids=["no-key", "bad-key", "no-tags", "licence", "no-file"],
)
def test_what_the_user_got_wrong_is_said_in_one_line(
    tmp_path, flickr, monkeypatch, capsys, arguments, key, code, message
):
    monkeypatch.delenv("FLICKR_API_KEY")
    if key is not None:
        monkeypatch.setenv("FLICKR_API_KEY", key)

    assert main(["find-videos", *arguments, "--out", str(tmp_path / "list.jsonl")]) == code

    said = capsys.readouterr().err
    assert said.splitlines()[-1].startswith("vgan: ")
    assert message in said.splitlines()[-1]
    assert key is None or key not in said
