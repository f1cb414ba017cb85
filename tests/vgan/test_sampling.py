import errno
import json
import os
import shutil
import threading
from contextlib import suppress

import numpy as np
import pytest
import torch

from vgan import generated_folder, sampling
from vgan.data import encoding, executors, joining
from vgan.data.manifest import read_manifest, sha256_of
from vgan.data.videos import read_video
from vgan.errors import CheckpointError, DataError, UsageError
from vgan.generated_folder import PARAMETERS_NAME, order_clips
from vgan.sampling import CHUNK
from vgan.training.folder import RunFolder


def generate(*asked, workers=None, **more):
    return sampling.generate(order_clips(*asked, **more), workers=workers)


def checksums(folder):
    return {record.clip: record.sha256 for record in read_manifest(folder)}


def files_of(folder):
    return {f.relative_to(folder): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


@pytest.fixture(scope="module")
def clips(runs, tmp_path_factory):
    """Three two-stream clips of seed 7 with their streams."""
    return generate(runs["two-stream"], tmp_path_factory.mktemp("clips"), 3, 7, streams=True)


@pytest.mark.parametrize(
    ("model", "source"),
    [("two-stream", "vgan-two-stream"), ("one-stream", "vgan-one-stream"),
     ("autoencoder", "autoencoder-gmm")],
)  # fmt: skip
def test_every_model_generates_clips_with_a_manifest(runs, tmp_path, model, source):
    out = generate(runs[model], tmp_path / "out", 2, 7)
    records = read_manifest(out)

    assert [record.clip for record in records] == ["beach/00000.mp4", "beach/00001.mp4"]
    for record in records:
        assert (record.source, record.category, record.seed) == (source, "beach", 7)
        assert (record.frames, record.width, record.height, record.fps) == (32, 64, 64, 20.0)
        assert record.sha256 == sha256_of(out / record.clip)
        assert read_video(out / record.clip).frames.shape == (32, 64, 64, 3)


def test_generating_says_at_which_rate(runs, tmp_path, caplog):
    with caplog.at_level("INFO"):
        generate(runs["one-stream"], tmp_path / "out", 1, 7)

    assert caplog.messages[-1] == (
        f"{tmp_path / 'out'}: 1 clip of vgan-one-stream at 20 frames per second, the median of "
        "what it was trained on"
    )


def test_the_same_seed_gives_the_same_bytes_whatever_the_number(runs, clips, tmp_path):
    many = generate(runs["two-stream"], tmp_path / "many", CHUNK + 2, 7)
    few = checksums(clips)

    assert few == {clip: checksums(many)[clip] for clip in few}
    assert len(set(checksums(many).values())) > 1


def test_another_seed_gives_other_clips(runs, clips, tmp_path):
    other = generate(runs["autoencoder"], tmp_path / "a", 2, 1)
    again = generate(runs["autoencoder"], tmp_path / "b", 2, 2)

    assert not set(checksums(other).values()) & set(checksums(again).values())


def test_streams_blend_to_the_clip(clips):
    parts = {
        name: read_video(clips / "streams" / name / "beach/00001.mp4").frames.astype(float)
        for name in ("foreground", "mask", "background")
    }
    mask = parts["mask"] / 255
    blend = mask * parts["foreground"] + (1 - mask) * parts["background"]
    clip = read_video(clips / "beach/00001.mp4").frames

    assert np.abs(blend - clip).max() <= 2  # each part is rounded once
    assert (parts["background"] == parts["background"][:1]).all()
    assert len(read_manifest(clips)) == 3


def test_a_complete_folder_is_left_alone_and_no_network_loaded(runs, clips, monkeypatch):
    before = files_of(clips)
    monkeypatch.delattr(sampling, "load_run")
    generate(runs["two-stream"], clips, 3, 7, streams=True)

    assert files_of(clips) == before


def test_an_interrupted_folder_is_continued_to_the_same_bytes(runs, clips, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(clips, out)
    for lost in ("manifest.jsonl", "beach/00001.mp4", "streams/mask/beach/00002.mp4"):
        (out / lost).unlink()
    generate(runs["two-stream"], out, 3, 7, streams=True)

    assert files_of(out) == files_of(clips)


@pytest.mark.parametrize(
    ("change", "named"),
    [({"n": 2}, "with n 3, not 2"), ({"seed": 8}, "with seed 7, not 8"),
     ({"streams": False}, "with streams True, not False")],
)  # fmt: skip
def test_a_folder_of_other_parameters_is_refused_by_name(runs, clips, change, named):
    asked = {"n": 3, "seed": 7, "streams": True} | change

    with pytest.raises(UsageError, match=named):
        generate(runs["two-stream"], clips, **asked)


def test_a_folder_of_another_checkpoint_is_refused(runs, clips, tmp_path):
    earlier = tmp_path / "run"
    shutil.copytree(runs["two-stream"], earlier, ignore=shutil.ignore_patterns("step-0000004.pt"))

    with pytest.raises(UsageError, match="holds beach clips of another run, or made before"):
        generate(earlier, clips, 3, 7, streams=True)


def test_a_folder_grows_to_the_bytes_of_one_made_at_once_also_with_a_break(
    runs, clips, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    shutil.copytree(clips, out)

    def stops(path, *_):
        raise DataError(f"{path}: cannot be written")

    with monkeypatch.context() as full:
        full.setattr("vgan.data.encoding.write_clip", stops)
        with pytest.raises(DataError, match=r"beach/00003\.mp4"):
            generate(runs["two-stream"], out, 4, 7, streams=True)
    assert checksums(out) == checksums(clips)  # what was listed stays listed

    generate(runs["two-stream"], out, 4, 7, streams=True)

    at_once = generate(runs["two-stream"], tmp_path / "at-once", 4, 7, streams=True)
    assert files_of(out) == files_of(at_once)
    assert len(checksums(out)) == 4


def test_a_folder_holds_several_categories_of_one_source(runs, clips, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(clips, out)
    generate(runs["two-stream"], out, 1, 9, category="golf")

    assert [r.clip for r in read_manifest(out) if r.category == "golf"] == ["golf/00000.mp4"]
    assert checksums(clips).items() < checksums(out).items()
    with pytest.raises(UsageError, match="holds clips of vgan-two-stream; one folder is for one"):
        generate(runs["one-stream"], out, 1, 9, category="train")


def test_two_categories_made_at_once_are_both_written_down(runs, tmp_path, monkeypatch):
    """Each run stops where it has read the files and not yet written, until the other is there."""
    both = threading.Barrier(2)
    out = tmp_path / "out"

    def late(write):
        def wait_and_write(*args):
            with suppress(threading.BrokenBarrierError):
                both.wait(timeout=1)  # in vain where one at a time comes in
            return write(*args)

        return wait_and_write

    monkeypatch.setattr(generated_folder, "write_atomic", late(generated_folder.write_atomic))
    monkeypatch.setattr(joining, "write_manifest", late(joining.write_manifest))
    makers = [
        threading.Thread(
            target=generate, args=(runs["two-stream"], out, 1, 0), kwargs={"category": category}
        )
        for category in ("beach", "golf")
    ]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()

    assert json.loads((out / PARAMETERS_NAME).read_text()).keys() == {"beach", "golf"}
    assert [r.clip for r in read_manifest(out)] == ["beach/00000.mp4", "golf/00000.mp4"]


def test_a_folder_with_other_files_is_refused(runs, tmp_path):
    (tmp_path / "thesis.tex").write_text("")

    with pytest.raises(UsageError, match="was not made by `vgan generate`"):
        generate(runs["two-stream"], tmp_path, 1, 0)


def test_streams_of_a_one_stream_run_are_refused(runs, tmp_path):
    with pytest.raises(UsageError, match="no foreground, mask and background"):
        generate(runs["one-stream"], tmp_path / "out", 1, 0, streams=True)


@pytest.mark.parametrize("wrong", [{"n": 0}, {"seed": -1}, {"category": "Golf Course"}])
def test_wrong_parameters_are_refused_before_anything_is_written(runs, tmp_path, wrong):
    with pytest.raises(UsageError):
        generate(runs["two-stream"], tmp_path / "out", **{"n": 1, "seed": 0} | wrong)

    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="not a run folder"):
        generate(tmp_path, tmp_path / "out", 1, 0)


def test_a_damaged_checkpoint_is_named_and_leaves_no_folder(runs, tmp_path):
    run = shutil.copytree(runs["two-stream"], tmp_path / "run")
    _, file = RunFolder(run).newest_checkpoint()
    file.write_bytes(file.read_bytes()[:1000])

    with pytest.raises(CheckpointError, match=f"{file.name}: damaged"):
        generate(run, tmp_path / "out", 2, 1)
    assert not (tmp_path / "out").exists()


def test_a_full_disk_names_the_clip_and_leaves_nothing_half_written(runs, tmp_path, monkeypatch):
    out, replace = tmp_path / "out", os.replace

    def full(source, target):
        if str(target).endswith("00001.mp4"):
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(DataError, match=r"00001.mp4: .*No space left on device"):
            generate(runs["two-stream"], out, 2, 0)
    assert not (out / "manifest.jsonl").exists()
    assert not list(out.rglob("*.part"))

    generate(runs["two-stream"], out, 2, 0)
    assert len(read_manifest(out)) == 2


def test_the_parameters_name_the_weights(runs, clips):
    held = json.loads((clips / "generate.json").read_text())["beach"]
    checkpoint = runs["two-stream"] / "checkpoints/step-0000004.pt"

    assert held["checkpoint_sha256"] == sha256_of(checkpoint)


def test_processes_continue_what_one_began_to_the_same_files(runs, tmp_path):
    alone = generate(runs["one-stream"], tmp_path / "alone", 2 * CHUNK + 1, 7)
    out = shutil.copytree(alone, tmp_path / "out")
    for lost in ("manifest.jsonl", "beach/00001.mp4", "beach/00017.mp4", "beach/00032.mp4"):
        (out / lost).unlink()
    generate(runs["one-stream"], out, 2 * CHUNK + 1, 7, workers=2)

    assert files_of(out) == files_of(alone)


@pytest.mark.parametrize("model", ["two-stream", "autoencoder"])
def test_cores_share_what_takes_long_and_the_weights_that_were_found_first(
    runs, tmp_path, monkeypatch, model
):
    """The network goes to the processes itself: its checkpoint may be gone by then."""
    alone = generate(runs[model], tmp_path / "alone", 3 * CHUNK, 7)
    run, opened = shutil.copytree(runs[model], tmp_path / "run"), []

    def open_here(workers):
        shutil.rmtree(run)
        opened.append(workers)
        return executors.open_workers(1)

    monkeypatch.setattr(sampling, "open_workers", open_here)
    monkeypatch.setattr(sampling, "_WORTH_STARTING_S", 0)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    out = generate(run, tmp_path / "out", 3 * CHUNK, 7)

    assert opened == [2]  # of 8: the first of three chunks told how long the others take
    assert checksums(out) == checksums(alone)


def test_a_few_clips_start_no_process(runs, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(
        sampling, "open_workers", lambda n: opened.append(n) or executors.open_workers(n)
    )
    generate(runs["one-stream"], tmp_path / "out", CHUNK + 1, 7)

    assert opened == [1]


def test_a_chunk_is_made_on_one_thread_and_the_others_are_given_back(runs, tmp_path, monkeypatch):
    """Sums of several threads round differently: clips would depend on the number of cores."""
    made, threads, given = sampling.latents, torch.get_num_threads(), []
    torch.set_num_threads(3)

    def latents(*asked):
        given.append(torch.get_num_threads())
        return made(*asked)

    monkeypatch.setattr(sampling, "latents", latents)
    try:
        generate(runs["one-stream"], tmp_path / "out", 1, 7)
        after = torch.get_num_threads()
    finally:
        torch.set_num_threads(threads)

    assert (given, after) == ([1], 3)


def test_what_a_gpu_makes_is_encoded_by_processes_to_the_same_files(
    runs, clips, tmp_path, monkeypatch
):
    monkeypatch.setattr(encoding, "_WORTH_STARTING", 2)
    monkeypatch.setattr(sampling, "_write_on_cores", sampling._write_beside_gpu)
    out = generate(runs["two-stream"], tmp_path / "out", 3, 7, streams=True, workers=2)

    assert files_of(out) == files_of(clips)
