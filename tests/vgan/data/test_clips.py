"""Videos become clips of a known video and place, split by video, and a second run goes on."""

import errno
import json
import math
import os
import signal
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from vgan.cli import main
from vgan.data.clips import ingest
from vgan.data.files import WriteError
from vgan.data.framing import area_average
from vgan.data.ledger import assign_splits
from vgan.data.listing import list_clips, training_categories
from vgan.data.manifest import read_manifest, sha256_of
from vgan.data.pictures import find_pictures
from vgan.data.rates import rate_varies
from vgan.data.scenes import draw_clip, draw_scenes
from vgan.data.source_videos import find_videos
from vgan.data.videos import read_video, video_info, write_clip
from vgan.errors import DataError, UsageError

SMALL = {"frames": 8, "size": 16, "workers": 1, "progress": False}
REAL = Path(__file__).parents[4] / "shared" / "data" / "scenes" / "traffic"


def _files(folder: Path) -> dict[Path, bytes]:
    """All files but the done records, which hold times."""
    return {
        p.relative_to(folder): p.read_bytes()
        for p in folder.rglob("*")
        if p.is_file() and ".ingest" not in p.parts
    }


def test_clips_are_the_video_cut_every_n_frames(tmp_path, video):
    path = video("golf/swing.mp4", frames=20, size=32)

    report = ingest([path.parent.parent], tmp_path / "out", **SMALL)

    small = np.stack([area_average(f, 16) for f in read_video(path).frames])
    records = read_manifest(tmp_path / "out")
    assert (report.videos, report.clips, report.rejects) == (1, 2, [])
    assert [(r.origin.video, r.origin.start_frame) for r in records] == [
        ("golf/swing.mp4", 0), ("golf/swing.mp4", 8),
    ]  # fmt: skip
    for number, record in enumerate(records):
        frames = read_video(tmp_path / "out" / record.clip).frames
        assert np.array_equal(small[8 * number : 8 * number + 8], frames)
        assert record.sha256 == sha256_of(tmp_path / "out" / record.clip)
        assert (record.source, record.category, record.fps) == ("real", "golf", 25.0)
        assert (record.frames, record.width, record.height) == (8, 16, 16)


def test_every_shot_of_a_video_is_cut_from_its_own_first_frame(tmp_path):
    shots = [
        draw_clip(place, 3, n, frames=20, size=48).frames
        for n, place in enumerate(("golf", "beach", "train"))
    ]
    write_clip(tmp_path / "golf" / "a.mp4", np.concatenate(shots), 25)

    ingest([tmp_path / "golf"], tmp_path / "out", **SMALL)

    starts = [r.origin.start_frame for r in read_manifest(tmp_path / "out")]
    assert sorted(starts) == [0, 8, 20, 28, 40, 48]


def test_drawn_clips_of_the_right_size_come_through_unchanged(tmp_path):
    drawn = draw_scenes(tmp_path / "drawn", clips=2, seed=1, categories=["golf"], progress=False)

    ingest([tmp_path / "drawn"], tmp_path / "out", workers=1, progress=False)

    assert sorted(r.sha256 for r in drawn) == sorted(
        r.sha256 for r in read_manifest(tmp_path / "out")
    )


def test_category_is_the_first_folder_or_the_inputs_name_or_the_one_given(tmp_path, video):
    deep = video("Golf Course/2019/a.mp4")
    flat = video("b.mp4")

    found = find_videos([tmp_path / "videos"], tmp_path / "out", None)

    assert [(v.id, v.category, v.path) for v in found] == [
        ("golf-course/2019/a.mp4", "golf-course", deep),
        ("videos/b.mp4", "videos", flat),
    ]
    given = find_videos([tmp_path / "videos"], tmp_path / "out", "sport")
    assert {"sport"} == {v.category for v in given}


def test_id_is_the_same_for_a_folder_and_a_folder_inside_it(tmp_path, video):
    video("golf/a.mp4")
    ids = [
        find_videos([tmp_path / "videos" / below], tmp_path / "out", None)[0].id
        for below in (".", "golf", "golf/a.mp4")
    ]

    assert ids == ["golf/a.mp4"] * 3


def test_a_link_keeps_its_own_name(tmp_path, video):
    stored = video("b17/1.mp4")
    for link, target in (("beach", stored.parent), ("golf/2.mp4", stored), ("out", tmp_path)):
        (tmp_path / link).parent.mkdir(exist_ok=True)
        (tmp_path / link).symlink_to(target)
    inputs = [tmp_path / "beach", tmp_path / "golf/2.mp4", tmp_path / "golf/../videos"]

    found = find_videos(inputs, tmp_path / "none", None)

    assert [v.id for v in found] == ["b17/1.mp4", "beach/1.mp4", "golf/2.mp4"]
    # One file by two names of one id is no clash, and clips are known by whatever way one comes.
    assert len(find_videos([tmp_path / "out/videos", stored.parent], tmp_path / "none", None)) == 1
    with pytest.raises(DataError, match="no videos here"):
        find_videos([tmp_path / "out/videos"], tmp_path / "videos", None)


def test_a_video_given_twice_is_cut_once(tmp_path, video):
    path = video("golf/a.mp4")

    assert len(find_videos([path, path.parent], tmp_path / "out", None)) == 1


def test_two_videos_with_one_id_are_refused(tmp_path, moving):
    for place in ("one", "two"):
        write_clip(tmp_path / place / "golf" / "a.mp4", moving(2, 16, 16, 0), 25)

    with pytest.raises(UsageError, match=r"would both be video 'golf/a\.mp4'"):
        find_videos([tmp_path / "one", tmp_path / "two"], tmp_path / "out", None)


def test_a_later_run_puts_no_other_video_in_the_place_of_one_that_is_still_there(tmp_path, moving):
    out, (first, second) = tmp_path / "out", (tmp_path / n / "golf" / "a.mp4" for n in "12")
    write_clip(first, moving(8, 16, 16, 0), 25)
    write_clip(second, moving(24, 16, 16, 1), 25)
    ingest([first.parent], out, **SMALL)
    before = _files(out)

    with pytest.raises(UsageError, match=r"2/golf/a.mp4 and .*1/golf/a.mp4, .* rename one"):
        ingest([second.parent], out, **SMALL)

    assert _files(out) == before
    assert len(before) > 2


def test_a_video_may_be_copied_or_moved_or_change_where_it_is(tmp_path, moving):
    out, (first, second) = tmp_path / "out", (tmp_path / n / "golf" / "a.mp4" for n in "12")
    write_clip(first, moving(8, 16, 16, 0), 25)
    assert ingest([first.parent], out, **SMALL).clips == 1
    second.parent.mkdir(parents=True)
    second.write_bytes(first.read_bytes())
    os.utime(second, (0, 0))
    assert ingest([second.parent], out, **SMALL).clips == 1
    write_clip(second, moving(16, 16, 16, 0), 25)
    assert ingest([second.parent], out, **SMALL).clips == 2
    second.unlink()
    write_clip(first, moving(24, 16, 16, 0), 25)

    assert ingest([first.parent], out, **SMALL).clips == 3


def test_accents_are_folded_in_the_names_of_categories_and_clips(tmp_path, video):
    video("Été à la plage/Vidéo café.mp4", frames=8, size=16)
    video("Straße/a.mp4", frames=8, size=16, seed=1)

    ingest([tmp_path / "videos"], tmp_path / "out", **SMALL)

    records = read_manifest(tmp_path / "out")
    assert [r.category for r in records] == ["ete-a-la-plage", "strasse"]
    assert records[0].clip.startswith("ete-a-la-plage/video-cafe-")
    assert records[0].origin.video == "ete-a-la-plage/Vidéo café.mp4"


def test_folders_of_different_names_that_give_one_category_are_refused(tmp_path, video):
    for number, name in enumerate(("été", "ete")):
        video(f"{name}/{number}.mp4", frames=2, size=16)

    with pytest.raises(UsageError, match=r"ete and .*été would both be category 'ete': rename one"):
        ingest([tmp_path / "videos"], tmp_path / "out", **SMALL)
    assert not (tmp_path / "out").exists()
    assert len(find_videos([tmp_path / "videos"], tmp_path / "out", "summer")) == 2


def test_one_name_however_its_letters_are_written_is_one_category(tmp_path, video):
    names = ["Été", unicodedata.normalize("NFD", "été"), "été"]
    for number, name in enumerate(names):
        video(f"{number}/{name}/{number}.mp4", frames=2, size=16)

    found = find_videos([tmp_path / "videos" / str(n) for n in range(3)], tmp_path / "out", None)

    assert [v.id for v in found] == ["ete/0.mp4", "ete/1.mp4", "ete/2.mp4"]


def test_folders_without_a_latin_letter_are_named_all_at_once(tmp_path, video):
    for name in ("пляж", "golf", "海"):
        video(f"{name}/a.mp4", frames=2, size=16)

    with pytest.raises(UsageError, match=r"пляж, .*海: .*rename it, or cut each with --category"):
        find_videos([tmp_path / "videos"], tmp_path / "out", None)
    with pytest.raises(UsageError, match="--category '海' has no Latin letter"):
        find_videos([tmp_path / "videos"], tmp_path / "out", "海")


def test_clips_below_the_input_are_not_cut_again(tmp_path, video):
    video("golf/a.mp4")
    out = tmp_path / "videos" / "clips"
    ingest([tmp_path / "videos"], out, **SMALL)

    assert [v.id for v in find_videos([tmp_path / "videos"], out, None)] == ["golf/a.mp4"]


@pytest.mark.parametrize("name", ["missing", "videos"])
def test_missing_and_empty_inputs_are_named(tmp_path, name):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "notes.txt").write_text("no video")

    with pytest.raises(DataError, match=name):
        ingest([tmp_path / name], tmp_path / "out", **SMALL)
    assert not (tmp_path / "out").exists()


def test_bad_videos_are_rejected_by_name_and_the_rest_is_cut(tmp_path, video, moving):
    video("golf/good.mp4")
    video("golf/short.mp4", frames=7)
    video("golf/tiny.mp4", size=12)
    half = video("golf/half.mp4")
    half.write_bytes(half.read_bytes()[:3000])
    (tmp_path / "videos/golf/text.mp4").write_text("hello")

    report = ingest([tmp_path / "videos"], tmp_path / "out", **SMALL)

    lines = (tmp_path / "out" / "rejected.jsonl").read_text().splitlines()
    whys = {Path(r.path).name: r.why for r in report.rejects}
    assert (report.videos, report.clips) == (1, 5)
    assert [json.loads(line)["video"] for line in lines] == [r.video for r in report.rejects]
    assert whys["short.mp4"] == "has 7 frames at 25 per second, a clip needs 8"
    assert whys["tiny.mp4"] == "is 12x12, smaller than 16x16"
    assert "truncated" in whys["half.mp4"]
    assert "not a video" in whys["text.mp4"]


def test_no_usable_video_is_an_error_that_names_the_list(tmp_path, video):
    video("golf/short.mp4", frames=7)

    with pytest.raises(DataError, match=r"no clips from 1 video; .*short\.mp4.*rejected\.jsonl"):
        ingest([tmp_path / "videos"], tmp_path / "out", **SMALL)


def test_video_that_breaks_off_leaves_no_clips(tmp_path, moving, monkeypatch):
    good = tmp_path / "videos" / "golf" / "a.mp4"
    write_clip(good, moving(40, 16, 16, 0), 25)

    def breaks(path: Path):
        frames = read_video(path).frames
        yield from ((k / 25, f) for k, f in enumerate(frames[:20]))
        raise DataError(f"{path}: is damaged or truncated after frame 20")

    monkeypatch.setattr("vgan.data.windows.iter_timed_frames", breaks)
    with pytest.raises(DataError, match="truncated after frame 20"):
        ingest([good], tmp_path / "out", **SMALL)

    assert not list((tmp_path / "out").rglob("*.mp4"))


def test_given_rate_is_kept_by_dropping_and_repeating(tmp_path, video):
    path = video("golf/fast.mp4", frames=40, fps=50, size=16)

    ingest([path], tmp_path / "out", fps=25, **SMALL)

    records = read_manifest(tmp_path / "out")
    frames = read_video(path).frames
    clip = read_video(tmp_path / "out" / records[0].clip)
    assert [r.fps for r in records] == [25.0, 25.0]
    assert clip.fps == 25
    shown = [int(np.flatnonzero((frames == f).all(axis=(1, 2, 3)))[0]) for f in clip.frames]
    assert set(np.diff(shown)) == {2}


def test_videos_of_several_rates_are_named_at_the_end_until_a_clock_is_given(tmp_path, video):
    video("golf/slow.mp4", fps=12.5, size=16)
    video("golf/fast.mp4", fps=60, size=16, seed=1)

    own = ingest([tmp_path / "videos"], tmp_path / "own", **SMALL)
    on_a_clock = ingest([tmp_path / "videos"], tmp_path / "clock", fps=25, **SMALL)

    said = "frame rates 12.5 to 60; ingest with --fps 25 puts all on one clock"
    assert (own.details(), on_a_clock.details()) == ([said], [])


def test_videos_whose_rate_varies_are_named_at_the_end_until_a_rate_is_given(
    tmp_path, moving, write_at
):
    slower = [40 * n + 40 * max(0, n - 20) for n in range(41)]  # from 25 a second to 12.5
    missed = [40 * n + 40 * (n > 20) for n in range(41)]
    write_at(tmp_path / "videos/golf/slower.mp4", moving(41, 16, 16, 0), slower)
    write_at(tmp_path / "videos/golf/missed.mp4", moving(41, 16, 16, 1), missed)

    own, again = (ingest([tmp_path / "videos"], tmp_path / "own", **SMALL) for _ in range(2))
    given = ingest([tmp_path / "videos"], tmp_path / "given", fps=25, **SMALL)

    said = "frame rate varies: 1 video, cut at their mean rate (golf/slower.mp4 at 16.8)"  # 41/2.44
    assert f"{said}; --fps states another" in own.details()
    assert again.details() == own.details()
    assert given.details() == []


def test_a_rate_that_is_steady_but_not_quite_the_stated_one_does_not_vary():
    an_hour = [round(n / 29.97, 3) for n in range(108_000)]

    assert not rate_varies(an_hour)
    assert not rate_varies([0.0])
    assert rate_varies([*an_hour, an_hour[-1] + 1.0])


def test_files_that_are_no_videos_are_counted_at_the_end(tmp_path, video):
    folder = video("golf/a.mp4", size=16).parent
    for name in ("1.gif", "2.GIF", "3.png", "4.webp", "sub/5.gif", ".hidden.gif", ".trash/6.gif"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"GIF89a")

    report = ingest([folder.parent, folder], folder / "out", category="golf", **SMALL)
    (folder / "README").touch()
    (folder / "labels.csv").touch()
    (folder / "list.json").touch()
    again = ingest([folder], folder / "out", category="golf", **SMALL)

    assert report.details()[1:] == ["not read: 5 files (gif, png, webp)"]
    assert again.details()[1:] == ["not read: 8 files (csv, gif, json, no ending, png, ...)"]


def test_categories_without_test_clips_are_named_with_what_gives_them_some(tmp_path, video):
    for number, name in enumerate(("golf/a", "golf/b", "beach/a", "Ski/a")):
        video(f"{name}.mp4", frames=9, size=16, seed=number)

    report = ingest([tmp_path / "videos"], tmp_path / "out", **SMALL)

    assert report.details() == [
        "no test clips of beach, ski to measure generated ones against (add videos with `vgan "
        "ingest`, --test-share above 0; or measure with --data of another folder)"
    ]
    with pytest.raises(DataError, match=r"no test clips of category 'ski'; .* \(add videos with"):
        list_clips(tmp_path / "out", "ski", "test", (8, 16, 16))


def test_a_folder_of_videos_that_were_not_cut_is_sent_to_ingest(tmp_path, video):
    video("Été à la plage/a.mp4", frames=2, size=16)

    with pytest.raises(DataError, match="if these are videos, cut them with `vgan ingest` first"):
        training_categories(tmp_path / "videos")


def test_one_of_a_thing_is_told_in_the_singular(tmp_path, video, capsys):
    path = video("golf/a.mp4", frames=1)

    assert main(["ingest", str(path), "--out", str(tmp_path / "a"), "--workers", "1"]) == 1
    assert "no clips from 1 video; the first" in (said := capsys.readouterr().err)
    assert "has 1 frame at 25 per second" in said
    path = video("golf/b.mp4", frames=40)
    assert main(["ingest", str(path), "--out", str(tmp_path / "b"), "--workers", "1"]) == 0
    assert "b: 1 clip (0 for testing) of 1 video\n" in capsys.readouterr().out


def test_frame_held_for_longer_than_a_clip_gives_every_clip_a_file_of_its_own(tmp_path, video):
    path = video("golf/slides.mp4", frames=3, fps=1, size=16)  # each held for 25 ticks

    report = ingest([path], tmp_path / "out", fps=25, min_motion=0, **SMALL)

    records = read_manifest(tmp_path / "out")
    numbers = {r.clip.split("-", 2)[2].removesuffix(".mp4") for r in records}
    assert numbers == {
        "000000", "000000-2", "000000-3", "000000-4",
        "000001", "000001-2", "000001-3", "000002", "000002-2",
    }  # fmt: skip
    assert all(sha256_of(tmp_path / "out" / r.clip) == r.sha256 for r in records)
    assert report.clips == 9


def test_several_processes_make_the_same_folder(tmp_path, video):
    for number in range(3):
        video(f"golf/{number}.mp4", seed=number)

    ingest([tmp_path / "videos"], tmp_path / "one", **SMALL)
    ingest([tmp_path / "videos"], tmp_path / "two", **(SMALL | {"workers": 2}))

    assert _files(tmp_path / "one") == _files(tmp_path / "two")


def test_second_run_cuts_only_what_is_new_or_changed(tmp_path, video):
    video("golf/a.mp4")
    changed = video("golf/b.mp4", frames=40, seed=1)
    first = ingest([tmp_path / "videos"], tmp_path / "out", **SMALL)
    kept = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("a-*.mp4")}
    video("golf/b.mp4", frames=16, seed=5)
    os.utime(changed, ns=(1, 1))
    video("golf/c.mp4", seed=2)

    second = ingest([tmp_path / "videos"], tmp_path / "out", **SMALL)

    assert (first.clips, second.clips) == (10, 12)
    assert (first.resumed, second.resumed) == (0, 1)
    assert kept == {p: p.stat().st_mtime_ns for p in kept}
    assert len(list((tmp_path / "out").rglob("*.mp4"))) == 12


def test_more_inputs_join_the_folder(tmp_path, video):
    one, two = video("golf/a.mp4"), video("beach/b.mp4")
    ingest([one], tmp_path / "out", **SMALL)

    report = ingest([two], tmp_path / "out", **SMALL)

    assert (report.videos, report.clips) == (2, 10)
    assert {"golf", "beach"} == {r.category for r in read_manifest(tmp_path / "out")}


def test_clips_of_a_video_that_is_gone_stay_until_they_are_to_be_forgotten(tmp_path, video):
    kept, gone, bad = video("golf/a.mp4"), video("golf/b.mp4", seed=1), video("golf/c.mp4", size=8)
    out = tmp_path / "out"
    ingest([kept.parent], out, **SMALL)
    (clip,) = out.glob("golf/b-*-000000.mp4")
    for copy in (".shards/golf-train-0.u8", f"preview/{clip.name}"):
        (out / copy).parent.mkdir()
        (out / copy).touch()
    gone.unlink()
    bad.unlink()

    report = ingest([kept.parent], out, **SMALL)
    assert (report.clips, report.failed) == (10, 1)
    assert report.details() == [
        "no longer there: 2 videos, 5 clips stay; --forget-missing deletes them "
        "(golf/b.mp4, golf/c.mp4)"
    ]

    report = ingest([kept.parent], out, forget_missing=True, **SMALL)
    assert (report.clips, report.failed) == (5, 0)
    assert "2 videos, 5 clips deleted (golf/b.mp4, golf/c.mp4)" in report.details()[0]
    assert {r.origin.video for r in read_manifest(out)} == {"golf/a.mp4"}
    assert not [path for path in out.rglob("*") if path.name.startswith("b-")]
    assert not list(out.rglob("*.u8"))
    assert not [path for path in out.rglob("*.json*") if "golf/b.mp4" in path.read_text()]
    assert len(ingest([kept.parent], out, forget_missing=True, **SMALL).details()) == 1


def test_forgetting_that_was_killed_is_ended_by_the_same_command(tmp_path, video, monkeypatch):
    kept, gone = video("golf/a.mp4"), video("golf/b.mp4", seed=1)
    out = tmp_path / "out"
    ingest([kept.parent], out, **SMALL)
    gone.unlink()

    def killed(*_args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("vgan.data.ledger.remove_clips", killed)
        with pytest.raises(KeyboardInterrupt):
            ingest([kept.parent], out, forget_missing=True, **SMALL)
    assert len(read_manifest(out)) == 5  # no line without its clip, wherever it was killed

    ingest([kept.parent], out, forget_missing=True, **SMALL)
    assert len(list(out.rglob("*.mp4"))) == len(read_manifest(out)) == 5


def test_a_video_that_moved_is_not_missing(tmp_path, video):
    first, there = video("golf/a.mp4"), tmp_path / "elsewhere/golf/a.mp4"
    ingest([first], tmp_path / "out", **SMALL)
    there.parent.mkdir(parents=True)
    first.rename(there)
    ingest([there], tmp_path / "out", **SMALL)

    report = ingest([video("golf/b.mp4")], tmp_path / "out", **SMALL)

    assert (report.missing, report.clips) == ({}, 10)


_KILLED_AT_THE_SEVENTH_CLIP = """
import os, signal, sys
from pathlib import Path
from vgan.data import clips, cutting

written = []
def write_clip(path, frames, fps, write=cutting.write_clip):
    if len(written) == 6:
        os.kill(os.getpid(), signal.SIGKILL)
    written.append(path)
    return write(path, frames, fps)

cutting.write_clip = write_clip
clips.ingest([Path(sys.argv[1])], Path(sys.argv[2]), frames=8, size=16, workers=1, progress=False)
"""


def test_killed_and_run_again_ends_in_the_same_bytes(tmp_path, video):
    for number in range(3):
        video(f"golf/{number}.mp4", seed=number)
    videos, whole, killed = (tmp_path / n for n in ("videos", "whole", "killed"))
    ingest([videos], whole, **SMALL)
    command = [sys.executable, "-c", _KILLED_AT_THE_SEVENTH_CLIP, str(videos), str(killed)]
    assert subprocess.run(command).returncode == -signal.SIGKILL
    assert len(list(killed.rglob("*.mp4"))) == 6
    named = "`vgan ingest` was interrupted there .*ingest.json"
    with pytest.raises(DataError, match=named):  # test videos could be among these clips
        list_clips(killed, "golf", "train", (8, 16, 16))
    with pytest.raises(DataError, match=named):
        find_pictures([killed], category="golf")

    report = ingest([videos], killed, **SMALL)

    assert report.resumed == 1
    assert list_clips(killed, "golf", "train", (8, 16, 16)).records
    assert _files(whole) == _files(killed)


def test_full_disk_stops_and_leaves_nothing_half_written(tmp_path, video, monkeypatch):
    video("golf/a.mp4")
    written: list[Path] = []

    def full(self: Path, data: bytes) -> int:
        if ".mp4." in self.name:
            written.append(self)
        with self.open("wb") as file:
            if len(written) == 2:
                file.write(data[:100])
                raise OSError(errno.ENOSPC, "No space left on device")
            return file.write(data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(WriteError, match="No space left"):
            ingest([tmp_path / "videos"], tmp_path / "out", **SMALL)

    assert not list((tmp_path / "out").rglob("*.part"))
    assert not (tmp_path / "out" / "manifest.jsonl").exists()
    assert ingest([tmp_path / "videos"], tmp_path / "out", **SMALL).clips == 5


def test_other_settings_in_the_same_folder_are_refused(tmp_path, video):
    video("golf/a.mp4")
    ingest([tmp_path / "videos"], tmp_path / "out", **SMALL)

    with pytest.raises(UsageError, match="was made with frames 8"):
        ingest([tmp_path / "videos"], tmp_path / "out", **(SMALL | {"frames": 16}))
    with pytest.raises(UsageError, match="was made with no fps;"):
        ingest([tmp_path / "videos"], tmp_path / "out", **(SMALL | {"fps": 25.0}))


@pytest.mark.parametrize("wrong", [{"frames": 0}, {"size": 0}, {"fps": -1}, {"test_share": 1.5}])
def test_numbers_out_of_range_are_refused(tmp_path, wrong):
    with pytest.raises(UsageError, match="must be positive"):
        ingest([tmp_path], tmp_path / "out", **(SMALL | wrong))


@pytest.mark.parametrize("name", ["fps", "min_motion", "min_light"])
@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_what_is_no_number_is_refused_by_name(tmp_path, name, number):
    with pytest.raises(UsageError, match=f"{name} must be a number"):
        ingest([tmp_path], tmp_path / "out", **(SMALL | {name: number}))


def test_damaged_done_record_is_named(tmp_path, video):
    video("golf/a.mp4")
    ingest([tmp_path / "videos"], tmp_path / "out", **SMALL)
    record = next(p for p in (tmp_path / "out/.ingest").glob("*.json") if p.name != "splits.json")
    record.write_text("{")

    with pytest.raises(DataError, match=f"{record.name}: is damaged"):
        ingest([tmp_path / "videos"], tmp_path / "out", **SMALL)


def test_done_record_without_all_of_a_clip_is_named(tmp_path, video):
    video("golf/a.mp4")
    ingest([tmp_path / "videos"], tmp_path / "out", **SMALL)
    record = next(p for p in (tmp_path / "out/.ingest").glob("*.json") if p.name != "splits.json")
    done = json.loads(record.read_text())
    del done["clips"][0]["sha256"]
    record.write_text(json.dumps(done))

    with pytest.raises(DataError, match=f"{record.name}: key .sha256. .* delete it to cut"):
        ingest([tmp_path / "videos"], tmp_path / "out", **SMALL)


def test_no_video_is_on_both_sides_of_the_split(tmp_path, video):
    for number in range(6):
        video(f"golf/{number}.mp4", frames=16, seed=number)
    ingest([tmp_path / "videos"], tmp_path / "out", **SMALL)

    sides: dict[str, set[str]] = {}
    for record in read_manifest(tmp_path / "out"):
        sides.setdefault(record.origin.video, set()).add(record.split)

    assert {1} == {len(s) for s in sides.values()}
    assert {"train", "test"} == set.union(*sides.values())


def test_share_of_test_videos_is_the_one_asked_for():
    splits = assign_splits([f"golf/{n}.mp4" for n in range(4000)], {}, 0.2)

    tests = sum(side == "test" for side in splits.values())

    assert tests == pytest.approx(800, abs=75)  # three standard deviations


def test_adding_videos_never_moves_earlier_ones():
    splits: dict[str, str] = {}
    for count in range(1, 60):
        earlier = splits
        splits = assign_splits([f"golf/{n}.mp4" for n in range(count)], earlier, 0.2)

        assert earlier.items() <= splits.items()
        assert set(splits.values()) == ({"train"} if count == 1 else {"train", "test"})


def test_split_does_not_depend_on_the_order_of_videos():
    ids = [f"golf/{n}.mp4" for n in range(50)]

    assert assign_splits(ids, {}, 0.2) == assign_splits(ids[::-1], {}, 0.2)


@pytest.mark.parametrize(("share", "sides"), [(0.0, {"train"}), (1.0, {"test"})])
def test_whole_folder_on_one_side_when_asked(share, sides):
    assert sides == set(assign_splits(["a", "b", "c"], {}, share).values())


@pytest.mark.skipif(not REAL.is_dir(), reason="the real videos (../shared/data) are not here")
def test_real_traffic_videos_become_clips(tmp_path):
    videos = sorted(REAL.glob("jamcam_street_*.mp4"))[:2]

    report = ingest(videos, tmp_path / "out", workers=1, progress=False)

    stored = sum((video_info(v).frames or 0) // 32 for v in videos)
    assert (report.videos, report.clips) == (2, stored)
    for record in read_manifest(tmp_path / "out"):
        assert read_video(tmp_path / "out" / record.clip).frames.std() > 10
