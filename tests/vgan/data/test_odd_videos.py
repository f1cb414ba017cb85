"""Odd videos are cut; one that nothing can be made of never stops the others."""

import errno
import json
import os
import re
from fractions import Fraction
from pathlib import Path

import av
import pytest

from vgan.data.clips import ingest
from vgan.data.manifest import read_manifest
from vgan.data.videos import read_video, video_info
from vgan.errors import DataError

SMALL = {"frames": 8, "size": 16, "workers": 1, "progress": False}


def test_title_in_another_encoding_is_no_reason_to_refuse_a_video(tmp_path, moving):
    for suffix in ("avi", "mkv", "mp4"):
        path = tmp_path / f"videos/golf/{suffix}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w") as container:
            container.metadata["title"] = "Urlaub Caf@@"
            stream = container.add_stream("mpeg4", rate=25)
            stream.height, stream.width, stream.pix_fmt = 64, 64, "yuv420p"
            for frame in moving(8, 64, 64, 0):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode())
        path.write_bytes(path.read_bytes().replace(b"Caf@@", b"Caf\xe9 "))
    report = ingest([tmp_path / "videos"], tmp_path / "out", **SMALL)

    assert (report.videos, report.rejects) == (3, [])


def test_unknown_codec_and_links_to_nowhere_are_rejected_and_the_rest_is_cut(tmp_path, video):
    good = video("golf/good.mp4")
    unknown = good.read_bytes().replace(b"avc1", b"braw").replace(b"avcC", b"xxxC")
    (good.parent / "unknown.mp4").write_bytes(unknown)
    (good.parent / "link.mp4").symlink_to(tmp_path / "nowhere.mp4")
    (good.parent / "loop.mp4").symlink_to(good.parent / "loop.mp4")

    for resumed in (0, 1):
        report = ingest([tmp_path / "videos"], tmp_path / "out", **SMALL)

        assert (report.videos, report.clips) == (1, 5)
        assert (report.resumed > 0) == (resumed > 0)
        whys = {Path(r.path).name: r.why for r in report.rejects}
        assert whys.keys() == {"unknown.mp4", "link.mp4", "loop.mp4"}
        assert whys["unknown.mp4"] == "is of a codec that FFmpeg does not know: convert it first"
        assert whys["link.mp4"] == whys["loop.mp4"] == "no such file"


def test_video_that_the_disk_does_not_give_is_refused_by_name(video, monkeypatch):
    path = video("golf/a.mp4")

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("vgan.data.videos.iio.imopen", refuse)
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match=r"a\.mp4: cannot be read \(Input/output error\)"):
        read_video(path)


def test_name_that_is_not_utf8_is_cut_under_a_readable_one(tmp_path, video):
    names = (b"caf\xe9.mp4", b"bad\xe9.mp4", b"twin\xe9.mp4")
    odd, bad, twin = (tmp_path / "videos/golf" / os.fsdecode(name) for name in names)
    plain = video("golf/plain.mp4", frames=16, seed=1)
    try:
        odd.write_bytes(video("golf/other.mp4", frames=16).read_bytes())
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    (plain.parent / "other.mp4").unlink()
    bad.write_text("no video")
    twin.write_bytes(odd.read_bytes())

    report = ingest([tmp_path / "videos"], tmp_path / "out", **SMALL)

    assert {r.origin.video for r in read_manifest(tmp_path / "out")} == {
        "golf/caf\\xe9.mp4", "golf/plain.mp4",
    }  # fmt: skip
    assert [r.video for r in report.rejects] == ["golf/bad\\xe9.mp4", "golf/twin\\xe9.mp4"]
    rows = (tmp_path / "out/rejected.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(row)["path"] for row in rows] == [str(bad), str(twin)]


def test_a_jump_of_the_clock_is_not_filled_with_one_frame(tmp_path, moving):
    path = tmp_path / "jump.mkv"
    frames = moving(32, 64, 64, 0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"bf": "0"})
        stream.height, stream.width, stream.pix_fmt = 64, 64, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 25)
        for number, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture.pts, picture.time_base = number + 90_000 * (number >= 20), Fraction(1, 25)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())

    report = ingest([path], tmp_path / "out", **SMALL, fps=25)

    starts = [r.origin.start_frame for r in read_manifest(tmp_path / "out")]
    assert starts == [0, 8, 20]  # the hour between is not there, and no clip is of both sides
    assert (report.rejects, report.dropped) == ([], [])


def test_clips_of_a_link_whose_disk_is_away_stay(tmp_path, video):
    disk = video("golf/a.mp4").parent
    links = tmp_path / "links/golf"
    links.mkdir(parents=True)
    (links / "a.mp4").symlink_to(disk / "a.mp4")
    whole = ingest([links.parent], tmp_path / "out", **SMALL)
    before = read_manifest(tmp_path / "out")

    disk.rename(tmp_path / "away")
    again = ingest([links.parent], tmp_path / "out", **SMALL)

    assert (again.clips, again.rejects) == (whole.clips, [])
    assert read_manifest(tmp_path / "out") == before


def test_an_input_is_the_same_however_it_is_spelled(tmp_path, video, monkeypatch):
    store = video("store/a.mp4").parent
    (store.parent / "beach").symlink_to(store)
    monkeypatch.chdir(tmp_path)
    spelled = [Path("videos/beach"), Path("videos/store/../beach"), tmp_path / "videos/beach"]

    for given in spelled:
        report = ingest([given], tmp_path / "out", **SMALL)

        assert report.videos == 1
        assert {r.clip.split("/")[0] for r in read_manifest(tmp_path / "out")} == {"beach"}


def _recording(path: Path, frames, *, states: bool) -> None:
    """Write a WebM as screen recorders do: 30 frames a second, counted in milliseconds.

    Its header says 1000 a second, or nothing: the field that says it is made void.
    """
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx", rate=1000)
        stream.height, stream.width, stream.pix_fmt = 64, 64, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture.pts, picture.time_base = 100 * number // 3, Fraction(1, 1000)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    if not states:
        stated, void = re.compile(rb"\x23\xe3\x83\x83...", re.DOTALL), b"\xec\x85" + bytes(5)
        path.write_bytes(stated.sub(void, path.read_bytes()))


@pytest.mark.parametrize("states", [True, False])
def test_rate_of_a_screen_recording_is_the_one_its_times_show(tmp_path, moving, states):
    path = tmp_path / "screen.webm"
    _recording(path, moving(31, 64, 64, 0), states=states)

    report = ingest([path], tmp_path / "out", **SMALL)

    assert video_info(path).fps == pytest.approx(30)
    assert (report.clips, report.rejects) == (3, [])


def test_video_that_tells_no_rate_is_cut_on_a_clock_that_is_given(tmp_path, moving):
    path = tmp_path / "one.webm"
    _recording(path, moving(1, 64, 64, 0), states=False)
    one_frame = SMALL | {"frames": 1}

    with pytest.raises(DataError, match="states no frame rate: give --fps"):
        ingest([path], tmp_path / "own", **one_frame)
    report = ingest([path], tmp_path / "given", fps=25, **one_frame)

    assert (video_info(path).fps, report.clips) == (None, 1)


@pytest.mark.parametrize(
    ("transfer", "primaries", "what"),
    [(16, 9, "HDR (PQ)"), (18, 9, "HDR (HLG)"), (1, 9, "of the wide colours of BT.2020")],
)
def test_hdr_is_refused_with_what_makes_sdr_of_it(tmp_path, moving, transfer, primaries, what):
    path = tmp_path / "phone.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = 64, 64, "yuv420p"
        stream.codec_context.color_trc = transfer
        stream.codec_context.color_primaries = primaries
        for frame in moving(8, 64, 64, 0):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())

    with pytest.raises(
        DataError, match=re.escape(f"{path}: is {what}: convert it to SDR first (ff")
    ):
        read_video(path)
