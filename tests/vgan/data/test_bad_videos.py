"""Every kind of bad input is named, counted and skipped; the rest is cut, the exit code is 1."""

import errno
import json
import re
import resource
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest

from vgan.cli import main
from vgan.data.clips import ingest
from vgan.data.duplicates import find_duplicates
from vgan.data.files import WriteError, write_atomic, written_whole
from vgan.data.ledger import Ledger, gather
from vgan.data.locking import locked
from vgan.data.manifest import read_manifest
from vgan.data.videos import _decoded, iter_frames
from vgan.errors import DataError

SMALL = {"frames": 8, "size": 16, "workers": 1, "progress": False}


def _encode(path: Path, frames: np.ndarray, codec: str = "libx264") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv444p" if frames.shape[1] % 2 else "yuv420p"
        stream.gop_size = 12
        if codec == "libx264":
            stream.options = {"preset": "ultrafast"}
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


def _sliding(frames: int, height: int, width: int) -> np.ndarray:
    coarse = np.random.default_rng(0).integers(0, 256, (12, 12, 3), np.uint8)
    tiles = (-(-height // 12), -(-width // 12))
    picture = coarse.repeat(tiles[0], 0).repeat(tiles[1], 1)[:height, :width]
    return np.stack([np.roll(picture, (3 * n, 5 * n), (0, 1)) for n in range(frames)])


def _flipped(path: Path, share: float = 0.45) -> Path:
    """Flip bytes in a twentieth of a file."""
    data = bytearray(path.read_bytes())
    at = int(share * len(data))
    for n in range(at, at + len(data) // 20):
        data[n] ^= 0x5A
    path.write_bytes(data)
    return path


def _cut_short(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    return path


def _sound(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), "fltp", "mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture
def bad_folder(tmp_path) -> Path:
    """A good video of odd size, one of another, and one of every kind that is bad."""
    folder = tmp_path / "videos/park"
    _encode(folder / "good-63x47.mp4", _sliding(24, 47, 63))
    _encode(folder / "good-200x120.mkv", _sliding(9, 120, 200))
    _encode(folder / "single.mp4", _sliding(1, 64, 64))
    _flipped(_encode(folder / "corrupt.mp4", _sliding(60, 128, 128)))
    _flipped(_encode(folder / "corrupt.avi", _sliding(60, 128, 128), "mpeg4"))
    _flipped(_encode(folder / "corrupt.mpg", _sliding(60, 128, 128), "mpeg2video"))
    _cut_short(_encode(folder / "truncated.mp4", _sliding(30, 64, 64)))
    _cut_short(_encode(folder / "truncated.avi", _sliding(30, 64, 64), "mpeg4"))
    (folder / "empty.mp4").touch()
    (folder / "empty.avi").touch()
    (folder / "text.mp4").write_text("<html>404 not found</html>")
    (folder / "picture.mov").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    _sound(folder / "sound.mp4")
    (folder / "twin.mp4").write_bytes((folder / "good-63x47.mp4").read_bytes())
    return folder


WHY = {
    "single.mp4": "has 1 frame at 25 per second, a clip needs 8",
    "corrupt.mp4": r"is damaged.* frame \d+",
    "corrupt.avi": r"is damaged.* frame \d+",
    "corrupt.mpg": r"is damaged.* frame \d+",
    "truncated.mp4": "is a truncated or damaged MP4",
    "truncated.avi": r"is (truncated: it declares 30 frames|damaged or truncated after)",
    "empty.mp4": r"is empty \(0 bytes\)",
    "empty.avi": r"is empty \(0 bytes\)",
    "text.mp4": "is not a video that can be read",
    "picture.mov": "is a PNG, not a video: convert it to MP4 first",
    "sound.mp4": r"holds no video stream \(sound only\?\)",
    "twin.mp4": "is the same, byte for byte, as .*good-63x47.mp4",
}


def test_every_bad_video_is_named_and_the_good_ones_are_cut(bad_folder, tmp_path, capsys):
    asked = ["--frames", "8", "--size", "16", "--workers", "1"]
    out = tmp_path / "out"

    assert main(["ingest", str(bad_folder.parent), "--out", str(out), *asked]) == 1

    said = capsys.readouterr()
    assert f"{out}: 4 clips" in said.out
    assert "duplicates: 1 video, of which another file is used" in said.out
    assert said.err.splitlines()[-1].startswith("vgan: 11 videos could not be used (the ")
    rows = [json.loads(line) for line in (out / "rejected.jsonl").read_text().splitlines()]
    whole = {row["video"].removeprefix("park/"): row for row in rows if "start_frame" not in row}
    assert sorted(whole) == sorted(WHY)
    for name, why in WHY.items():
        assert re.search(why, whole[name]["why"]), whole[name]["why"]
    assert [n for n, row in whole.items() if row.get("kind") == "duplicate"] == ["twin.mp4"]
    kept = {record.origin.video for record in read_manifest(out)}
    assert kept == {"park/good-63x47.mp4", "park/good-200x120.mkv"}
    clips = {path.relative_to(out).as_posix() for path in out.rglob("*.mp4")}
    assert clips == {record.clip for record in read_manifest(out)}


def test_frames_of_8k_are_cut(tmp_path):
    picture = _sliding(1, 32, 32).repeat(135, 1).repeat(240, 2)
    large = np.concatenate([picture, picture // 8 * 7])
    path = _encode(tmp_path / "8k.mp4", large)

    report = ingest([path], tmp_path / "out", **(SMALL | {"frames": 2}))

    assert large.shape == (2, 4320, 7680, 3)
    assert (report.clips, report.rejects) == (1, [])


def test_duplicates_and_videos_that_are_black_throughout_are_no_failure(tmp_path, video, capsys):
    path = video("golf/a.mp4")
    (path.parent / "b.mp4").write_bytes(path.read_bytes())
    _encode(path.parent / "c.mp4", np.zeros((16, 64, 64, 3), np.uint8))

    asked = ["--frames", "8", "--size", "16", "--workers", "1"]
    assert main(["ingest", str(tmp_path / "videos"), "--out", str(tmp_path / "out"), *asked]) == 0
    said = capsys.readouterr().out
    assert "without clips: 1 video, all of whose clips were dropped" in said
    assert "dropped: 2 black" in said


def test_duplicate_takes_over_when_its_original_is_gone_and_never_before(tmp_path, video):
    first = video("golf/b.mp4")
    videos = first.parent.parent
    assert ingest([videos], tmp_path / "out", **SMALL).clips == 5
    # By id it would come first; what has been cut stays.
    (first.parent / "a.mp4").write_bytes(first.read_bytes())

    report = ingest([videos], tmp_path / "out", **SMALL)
    assert [(r.video, r.kind) for r in report.rejects] == [("golf/a.mp4", "duplicate")]
    assert (report.clips, report.resumed, report.failed) == (5, 1, 0)
    first.unlink()
    report = ingest([videos], tmp_path / "again", **SMALL)
    assert (report.videos, report.rejects) == (1, [])
    report = ingest([videos], tmp_path / "out", **SMALL)
    assert "golf/a.mp4" in {r.origin.video for r in read_manifest(tmp_path / "out")}


def test_only_files_of_one_size_are_compared(tmp_path, monkeypatch):
    from vgan.data import duplicates
    from vgan.data.source_videos import SourceVideo

    read: list[str] = []
    monkeypatch.setattr(duplicates, "sha256_of", lambda p: read.append(p.name) or p.read_text())
    for name, text in {"a": "one", "b": "two", "c": "longer", "d": "two", "e": "", "f": ""}.items():
        (tmp_path / name).write_text(text)
    videos = [SourceVideo(name, tmp_path / name, "x") for name in "abcdef"]

    found = find_duplicates(videos, lambda _: False)

    assert {name: original.id for name, original in found.items()} == {"d": "b"}
    assert sorted(read) == ["a", "b", "d"]


@pytest.mark.parametrize(("codec", "suffix"), [("libx264", "mkv"), ("mpeg4", "avi")])
def test_intact_video_of_the_same_codec_is_not_called_damaged(tmp_path, codec, suffix):
    path = _encode(tmp_path / f"a.{suffix}", _sliding(60, 128, 128), codec)

    assert sum(1 for _ in iter_frames(path)) == 60


def _out_of_space(code: int) -> Callable[[Path, bytes], int]:
    def refuse(self: Path, data: bytes) -> int:
        raise OSError(code, errno.errorcode[code])

    return refuse


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_folder_that_cannot_be_written_stops_the_run_with_the_reason(
    tmp_path, video, monkeypatch, capsys, code
):
    path = video("golf/a.mp4")
    monkeypatch.setattr(Path, "write_bytes", _out_of_space(code))

    assert main(["ingest", str(path), "--out", str(tmp_path / "out"), "--workers", "1"]) == 1
    assert f"cannot be written ({errno.errorcode[code]})" in capsys.readouterr().err
    assert not list((tmp_path / "out").rglob("*.part"))


def test_out_below_a_file_is_named(tmp_path, video, capsys):
    path = video("golf/a.mp4")

    assert main(["ingest", str(path), "--out", str(path / "out"), "--workers", "1"]) == 1
    assert "cannot be written (Not a directory)" in capsys.readouterr().err


def _limited() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))  # bytes of a file; a clip has more


def test_worker_process_that_cannot_write_stops_the_run_with_the_reason(tmp_path, video):
    for number in range(3):
        video(f"golf/{number}.mp4", seed=number)
    order = ["ingest", str(tmp_path / "videos"), "--out", str(tmp_path / "out"), "--frames", "8"]
    program = "import sys; from vgan.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, *order, "--workers", "2"]

    ended = subprocess.run(command, preexec_fn=_limited, capture_output=True, text=True)

    assert ended.returncode == 1
    assert "cannot be written (File too large)" in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr
    assert not list((tmp_path / "out").rglob("*.part"))
    whole = ingest([tmp_path / "videos"], tmp_path / "out", frames=8, workers=1, progress=False)
    assert (whole.videos, whole.resumed) == (3, 0)


_AT_A_SIGN = """
import sys
from pathlib import Path
from vgan.data.clips import ingest
print("ready", flush=True)
sys.stdin.readline()
inputs = [Path(p) for p in sys.argv[2:]]
ingest(inputs, Path(sys.argv[1]), frames=8, size=16, workers=1, progress=False)
"""


def _files(folder: Path) -> dict[Path, bytes]:
    return {
        p.relative_to(folder): p.read_bytes()
        for p in folder.rglob("*")
        if p.is_file() and (".ingest" not in p.parts or p.name == "splits.json")
    }


def test_two_runs_on_one_folder_at_once_end_as_one_run_over_everything(tmp_path, video):
    paths = [video(f"golf/{number}.mp4", frames=24, seed=number) for number in range(9)]
    shares = (paths[:6], paths[3:])
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", _AT_A_SIGN, str(tmp_path / "both"), *map(str, share)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for share in shares
    ]  # fmt: skip
    for run in runs:
        assert run.stdout is not None
        assert run.stdout.readline() == "ready\n"
    for run in runs:
        assert run.stdin is not None
        run.stdin.write("\n")
        run.stdin.flush()
    for run in runs:
        run.communicate()

    assert [run.returncode for run in runs] == [0, 0]
    ingest(paths, tmp_path / "one", **SMALL)
    both, one = _files(tmp_path / "both"), _files(tmp_path / "one")
    assert both.keys() == one.keys()
    manifest = {r.clip: r for r in read_manifest(tmp_path / "both")}
    assert {r.clip: r.sha256 for r in manifest.values()} == {
        r.clip: r.sha256 for r in read_manifest(tmp_path / "one")
    }
    assert {r.origin.video for r in manifest.values()} == {f"golf/{n}.mp4" for n in range(9)}


def test_a_lock_is_held_by_one_at_a_time(tmp_path):
    entered = threading.Event()

    def enter() -> None:
        with locked(tmp_path / "lock"):
            entered.set()

    second = threading.Thread(target=enter)
    with locked(tmp_path / "lock"):
        second.start()
        assert not entered.wait(0.2)
    assert entered.wait(60)
    second.join()


def test_two_runs_never_put_the_manifest_together_at_once(tmp_path, video, monkeypatch):
    inside, together = threading.Barrier(2), []

    def watched(out: Path, *asked: object) -> Ledger:
        try:
            inside.wait(timeout=0.5)
            together.append(out)
        except threading.BrokenBarrierError:  # nobody else came in
            inside.reset()
        return gather(out, *asked)

    monkeypatch.setattr("vgan.data.clips.gather", watched)
    paths = [video(f"golf/{number}.mp4", frames=8, seed=number) for number in range(2)]
    runs = [
        threading.Thread(target=ingest, args=([path], tmp_path / "out"), kwargs=SMALL)
        for path in paths
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join()

    assert not together
    assert len(read_manifest(tmp_path / "out")) == 2


def test_two_writers_of_one_file_do_not_meet(tmp_path, monkeypatch):
    path, write = tmp_path / "file", Path.write_bytes

    def interrupted(self: Path, data: bytes) -> int:
        count = write(self, data)
        if data == b"first":
            write_atomic(path, b"second")
        return count

    monkeypatch.setattr(Path, "write_bytes", interrupted)
    write_atomic(path, b"first")

    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_frame_that_the_decoder_calls_corrupt_is_damage(tmp_path):
    frames = [SimpleNamespace(is_corrupt=number == 2) for number in range(4)]
    stream = SimpleNamespace(codec_context=SimpleNamespace(width=8, height=8), frames=4)
    packets = [SimpleNamespace(size=1, is_discard=False, dts=0, decode=lambda: frames)]
    container = SimpleNamespace(demux=lambda _: iter(packets))
    reader = SimpleNamespace(_video_stream=stream, _container=container)

    with pytest.raises(DataError, match=r"a.mp4: is damaged at frame 2"):
        list(_decoded(tmp_path / "a.mp4", reader))


def test_large_file_in_a_place_that_cannot_be_written_is_named_with_the_room_it_takes(tmp_path):
    (tmp_path / "file").touch()

    with (
        pytest.raises(WriteError, match=r"a\.u8: cannot be written \(File exists\); 3 MiB"),
        written_whole(tmp_path / "file" / "a.u8", "; 3 MiB"),
    ):
        pass


def test_lock_in_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(WriteError, match="cannot be written"), locked(tmp_path / "file/lock"):
        pass


def test_folder_of_bad_videos_alone_names_the_first(tmp_path):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos/a.mp4").touch()

    with pytest.raises(DataError, match=r"no clips from 1 video; .*a.mp4, is empty \(0 bytes\)"):
        ingest([tmp_path / "videos"], tmp_path / "out", **SMALL)
