"""Clips with nothing in them are dropped with why; stabilised ones say how still they are."""

import json
import re

import numpy as np
import pytest

from vgan.cli import main
from vgan.data.clips import ingest
from vgan.data.ledger import Stability
from vgan.data.making import ClipDroppedError, CutSettings, make_clip
from vgan.data.manifest import read_manifest
from vgan.data.preview import side_by_side
from vgan.data.scenes import draw_clip
from vgan.data.videos import read_video, write_clip
from vgan.errors import DataError, UsageError

SETTINGS = CutSettings(None, 8, 16)
HERE = {"workers": 1, "progress": False}


def _noise(low: int, high: int, frames: int = 8, seed: int = 0):
    return np.random.default_rng(seed).integers(low, high, (frames, 16, 16, 3), np.uint8)


def test_black_clip_is_dropped():
    with pytest.raises(ClipDroppedError, match=r"is black: mean level 4\.\d of 255") as dropped:
        make_clip(list(_noise(0, 10)), SETTINGS)
    assert dropped.value.kind == "black"
    assert len(make_clip(list(_noise(0, 20)), SETTINGS).frames) == 8


def test_still_clip_is_dropped():
    frames = np.repeat(_noise(0, 255, 1), 8, axis=0)
    frames[4:, 0, 0] ^= 3  # 3 levels in one of 256 pixels once in 7 changes

    with pytest.raises(ClipDroppedError, match=r"is still: 0\.00 levels of 255") as dropped:
        make_clip(list(frames), SETTINGS)
    assert dropped.value.kind == "still"


def test_thresholds_of_zero_keep_everything():
    black = np.zeros((8, 16, 16, 3), np.uint8)

    clip = make_clip(list(black), CutSettings(None, 8, 16, min_motion=0, min_light=0))

    assert np.array_equal(clip.frames, black)


def test_single_frame_cannot_be_still():
    assert len(make_clip(list(_noise(0, 255, 1)), CutSettings(None, 1, 16)).frames) == 1


def _scenes(*names: str, frames: int = 20):
    return np.concatenate([draw_clip(n, 3, 0, frames=frames, size=48).frames for n in names])


def test_no_clip_crosses_a_cut_and_leftovers_of_a_shot_are_dropped(tmp_path):
    write_clip(tmp_path / "videos/park/a.mp4", _scenes("golf", "train", "beach"), 20)

    ingest([tmp_path / "videos"], tmp_path / "out", frames=8, size=48, **HERE)

    records = read_manifest(tmp_path / "out")
    assert [r.origin.start_frame for r in records] == [0, 8, 20, 28, 40, 48]


def test_shots_that_are_all_too_short_are_a_reason(tmp_path):
    write_clip(tmp_path / "videos/park/a.mp4", _scenes("golf", "train", frames=7), 20)

    with pytest.raises(DataError, match="has 7 frames in the longest of its 2 shots at 20 per sec"):
        ingest([tmp_path / "videos"], tmp_path / "out", frames=8, size=48, **HERE)


def test_dropped_stretches_are_listed_with_the_reason(tmp_path):
    frames = _scenes("golf", frames=24)
    frames[8:16] = frames[8]
    write_clip(tmp_path / "videos/park/a.mp4", frames, 20)
    write_clip(tmp_path / "videos/park/b.mp4", np.zeros((16, 48, 48, 3), np.uint8), 20)

    report = ingest([tmp_path / "videos"], tmp_path / "out", frames=8, size=48, **HERE)

    lines = [json.loads(s) for s in (tmp_path / "out/rejected.jsonl").read_text().splitlines()]
    assert [r.origin.start_frame for r in read_manifest(tmp_path / "out")] == [0, 16]
    assert [(x["video"], x.get("start_frame"), x.get("kind")) for x in lines] == [
        ("park/b.mp4", None, "dropped"), ("park/a.mp4", 8, "still"),
        ("park/b.mp4", 0, "black"), ("park/b.mp4", 8, "black"),
    ]  # fmt: skip
    assert lines[0]["why"] == "none of its 2 clips can be used; the first is black: mean level " \
        "0.0 of 255"  # fmt: skip
    assert report.details() == [
        "without clips: 1 video, all of whose clips were dropped",
        "dropped: 2 black, 1 still (why: rejected.jsonl)",
        *report.details()[2:],  # no test clips
    ]
    assert report.failed == 0


@pytest.fixture
def shaky(tmp_path, filmed):
    """A video of 24 frames whose camera slides back and forth."""
    path = [np.array([[1, 0, 8 * np.sin(k)], [0, 1, 6 * np.sin(k / 2)], [0, 0, 1.0]])
            for k in range(24)]  # fmt: skip
    write_clip(tmp_path / "videos/park/a.mp4", np.stack(filmed(path)), 20)
    return tmp_path / "videos"


@pytest.mark.parametrize("method", ["similarity", "homography", "paper"])
def test_stabilised_clips_say_how_much_stiller_they_are(tmp_path, shaky, method):
    made = {"stabilize": method, "frames": 8, "size": 32}

    report = ingest([shaky], tmp_path / "out", preview=1, **made, **HERE)
    again = ingest([shaky], tmp_path / "again", **made, **HERE)

    records = read_manifest(tmp_path / "out")
    starts = [2, 12, 22] if method == "paper" else [0, 8, 16]
    assert [r.origin.start_frame for r in records] == starts[: len(records)]
    for record in records:
        assert record.extra["motion_before"] > 0.8
        assert record.extra["motion_after"] < 0.15
        assert len(read_video(tmp_path / "out" / record.clip).frames) == 8
    assert (report.stability.tried, report.stability.rejected) == (len(records), 0)
    assert report.stability.after < report.stability.before / 5
    assert "0 of" in report.details()[-1]
    assert records == read_manifest(tmp_path / "again")
    assert again.stability == report.stability
    [preview] = (tmp_path / "out/preview").iterdir()
    assert preview.name == records[0].clip.split("/")[1]
    shown = read_video(preview).frames
    assert len(shown) == 8
    assert shown.shape[2] == 2 * shown.shape[1] + 8


def test_clip_that_cannot_be_stabilised_is_dropped(tmp_path, filmed):
    frames = filmed([np.eye(3)] * 24)
    for k in range(8, 16):
        frames[k] = np.full_like(frames[k], 40 + 8 * k)
    write_clip(tmp_path / "videos/park/a.mp4", np.stack(frames), 20)

    made = {"stabilize": "similarity", "frames": 24, "size": 32}
    with pytest.raises(DataError, match="longest of its 3 shots"):
        ingest([tmp_path / "videos"], tmp_path / "out", **made, **HERE)
    report = ingest([tmp_path / "videos"], tmp_path / "eight", **(made | {"frames": 8}), **HERE)

    [drop] = report.dropped
    assert (drop.kind, drop.start_frame, report.clips) == ("unstable", 8, 2)
    assert "too few features" in drop.why
    assert report.stability.rejected / report.stability.tried == pytest.approx(1 / 3)


def test_command_says_how_stabilising_went(tmp_path, shaky, capsys):
    asked = ["--stabilize", "similarity", "--preview", "1", "--workers", "1"]

    assert (
        main(["ingest", str(shaky), "--out", str(tmp_path / "out"), "--frames", "8", *asked]) == 0
    )

    said = capsys.readouterr().out
    assert re.search(
        r"stabilised: 0 of 3 clips rejected \(0\.0%\); the background moves \d\.\d\d", said
    )
    assert len(list((tmp_path / "out/preview").iterdir())) == 1


def test_motion_that_was_measured_in_no_clip_is_said_to_be_missing():
    assert "could not be measured" in Stability(4, 1, None, None).sentence()
    assert "1 of 4 clips rejected (25.0%)" in Stability(4, 1, None, None).sentence()


def test_preview_without_stabilising_is_refused(tmp_path, video):
    with pytest.raises(UsageError, match="choose --stabilize"):
        ingest([video("golf/a.mp4")], tmp_path / "out", preview=1, **HERE)


def test_unknown_stabiliser_is_refused(tmp_path, video):
    with pytest.raises(UsageError, match="no stabiliser 'glue'; there are none, similarity"):
        ingest([video("golf/a.mp4")], tmp_path / "out", stabilize="glue", **HERE)


def test_preview_has_before_on_the_left_and_after_on_the_right():
    before, after = np.full((4, 4, 3), 10, np.uint8), np.full((2, 2, 3), 90, np.uint8)

    [shown] = side_by_side([before], [after], 4)

    assert (shown[:, :4] == 10).all()
    assert (shown[:, 12:] == 90).all()
    assert shown.shape == (4, 16, 3)
