import errno
import json
import logging
import os
import shutil
import signal

import numpy as np
import pytest
import torch
from PIL import Image

from vgan.data.dataset import open_dataset
from vgan.data.scenes import draw_scenes
from vgan.errors import CheckpointError, DataError, TrainingError, UsageError
from vgan.signals import sigterm_as_ctrl_c
from vgan.training.checkpoint import load_checkpoint, save_checkpoint
from vgan.training.config import from_json
from vgan.training.folder import RunFolder
from vgan.training.loop import TrainingInterrupted, train
from vgan.training.process import ctrl_c
from vgan.training.trainers import GameTrainer


def lines_of(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def at_step(monkeypatch, number, act):
    """Call act(trainer, metrics) -> metrics after the trainer's step of that number."""
    step, calls = GameTrainer.step, iter(range(1, 1000))

    def stepped(self, real):
        metrics = step(self, real)
        return act(self, metrics) if next(calls) == number else metrics

    monkeypatch.setattr(GameTrainer, "step", stepped)


def test_a_run_folder_has_settings_versions_data_metrics_events_and_samples(runs, drawn, tiny):
    run = runs["two-stream"]

    assert from_json((run / "config.json").read_text()) == tiny()
    versions = json.loads((run / "versions.json").read_text())
    assert versions["torch"] == torch.__version__
    assert versions["numpy"] == np.__version__
    data = json.loads((run / "data.json").read_text())
    assert (data["folder"], data["clips"], data["fps"]) == (str(drawn.resolve()), 8, 20.0)
    assert list((run / "tensorboard").glob("events.out.tfevents.*"))
    assert (run / "sheet.png").read_bytes() == (run / "samples/step-000004.png").read_bytes()


def test_metrics_have_one_line_per_logged_step_with_finite_losses(runs):
    trained = [line for line in lines_of(runs["two-stream"]) if "loss_d" in line]

    assert [line["step"] for line in trained] == [1, 2, 3, 4]
    assert all(np.isfinite([line["loss_d"], line["loss_g"]]).all() for line in trained)


def test_the_sheet_has_a_row_per_code_and_columns_for_every_stream(runs):
    sizes, texts = {}, {}
    for model, run in runs.items():
        with Image.open(run / "sheet.png") as sheet:
            sizes[model], texts[model] = sheet.size, sheet.text
    height = 14 + 8 * 66  # a heading, then 8 rows of 64 pixels and a gap of 2

    assert texts["two-stream"]["step"] == "4"
    # Blocks of columns of 66 pixels, 4 pixels apart: clip 8, foreground 4, mask 4, background 1;
    # the autoencoder's begin with the 4 of the original.
    assert sizes["two-stream"] == (17 * 66 + 4 * 4, height)
    assert sizes["one-stream"] == (8 * 66 + 4, height)
    assert sizes["autoencoder"] == (21 * 66 + 5 * 4, height)


def test_the_last_two_checkpoints_are_kept(drawn, tiny, tmp_path):
    run = train(tiny(steps=4, checkpoint_every=1), drawn, tmp_path / "run")

    assert set(RunFolder(run).saved_steps()) >= {3, 4}
    assert len(RunFolder(run).saved_steps()) <= 3  # and the last in good health


def test_a_folder_with_a_run_needs_resume(runs, drawn, tiny):
    with pytest.raises(UsageError, match="already holds a run; add --resume"):
        train(tiny(), drawn, runs["two-stream"])


def test_a_folder_with_something_else_is_refused(drawn, tiny, tmp_path):
    (tmp_path / "thesis.tex").write_text("")

    with pytest.raises(UsageError, match="not empty and holds no run"):
        train(tiny(), drawn, tmp_path, resume=True)


def test_resuming_a_finished_run_says_so_and_changes_nothing(runs, drawn, tiny, caplog):
    def stamps():
        return {f: f.stat().st_mtime_ns for f in runs["autoencoder"].rglob("*") if f.is_file()}

    before = stamps()
    with caplog.at_level(logging.INFO):
        train(tiny("autoencoder"), drawn, runs["autoencoder"], resume=True)

    assert "already finished at step 4" in caplog.text
    assert stamps() == before


def test_a_finished_run_refuses_other_clips_and_decodes_none(runs, tiny, tmp_path):
    other = tmp_path / "other"
    draw_scenes(other, clips=5, seed=9, categories=["beach"], progress=False)

    with pytest.raises(UsageError, match=r"cannot resume with `data` .*other"):
        train(tiny(), other, runs["two-stream"], resume=True)
    with pytest.raises(DataError, match=r"nowhere: no such folder"):
        train(tiny(), tmp_path / "nowhere", runs["two-stream"], resume=True)
    assert not (other / ".shards").exists()


def test_a_finished_run_takes_its_clips_from_another_place(runs, drawn, tiny, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(drawn, moved, ignore=shutil.ignore_patterns(".shards"))

    assert train(tiny(), moved, runs["two-stream"], resume=True) == runs["two-stream"]
    assert not (moved / ".shards").exists()


def test_a_finished_run_does_not_need_its_clips(runs, drawn, tiny, tmp_path):
    run, gone = tmp_path / "run", tmp_path / "gone"
    shutil.copytree(runs["two-stream"], run)
    data = run / "data.json"
    data.write_text(data.read_text().replace(str(drawn.resolve()), str(gone)))

    assert train(tiny(), gone, run, resume=True) == run


def test_a_finished_run_checks_only_the_clips_that_it_did_not_leave_out(drawn, tiny, tmp_path):
    clips = tmp_path / "clips"
    shutil.copytree(drawn, clips, ignore=shutil.ignore_patterns(".shards"))
    first = open_dataset(drawn, "beach", progress=False).records[0].clip
    (clips / first).write_bytes(b"damaged")
    run = train(tiny(steps=1), clips, tmp_path / "run")

    assert [clip for clip, _ in RunFolder(run).read_data().skipped] == [first]
    assert train(tiny(steps=1), clips, run, resume=True) == run


def test_a_folder_in_which_a_run_is_trained_takes_no_other(drawn, tiny, tmp_path, monkeypatch):
    run = tmp_path / "run"

    def decode(*given, **named):
        monkeypatch.undo()
        with pytest.raises(UsageError, match="run: another process is training here"):
            train(tiny(steps=1, seed=2), drawn, run)
        return open_dataset(*given, **named)

    monkeypatch.setattr("vgan.training.loop.open_dataset", decode)
    train(tiny(steps=1, seed=1), drawn, run)

    assert load_checkpoint(RunFolder(run).checkpoint(1))["config"]["seed"] == 1


def test_a_finished_run_is_left_alone_and_so_need_not_be_writable(drawn, tiny, tmp_path):
    run = train(tiny(steps=1), drawn, tmp_path / "run")
    RunFolder(run).lock.unlink()
    before = sorted(run.rglob("*"))

    train(tiny(steps=1), drawn, run, resume=True)

    assert sorted(run.rglob("*")) == before


def test_a_run_that_cannot_begin_leaves_no_folder(tiny, tmp_path):
    with pytest.raises(DataError, match="nowhere: no such folder"):
        train(tiny(), tmp_path / "nowhere", tmp_path / "run")

    assert not (tmp_path / "run").exists()


def test_a_checkpoint_that_lacks_what_a_run_goes_on_with_is_named(runs, drawn, tiny, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(runs["two-stream"], run, ignore=shutil.ignore_patterns("step-0000004.pt"))
    path = RunFolder(run).checkpoint(2)
    state = load_checkpoint(path)
    save_checkpoint(path, {name: state[name] for name in state if name != "health"})

    with pytest.raises(CheckpointError, match=r"step-0000002\.pt: .*misses 'health'"):
        train(tiny(), drawn, run, resume=True)


def test_resuming_with_another_setting_is_refused_by_name(runs, drawn, tiny):
    with pytest.raises(UsageError, match="cannot resume with `batch` 3"):
        train(tiny(batch=3), drawn, runs["two-stream"], resume=True)


def test_resuming_another_model_is_refused_by_name(runs, drawn, tiny):
    with pytest.raises(UsageError, match="cannot resume with `model` one-stream"):
        train(tiny("one-stream"), drawn, runs["two-stream"], resume=True)


def test_resuming_with_other_clips_is_refused(runs, tiny, tmp_path):
    other, run = tmp_path / "other", tmp_path / "run"
    draw_scenes(other, clips=5, seed=9, categories=["beach"], progress=False)
    shutil.copytree(runs["two-stream"], run, ignore=shutil.ignore_patterns("*.pt"))

    with pytest.raises(UsageError, match=r"cannot resume with `data` .*other"):
        train(tiny(), other, run, resume=True)


def test_resuming_a_run_that_was_killed_before_its_first_checkpoint_starts_it(
    runs, drawn, tiny, tmp_path
):
    run = tmp_path / "run"
    shutil.copytree(runs["two-stream"], run, ignore=shutil.ignore_patterns("*.pt", "*.png"))
    train(tiny(), drawn, run, resume=True)

    assert lines_of(run) == lines_of(runs["two-stream"])
    assert (run / "sheet.png").read_bytes() == (runs["two-stream"] / "sheet.png").read_bytes()


def test_a_loss_that_is_not_a_number_stops_at_its_step_and_names_the_last_good_checkpoint(
    drawn, tiny, tmp_path, monkeypatch
):
    at_step(monkeypatch, 5, lambda _, metrics: metrics | {"loss_g": torch.tensor(float("nan"))})
    run = tmp_path / "run"

    with pytest.raises(TrainingError, match=r"at step 5 .*step-0000004.pt") as caught:
        train(tiny(steps=8, log_every=3), drawn, run)

    assert caught.value.exit_code == 1
    assert RunFolder(run).saved_steps()[-1] == 4


def test_weights_that_are_not_finite_are_never_saved(drawn, tiny, tmp_path, monkeypatch):
    def poison(trainer, metrics):
        next(trainer.game.generator.network.parameters()).data.fill_(float("inf"))
        return metrics

    at_step(monkeypatch, 4, poison)
    with pytest.raises(TrainingError, match=r"weights are not finite at step 4 .*step-0000002.pt"):
        train(tiny(steps=8, sample_every=100), drawn, tmp_path / "run")

    assert RunFolder(tmp_path / "run").saved_steps() == [2]


def test_too_little_memory_names_the_last_good_checkpoint_and_the_batch(
    drawn, tiny, tmp_path, monkeypatch
):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    at_step(monkeypatch, 3, full)
    with pytest.raises(TrainingError, match=r"memory on the GPU.*step-0000002.pt.*smaller --batch"):
        train(tiny(), drawn, tmp_path / "run")

    assert RunFolder(tmp_path / "run").saved_steps() == [2]


def test_a_fault_that_is_no_devices_is_not_told_as_one(drawn, tiny, tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("a size is wrong")

    at_step(monkeypatch, 1, fail)
    with pytest.raises(RuntimeError, match="a size is wrong"):
        train(tiny(), drawn, tmp_path / "run")


def test_ctrl_c_finishes_the_step_saves_and_says_how_to_go_on(drawn, tiny, tmp_path, monkeypatch):
    def interrupt(_, metrics):
        os.kill(os.getpid(), signal.SIGINT)
        return metrics

    before = signal.getsignal(signal.SIGINT)
    at_step(monkeypatch, 3, interrupt)
    run = tmp_path / "run"
    with pytest.raises(TrainingInterrupted, match=r"step 3 of 4.*--resume") as caught:
        train(tiny(), drawn, run)

    assert caught.value.exit_code == 130
    assert RunFolder(run).saved_steps() == [2, 3]
    assert signal.getsignal(signal.SIGINT) is before


def test_sigterm_ends_training_at_once_though_a_process_waits_for_the_others():
    with sigterm_as_ctrl_c():
        with ctrl_c():
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler


def test_ctrl_c_before_the_first_step_says_how_to_go_on(drawn, tiny, tmp_path, monkeypatch):
    def pressed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("vgan.training.loop.settle", pressed)
        with pytest.raises(TrainingInterrupted, match=r"interrupted; .*two-stream .*--resume"):
            train(tiny(steps=1), drawn, tmp_path / "run")
    train(tiny(steps=1), drawn, tmp_path / "run", resume=True)

    assert RunFolder(tmp_path / "run").saved_steps() == [1]


def test_a_run_stopped_by_ctrl_c_ends_like_one_that_was_not(
    runs, drawn, tiny, tmp_path, monkeypatch
):
    def interrupt(_, metrics):
        os.kill(os.getpid(), signal.SIGINT)
        return metrics

    with monkeypatch.context() as patch:
        at_step(patch, 3, interrupt)
        with pytest.raises(TrainingInterrupted):
            train(tiny(), drawn, tmp_path / "run")
    train(tiny(), drawn, tmp_path / "run", resume=True)
    resumed, whole = (
        load_checkpoint(RunFolder(run).checkpoint(4))["trainer"]
        for run in (tmp_path / "run", runs["two-stream"])
    )

    torch.testing.assert_close(resumed, whole, rtol=0, atol=0)


def test_a_full_disk_stops_with_the_checkpoint_that_is_safe_and_nothing_half_written(
    drawn, tiny, tmp_path, monkeypatch
):
    replace = os.replace

    def full(source, target):
        if str(target).endswith("step-0000004.pt"):
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(TrainingError, match=r"No space left on device.*step-0000002.pt"):
        train(tiny(), drawn, tmp_path / "run")

    assert RunFolder(tmp_path / "run").saved_steps() == [2]
    assert not list((tmp_path / "run").rglob("*.part"))


def test_a_generator_that_shows_one_clip_for_every_code_is_reported_as_collapsed(
    drawn, tiny, tmp_path, monkeypatch, caplog
):
    def flatten(trainer, metrics):
        for parameter in trainer.game.generator.network.parameters():
            parameter.data.zero_()
        return metrics

    monkeypatch.setattr("vgan.training.health.WARM_UP_STEPS", 0)
    at_step(monkeypatch, 4, flatten)
    run = train(tiny(), drawn, tmp_path / "run")

    assert "the samples have collapsed" in lines_of(run)[-1]["warning"]
    assert "step 4: the samples have collapsed" in caplog.text


def test_a_checkpoint_in_good_health_outlives_a_collapse_and_a_pause(
    drawn, tiny, tmp_path, monkeypatch
):
    monkeypatch.setattr("vgan.training.loop.diversity", lambda _: 0.0)
    monkeypatch.setattr("vgan.training.health.WARM_UP_STEPS", 0)
    settings = tiny(steps=8, checkpoint_every=1, sample_every=3)
    run = RunFolder(train(settings, drawn, tmp_path / "run"))

    # Sheets at 3, 6 and 8 are all alike: step 2 is the last before the first of them.
    assert run.saved_steps() == [2, 7, 8]
    run.checkpoint(8).unlink()  # as if it was killed before its last step
    train(settings, drawn, run.path, resume=True)
    assert run.saved_steps() == [2, 7, 8]


def test_the_paper_preset_refuses_too_few_clips_for_its_mixture_before_training(
    drawn, tmp_path, tiny
):
    from dataclasses import replace

    config = replace(tiny("autoencoder"), preset="paper")
    with pytest.raises(TrainingError, match="256 Gaussians need at least 25600 training clips"):
        train(config, drawn, tmp_path / "run")

    assert not (tmp_path / "run" / "checkpoints").exists()


def test_more_steps_make_a_new_mixture(drawn, tiny, tmp_path):
    run = tmp_path / "run"
    short, long = (tiny("autoencoder", recipe="paper", steps=steps) for steps in (2, 4))
    train(short, drawn, run)
    before = (run / "mixture.pt").read_bytes()
    train(long, drawn, run, resume=True)
    with pytest.raises(UsageError, match="`steps` 2: the run is trained to step 4 already"):
        train(short, drawn, run, resume=True)
    train(long, drawn, tmp_path / "whole")

    assert (run / "mixture.pt").read_bytes() != before
    assert (run / "mixture.pt").read_bytes() == (tmp_path / "whole/mixture.pt").read_bytes()
