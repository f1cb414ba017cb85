"""Clips are kept by scene, once scored stay scored, and the folder they came from stays as it was.

The network here tells colours apart: red is class 48 (beach), green 164 (golf), blue 7.
"""

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from vgan.cli import main
from vgan.data import scene_filter, scene_scores
from vgan.data.files import WriteError
from vgan.data.manifest import ClipRecord, Origin, read_manifest, write_manifest
from vgan.data.scene_filter import filter_scenes
from vgan.data.videos import write_clip
from vgan.errors import DataError, UsageError
from vgan.models.resnet import ResNet

RED, GREEN, BLUE = (250, 0, 0), (0, 250, 0), (0, 0, 250)
QUIET = {"device": torch.device("cpu"), "progress": False, "frames": 2}


@pytest.fixture(scope="session")
def weights(tmp_path_factory) -> Path:
    """A network whose blocks pass colours on and whose last layer names them."""
    network = ResNet((1, 1, 1, 1), 3)
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if name.endswith(("bn2.weight", "conv1.weight", "fc.weight", "fc.bias")):
                value.zero_()
        network.conv1.weight[range(3), range(3), 3, 3] = 1
        for stage in (2, 3, 4):
            torch.nn.init.dirac_(network.get_submodule(f"layer{stage}.0.downsample.0").weight)
        network.fc.weight[[48, 164, 7], range(3)] = 40
    path = tmp_path_factory.mktemp("weights") / "colours.pth"
    torch.save({"state_dict": network.state_dict()}, path)
    return path


@pytest.fixture
def clips(tmp_path):
    """Make a clip folder: clips({"a/x.mp4": (colour, video)})."""

    def make(wanted, folder="clips") -> Path:
        records = []
        for number, (name, (colour, video)) in enumerate(wanted.items()):
            frames = np.full((4, 16, 16, 3), colour, np.uint8)
            frames[:, 0, :, :] = number  # no two clips are equal
            sha256 = write_clip(tmp_path / folder / name, frames, 25)
            origin = Origin(video, 4 * number) if video else None
            records.append(
                ClipRecord(name, sha256, "real", "all", 4, 25.0, 16, 16, origin=origin,
                           split="train", extra={"motion_before": 1.5})
            )  # fmt: skip
        write_manifest(tmp_path / folder, records)
        return tmp_path / folder

    return make


def _snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def _rejects(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "rejected.jsonl").read_text().splitlines()]


def test_a_last_layer_that_always_says_golf_makes_every_clip_golf(tmp_path, clips):
    torch.manual_seed(0)
    network = ResNet((1, 1, 1, 1), 2)
    network.fc.bias.data[164] = 50.0
    torch.save(network.state_dict(), tmp_path / "golf.pth")
    folder = clips({f"{n}.mp4": ((40 * n, 9, 200 - 40 * n), None) for n in range(4)})

    report = filter_scenes(folder, tmp_path / "out", weights=tmp_path / "golf.pth", **QUIET)

    assert report.kept == {"beach": 0, "golf": 4, "train": 0, "baby": 0}
    assert {r.extra["places"][164] for r in read_manifest(tmp_path / "out")} == {1.0}


def test_kept_clips_are_links_with_scores_and_the_source_is_untouched(tmp_path, clips, weights):
    folder = clips({"a/r.mp4": (RED, "v1"), "a/g.mp4": (GREEN, "v2"), "a/b.mp4": (BLUE, "v3")})
    before, out = _snapshot(folder), tmp_path / "out"

    report = filter_scenes(folder, out, weights=weights, **QUIET)

    assert _snapshot(folder) == before
    assert report.kept == {"beach": 1, "golf": 1, "train": 0, "baby": 0}
    golf, beach = read_manifest(out)
    assert (golf.clip, golf.category, beach.clip, beach.category) == (
        "a/g.mp4", "golf", "a/r.mp4", "beach",
    )  # fmt: skip
    assert (beach.origin, beach.split, beach.extra["motion_before"]) == (
        Origin("v1", 0), "train", 1.5,
    )  # fmt: skip
    assert len(beach.extra["places"]) == 365
    assert beach.extra["places"][48] > 0.9
    assert (out / "a/r.mp4").samefile(folder / "a/r.mp4")
    assert not (out / "a/b.mp4").exists()
    why = "its likeliest scene is class 7 of Places365"
    assert [(d["clip"], d["kind"], d["why"].startswith(why)) for d in _rejects(out)] == [
        ("a/b.mp4", "scene", True)
    ]


def test_clips_of_one_video_are_decided_together_or_each_alone(tmp_path, clips, weights):
    folder = clips({"1.mp4": (RED, "v"), "2.mp4": (RED, "v"), "3.mp4": (GREEN, "v")})

    together = filter_scenes(folder, tmp_path / "v", weights=weights, **QUIET)
    alone = filter_scenes(folder, tmp_path / "c", weights=weights, by="clip", **QUIET)

    assert (together.kept["beach"], together.kept["golf"]) == (3, 0)
    assert (alone.kept["beach"], alone.kept["golf"]) == (2, 1)


def test_another_threshold_needs_no_network_and_gives_what_it_gives_anew(tmp_path, clips, weights):
    half = (209, 200, 0)  # half beach, half golf
    folder = clips({"r.mp4": (RED, "v1"), "h.mp4": (half, "v2"), "b.mp4": (BLUE, "v3")})
    out, rule = tmp_path / "out", {"categories": "beach,blue=7", "threshold": 0.9}
    first = filter_scenes(folder, out, weights=weights, **QUIET)
    assert (first.scored, sum(first.kept.values())) == (3, 2)

    again = filter_scenes(folder, out, **rule, **QUIET)
    filter_scenes(folder, tmp_path / "anew", weights=weights, **rule, **QUIET)

    assert (again.scored, again.kept) == (0, {"beach": 1, "blue": 1})
    assert _snapshot(out) == _snapshot(tmp_path / "anew")
    assert not (out / "h.mp4").exists()
    assert _rejects(out)[0]["why"].startswith("no category reaches 0.9: beach 0.")


def test_a_killed_run_goes_on_and_ends_like_one_that_was_not(tmp_path, clips, weights, monkeypatch):
    folder = clips({f"{n}.mp4": ((50 * n, 10, 60), f"v{n}") for n in range(5)})
    rule = {"weights": weights, "categories": "beach,blue=7", **QUIET}
    filter_scenes(folder, tmp_path / "whole", **rule)
    real, seen = scene_scores.score_frames, []

    def killed(*arguments):
        if len(seen) == 3:
            raise KeyboardInterrupt
        seen.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(scene_scores, "_DECODED_AT_ONCE", 2)
    monkeypatch.setattr(scene_scores, "score_frames", killed)
    with pytest.raises(KeyboardInterrupt):
        filter_scenes(folder, tmp_path / "out", **rule)
    assert not (tmp_path / "out" / "manifest.jsonl").exists()
    with (tmp_path / "out" / ".scenes.jsonl").open("a") as file:
        file.write('{"sha256": "half a li')
    monkeypatch.setattr(scene_scores, "score_frames", real)

    report = filter_scenes(folder, tmp_path / "out", **rule)

    assert report.scored == 3  # two were on disk, the third was on its way
    assert _snapshot(tmp_path / "out") == _snapshot(tmp_path / "whole")


def test_clips_that_cannot_be_read_are_named_counted_and_end_with_exit_code_1(
    tmp_path, clips, weights, capsys
):
    names = {f"{name}.mp4": (RED, name) for name in ("good", "empty", "other", "gone")}
    folder, out = clips(names), tmp_path / "out"
    (folder / "empty.mp4").write_bytes(b"")
    write_clip(folder / "other.mp4", np.zeros((4, 16, 16, 3), np.uint8), 25)
    (folder / "gone.mp4").unlink()

    command = ["filter-scenes", str(folder), "--weights", str(weights), "--out", str(out)]
    assert main([*command, "--device", "cpu"]) == 1

    shown = capsys.readouterr()
    assert "kept 1 clips (1 beach" in shown.out
    assert "dropped 0 clips of other scenes, 3 that cannot be read" in shown.out
    assert "3 clips could not be read" in shown.err
    assert {d["clip"]: d["kind"] for d in _rejects(out)} == {
        "empty.mp4": "unreadable", "other.mp4": "unreadable", "gone.mp4": "unreadable",
    }  # fmt: skip
    assert [r.clip for r in read_manifest(out)] == ["good.mp4"]


def test_other_weights_frames_or_no_weights_are_refused(tmp_path, clips, weights):
    folder, out = clips({"r.mp4": (RED, None)}), tmp_path / "out"
    with pytest.raises(UsageError, match="--weights is missing"):
        filter_scenes(folder, out, **QUIET)
    filter_scenes(folder, out, weights=weights, **QUIET)
    other = tmp_path / "other.pth"
    torch.save(ResNet((1, 1, 1, 1), 2).state_dict(), other)

    with pytest.raises(UsageError, match="was made with weights"):
        filter_scenes(folder, out, weights=other, **QUIET)
    with pytest.raises(UsageError, match="was made with frames 2"):
        filter_scenes(folder, out, weights=weights, **QUIET | {"frames": 3})
    clips({"r.mp4": (RED, None), "new.mp4": (GREEN, None)})
    with pytest.raises(UsageError, match="1 clips have no scores yet"):
        filter_scenes(folder, out, **QUIET)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"threshold": 0.0}, "more than 0"),
        ({"threshold": 1.1}, "at most 1"),
        ({"by": "frame"}, "decide by video or clip"),
    ],
)
def test_rules_out_of_range_are_refused(tmp_path, clips, weights, rule, message):
    with pytest.raises(UsageError, match=message):
        filter_scenes(clips({"r.mp4": (RED, None)}), tmp_path, weights=weights, **rule, **QUIET)


def test_the_folder_that_is_read_is_never_written_to(clips, weights):
    folder = clips({"r.mp4": (RED, None)})

    with pytest.raises(UsageError, match="is the folder that is read"):
        filter_scenes(folder, folder / ".." / folder.name, weights=weights, **QUIET)


def test_a_damaged_score_line_is_named(tmp_path, clips, weights):
    folder, out = clips({"r.mp4": (RED, None), "g.mp4": (GREEN, None)}), tmp_path / "out"
    filter_scenes(folder, out, weights=weights, **QUIET)
    journal = out / ".scenes.jsonl"
    whole = journal.read_text().splitlines(keepends=True)

    for line, message in (("{]\n", "not JSON"), ("3\n", "object"), ('{"a": 1}\n', "sha256")):
        journal.write_text(whole[0] + line)
        with pytest.raises(DataError, match=rf"\.scenes\.jsonl:2: .*{message}"):
            filter_scenes(folder, out, weights=weights, **QUIET)


def _full(*_arguments, **_settings):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_where_links_are_impossible_clips_are_copied(tmp_path, clips, weights, monkeypatch):
    monkeypatch.setattr(scene_filter.os, "link", _full)
    folder = clips({"r.mp4": (RED, None)})

    filter_scenes(folder, tmp_path / "out", weights=weights, **QUIET)

    copy = tmp_path / "out" / "r.mp4"
    assert copy.read_bytes() == (folder / "r.mp4").read_bytes()
    assert not copy.samefile(folder / "r.mp4")


def test_a_full_disk_leaves_no_manifest_and_keeps_the_scores(tmp_path, clips, weights, monkeypatch):
    folder, out = clips({"r.mp4": (RED, None)}), tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(scene_filter.os, "link", _full)
        patch.setattr(scene_filter.shutil, "copyfile", _full)
        with pytest.raises(WriteError, match=r"r\.mp4: cannot be written \(No space left"):
            filter_scenes(folder, out, weights=weights, **QUIET)
    assert sorted(p.name for p in out.iterdir()) == [".scenes.jsonl", "scenes.json"]

    assert filter_scenes(folder, out, **QUIET).kept["beach"] == 1
