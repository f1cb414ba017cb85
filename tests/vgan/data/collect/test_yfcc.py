"""YFCC100M's metadata gives the same kind of list, from either edition, packed or not."""

import bz2
import gzip
from datetime import date

import pytest

from vgan.data.finding import find_videos
from vgan.data.video_list import read_list
from vgan.data.yfcc import read_yfcc
from vgan.errors import DataError, UsageError

BY, BY_NC = (f"http://creativecommons.org/licenses/{terms}/2.0/" for terms in ("by", "by-nc"))


def _line(id_="6985418911", tags="beach,golden+gate", video=True, licence=BY, later=False,
          uploaded="1331824600") -> str:  # fmt: skip
    columns = [
        id_, "4e2f7a26a1dfbf165a7e30bdabf7e72a@N00", "Ada+%26+Co", "2012-02-16 09:56:37.0",
        uploaded, "Canon", "Surf%2C+slow", "", tags, "", "-122.4", "37.8", "16",
        f"http://www.flickr.com/photos/39019111@N00/{id_}/", "http://farm8.static/x.jpg",
        "Attribution License", licence, "7205", "8", "df7747990d", "692d7e0a7f", "jpg",
        "1" if video else "0",
    ]  # fmt: skip
    if later:
        columns = ["17", columns[0], "2d14b4ab", *columns[1:]]
    return "\t".join(columns) + "\n"


@pytest.mark.parametrize("later", [False, True], ids=["23-columns", "25-columns"])
@pytest.mark.parametrize(
    "packed", [bytes, bz2.compress, gzip.compress], ids=["plain", "bzip2", "gzip"]
)
def test_a_line_becomes_a_video(tmp_path, packed, later):
    path = tmp_path / "yfcc100m_dataset-0"
    path.write_bytes(packed(_line(later=later).encode()))

    (video,) = read_yfcc(path, frozenset({"beach"}), "any")

    assert (video.id, video.title, video.owner_name) == ("6985418911", "Surf, slow", "Ada & Co")
    assert video.tags == ("beach", "golden gate")
    assert (video.licence, video.found_in) == ("cc-by-2.0", "yfcc100m")
    assert video.url == "http://www.flickr.com/photos/39019111@N00/6985418911/"
    assert (video.uploaded, video.taken) == ("2012-03-15T15:16:40+00:00", "2012-02-16T09:56:37")


def test_only_videos_with_the_tags_licence_and_days_are_listed_once(tmp_path):
    lines = [
        _line("1", tags="Golden+Gate,beach"),
        _line("2", tags="beach", video=False),
        _line("3", tags="beachball"),
        _line("4", tags="beach", licence=BY_NC),
        _line("5", tags="goldengate", uploaded="1200000000"),
        _line("1", tags="Golden+Gate,beach"),
    ]
    (tmp_path / "a.tsv").write_text("".join(lines))
    (tmp_path / "b.tsv").write_text(_line("6", tags="GOLDEN+gate"))
    files, quiet = [tmp_path / "a.tsv", tmp_path / "b.tsv"], {"progress": False}

    def found(name, tags, **more):
        find_videos(tmp_path / name, tags, yfcc=files, **more, **quiet)
        return sorted(video.id for video in read_list(tmp_path / name))

    assert found("any", "beach,golden gate") == ["1", "4", "5", "6"]
    assert found("all", "beach,golden gate", match="all") == ["1"]
    assert found("by", "beach", licences="cc-by") == ["1"]
    assert found("days", "golden gate", since=date(2012, 3, 15)) == ["1", "6"]


def test_a_file_that_breaks_off_is_named_and_the_files_before_are_not_read_again(tmp_path):
    (tmp_path / "0.bz2").write_bytes(bz2.compress(_line("1").encode()))
    whole = bz2.compress("".join(_line(str(n)) for n in range(2, 4000)).encode())
    (tmp_path / "1.bz2").write_bytes(whole[: len(whole) // 2])
    files, out = [tmp_path / "0.bz2", tmp_path / "1.bz2"], tmp_path / "list.jsonl"

    with pytest.raises(DataError, match=r"1\.bz2: cannot be read"):
        find_videos(out, "beach", yfcc=files, progress=False)
    (tmp_path / "0.bz2").write_bytes(b"no longer looked at")
    (tmp_path / "1.bz2").write_bytes(whole)

    assert find_videos(out, "beach", yfcc=files, progress=False).videos == 3999


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a\tb\n", "has 2 columns, not 23 or 25"),
        (_line(uploaded="99999999999999999"), "is damaged"),
    ],
)
def test_a_damaged_line_is_named_left_out_and_ends_with_an_error(tmp_path, line, message):
    (tmp_path / "x.tsv").write_text(_line("1") + line + _line("2"))

    report = find_videos(tmp_path / "l", "beach", yfcc=[tmp_path / "x.tsv"], progress=False)

    assert [video.id for video in read_list(tmp_path / "l")] == ["1", "2"]
    with pytest.raises(DataError, match=rf"1 lines of x\.tsv could not.*/x\.tsv:2: {message}"):
        report.check()


def test_damaged_lines_are_told_again_by_a_run_that_finds_all_done(tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text(_line(name) + ("" if name == "c" else "broken\n"))
    files = [tmp_path / name for name in ("a", "b", "c")]

    first = find_videos(tmp_path / "l", "beach", yfcc=files, progress=False)
    again = find_videos(tmp_path / "l", "beach", yfcc=files, progress=False)

    assert again.damaged == first.damaged
    with pytest.raises(DataError, match=r"^2 lines of a, b could .*/a:2: .*delete the list"):
        again.check()


def test_a_file_of_another_kind_is_refused_at_its_first_line(tmp_path):
    (tmp_path / "x.csv").write_text("id,title\n1,Surf\n")

    with pytest.raises(DataError, match=r"x\.csv:1: has 1 columns.*is it YFCC100M's metadata"):
        find_videos(tmp_path / "l", "beach", yfcc=[tmp_path / "x.csv"], progress=False)


def test_files_of_one_name_cannot_be_told_apart(tmp_path):
    with pytest.raises(UsageError, match="two metadata files have one name"):
        find_videos(tmp_path / "l", "beach", yfcc=[tmp_path / "a/x", tmp_path / "b/x"])
