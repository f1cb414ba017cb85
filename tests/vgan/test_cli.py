import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from importlib.metadata import version

import click
import pytest
import torch

from vgan.cli import cli, main
from vgan.data.manifest import ManifestError, read_manifest
from vgan.errors import TrainingError


def test_commands_import_nothing_heavy_that_they_do_not_need(tmp_path):
    program = """
import sys
from vgan.cli import main

def heavy(*names):
    return sorted(set(names) & set(sys.modules))

for arguments in (["--help"], ["train", "--help"]):
    assert main(arguments) == 0
assert not heavy("torch", "cv2", "sklearn", "numpy", "imageio"), "help"
for arguments in (
    ["scenes", "--out", "drawn", "--clips", "10", "--categories", "beach"],
    ["static", "drawn", "--out", "held"],
    ["ingest", "drawn/beach", "--out", "cut", "--workers", "1"],
):
    assert main(arguments) == 0
assert not heavy("torch", "cv2", "sklearn", "scipy.stats"), "clips"
import vgan.measuring, vgan.training.loop, vgan.sampling
assert not heavy("sklearn", "scipy.stats", "tensorboard"), "training"
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)

    assert done.returncode == 0, done.stderr


def test_a_finished_run_and_a_complete_folder_are_found_so_without_torch(runs, tmp_path):
    run, clips = str(runs["two-stream"]), str(tmp_path / "clips")
    made = ["generate", run, "--n", "1", "--out", clips]
    assert main(made) == 0
    program = f"""
import sys
from vgan.cli import main

for arguments in (["train", "two-stream", "--resume", "--out", {run!r}], {made!r}):
    assert main(arguments) == 0
assert "torch" not in sys.modules
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert done.stderr.count("nothing to do") == 2


def test_sigterm_in_the_middle_of_a_file_leaves_no_half_of_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(os, "replace", lambda *_: signal.raise_signal(signal.SIGTERM))

    code = main(["scenes", "--out", str(tmp_path), "--clips", "1", "--categories", "beach"])

    assert code == 130
    assert "vgan: interrupted" in capsys.readouterr().err
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_command_and_every_option_has_help(name):
    command = cli.commands[name]

    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_option_stands_once_in_the_help(name, capsys):
    assert main([name, "--help"]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]

    for parameter in cli.commands[name].params:
        if isinstance(parameter, click.Option):
            assert sum(line.startswith(parameter.opts[0]) for line in lines) >= 1, parameter.opts


def test_train_shows_its_options_under_headings(capsys):
    main(["train", "--help"])
    shown = capsys.readouterr().out
    headings = ["Data and run folder:", "What is trained:", "Machine:", "What is written:"]

    assert [line for line in shown.splitlines() if line in headings] == headings


def test_version_is_the_packages(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"vgan, version {version('vgan-eval')}\n"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [(["paint"], "paint"), (["train", "no-such-model"], "no-such-model"),
     (["train", "two-stream", "--steps", "many"], "--steps"),
     (["train", "two-stream", "--steps", "0", "--category", "a"], "`steps` must be at least 1"),
     (["train", "two-stream"], "--data is missing"),
     (["generate", "run", "--n", "0", "--out", "x"], "--n"),
     (["generate", "run", "--n", "1", "--out", "x", "--device", "abacus"], "abacus"),
     (["generate", "run", "--n", "1", "--out", "x.GIF"], "x.GIF: --out is a folder of clips"),
     (["scenes", "--out", "x", "--clips", "1", "--categories", "moon"], "moon"),
     (["ingest", "x", "--out", "y", "--fps", "nan"], "'--fps'"),
     (["ingest", "x", "--out", "y", "--fps", "inf"], "'--fps'"),
     (["ingest", "x", "--out", "y", "--test-share", "nan"], "'--test-share'"),
     (["ingest", "x", "--out", "y", "--min-motion", "nan"], "'--min-motion'"),
     (["ingest", "x", "--out", "y", "--min-light", "nan"], "'--min-light'"),
     (["filter-scenes", "x", "--out", "y", "--threshold", "nan"], "'--threshold'"),
     (["represent", "all", "--data", "x", "--out", "y", "--fraction", "nan"], "'--fraction'"),
     (["represent", "all", "--data", "x", "--out", "y", "--fraction", "1/0"], "'1/0' is not a"),
     (["represent", "all", "--data", "x", "--out", "y", "--fraction", "1/"], "'1/' is not a")],
)  # fmt: skip
def test_wrong_usage_is_named_with_exit_code_2(arguments, named, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert main(arguments) == 2
    assert named in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_failure_under_a_progress_bar_has_a_line_of_its_own(tmp_path, capsys):
    assert main(["figures", "samples", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    lines = re.split(r"[\r\n]+", capsys.readouterr().err.rstrip())
    assert lines[-1] == f"vgan: {tmp_path}: not a run folder (no config.json)"


@pytest.mark.parametrize(
    "arguments",
    [["generate", "nowhere", "--n", "1", "--out", "x"], ["measure", "nowhere"],
     ["train", "two-stream", "--data", "nowhere", "--category", "beach", "--out", "x"],
     ["ingest", "nowhere", "--out", "x"]],
)  # fmt: skip
def test_a_failure_is_one_line_with_exit_code_1(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert main(arguments) == 1
    said = capsys.readouterr().err.strip()
    assert said.startswith("vgan: ")
    assert "nowhere" in said
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("error", "code"),
    [(TrainingError("diverged"), 1), (ManifestError("line 3"), 1), (OSError("full"), 1),
     (torch.OutOfMemoryError("CUDA out of memory."), 1), (KeyboardInterrupt(), 130)],
)  # fmt: skip
def test_errors_become_exit_codes_in_one_place(error, code, monkeypatch, capsys):
    def fail(*_args, **_kwargs):
        raise error

    monkeypatch.setattr("vgan.data.scenes.draw_scenes", fail)

    assert main(["scenes", "--out", "x", "--clips", "1"]) == code
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith("vgan: ")


@pytest.mark.parametrize("module", ["torch", "cv2", "sklearn", "tensorboard"])
def test_what_a_plain_install_lacks_is_named_with_the_extra_that_brings_it(
    module, monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, module, None)  # its import fails as where it is missing
    needy = click.Command("needy", callback=lambda: import_module(module))
    monkeypatch.setitem(cli.commands, "needy", needy)

    assert main(["needy"]) == 2
    said = capsys.readouterr().err
    assert said == f"vgan: needs {module}: python -m pip install 'vgan-eval[train]'\n"


def test_any_other_module_that_is_missing_is_a_fault_of_ours(monkeypatch):
    needy = click.Command("needy", callback=lambda: import_module("vgan.no_such_module"))
    monkeypatch.setitem(cli.commands, "needy", needy)

    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        main(["needy"])


def test_devices_that_are_not_there_are_named_with_exit_code_2(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for device, words in (("mps", "no device called"), ("cuda:2", "has 2 GPUs")):
        arguments = ["train", "two-stream", "--data", str(tmp_path), "--category", "beach"]

        assert main([*arguments, "--device", device]) == 2
        assert words in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_missing_gpu_is_named_with_exit_code_2(capsys, tmp_path):
    arguments = ["train", "two-stream", "--data", str(tmp_path), "--category", "beach"]

    assert main([*arguments, "--device", "cuda"]) == 2
    assert "finds no GPU" in capsys.readouterr().err


def test_train_takes_the_only_category_and_asks_which_of_several(tmp_path, capsys, monkeypatch):
    from vgan.data.manifest import ClipRecord, write_manifest

    trained = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "vgan.training.loop.train",
        lambda config, data, out, **_: trained.append((config.category, out.as_posix())),
    )
    splits = {"beach": "train", "golf": "test"}
    clips = [
        ClipRecord(f"{name}.mp4", "", "real", name, 32, 20.0, 64, 64, split=split)
        for name, split in splits.items()
    ]
    write_manifest(tmp_path, clips)
    train = ["train", "two-stream", "--data", ".", "--device", "cpu"]

    assert main(train) == 0
    write_manifest(tmp_path, [replace(clip, split=None) for clip in clips])
    assert main(train) == 2
    assert "give --category; there are beach, golf in ." in capsys.readouterr().err
    assert main([*train, "--category", "golf"]) == 0
    assert trained == [("beach", "runs/two-stream-beach"), ("golf", "runs/two-stream-golf")]


def test_ingest_cuts_videos_and_names_the_bad_ones(tmp_path, capsys):
    import numpy as np

    from vgan.data.videos import write_clip

    shots = np.random.default_rng(0).integers(0, 256, (2, 40, 64, 64, 3), np.uint8)
    for number, frames in enumerate(shots):
        write_clip(tmp_path / f"videos/beach/{number}.mp4", frames, 25.0)
    (tmp_path / "videos/beach/text.mp4").write_text("not a video")
    out = tmp_path / "clips"

    assert main(["ingest", str(tmp_path / "videos"), "--out", str(out), "--workers", "1"]) == 1
    assert {record.category for record in read_manifest(out)} == {"beach"}
    said = capsys.readouterr()
    assert "2 clips" in said.out
    assert "1 video could not be used" in said.err


def test_scenes_train_generate_and_measure_work_one_after_the_other(tmp_path, capsys):
    clips, run, made = (str(tmp_path / name) for name in ("clips", "run", "made"))
    quick = ["--width", "1", "--batch", "2", "--steps", "2", "--recipe", "paper", "--device", "cpu"]

    assert main(["scenes", "--out", clips, "--clips", "10", "--categories", "beach"]) == 0
    train = ["train", "two-stream", "--data", clips, "--category", "beach", "--out", run, *quick]
    assert main(train) == 0
    assert main(["generate", run, "--n", "2", "--out", made, "--streams"]) == 0
    assert len(read_manifest(tmp_path / "made")) == 2
    assert main(train) == 2  # without --resume
    assert main([*train, "--resume"]) == 0
    assert "already finished at step 2" in capsys.readouterr().err
    assert main([*train, "--resume", "--seed", "5"]) == 2
    assert "`seed` 5" in capsys.readouterr().err
    assert main(["measure", run, "--n", "2", "--json"]) == 0
    names = {row["name"] for row in json.loads(capsys.readouterr().out)}
    assert {"background motion", "mask against truth"} <= names
