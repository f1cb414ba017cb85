"""`make bench`: the registry fits the scripts, and a benchmark that fails is not overlooked."""

import importlib
import json
import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import click
import pytest
import torch
from torch.nn import functional

from vgan.cli import cli
from vgan.training.codes import components
from vgan.training.config import resolve_config

FOLDER = Path(__file__).parents[1] / "benchmarks"
SCRIPTS = sorted(
    path.stem for path in FOLDER.glob("*.py") if '__name__ == "__main__"' in path.read_text()
)


@pytest.fixture
def script(monkeypatch):
    """Import a benchmark as a module, for one test."""
    monkeypatch.syspath_prepend(str(FOLDER))
    before = set(sys.modules)
    yield importlib.import_module
    beside = {path.stem for path in FOLDER.glob("*.py")}
    for name in beside & (set(sys.modules) - before):
        del sys.modules[name]


@pytest.fixture
def run_all(script):
    return script("run_all")


# One process for all: each would import torch anew, which takes longer than its help.
ASK = """
import argparse, contextlib, io, json, runpy, sys, traceback
parse = argparse.ArgumentParser.parse_args
def only_parse(*arguments):
    parse(*arguments)
    sys.exit()
argparse.ArgumentParser.parse_args = only_parse
def ask(command):
    sys.argv = command
    with contextlib.redirect_stdout(io.StringIO()) as said:
        try:
            runpy.run_path(command[0], run_name="__main__")
        except SystemExit as ended:
            return said.getvalue(), str(ended.code or "")
        except BaseException:
            return said.getvalue(), traceback.format_exc()
    return said.getvalue(), "ran on after its arguments"
print(json.dumps([ask(command) for command in json.loads(sys.argv[1])]))
"""


def asked(commands):
    """What each script prints while it reads its arguments, and what went wrong."""
    done = subprocess.run(
        [sys.executable, "-c", ASK, json.dumps(commands)],
        cwd=FOLDER.parent,
        env={**os.environ, "PYTHONPATH": str(FOLDER)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def helps():
    """What each benchmark answers to --help, and what went wrong."""
    answers = asked([[str(FOLDER / f"{name}.py"), "--help"] for name in SCRIPTS])
    return dict(zip(SCRIPTS, answers, strict=True))


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_benchmark_answers_help(helps, name):
    said, wrong = helps[name]

    assert wrong == ""
    assert "usage:" in said.lower()


def test_the_registry_names_only_scripts_and_options_that_exist(run_all, helps):
    assert len(run_all.BENCHMARKS) >= 10
    for benchmark in run_all.BENCHMARKS:
        assert benchmark.script in SCRIPTS
        for option in filter(re.compile("--").match, benchmark.arguments):
            assert option in helps[benchmark.script][0], (benchmark.script, option)


def test_a_benchmark_that_fails_is_a_row_and_exit_code_1(run_all, monkeypatch, tmp_path, capsys):
    broken = run_all.Benchmark("no_such_script", (), ())
    monkeypatch.setattr(run_all, "BENCHMARKS", (broken,))
    monkeypatch.setattr(sys, "argv", ["run_all.py", "--out", str(tmp_path / "table.md")])

    with pytest.raises(SystemExit) as ended:
        run_all.main()

    assert ended.value.code == 1
    text = (tmp_path / "table.md").read_text()
    assert "| `no_such_script.py` | **failed** (exit 2: " in text
    assert "Python 3." in text
    assert [path.name for path in tmp_path.iterdir()] == ["table.md"]
    assert text in capsys.readouterr().out


def test_an_output_without_the_figure_is_a_failure(run_all, monkeypatch):
    row = run_all.Row("speed", r"^speed: (\d+)", "clips/s")
    monkeypatch.setattr(run_all, "output_of", lambda _: ("pace: 3", ""))

    rows, failed = run_all.run(run_all.Benchmark("table1", ("--large", "5"), (row,)))

    assert failed
    assert rows[0][0] == "`table1.py --large 5`"
    assert "no figure like" in rows[0][1]


def test_figures_and_ratio_are_read_from_the_output(run_all, monkeypatch):
    row = run_all.Row(
        "speed", r"^ours (\d+)", "clips/s", "plain", r"^plain (\d+)", r"^ratio (\S+)", "memory"
    )
    monkeypatch.setattr(run_all, "output_of", lambda _: ("plain 2\nours 7\nratio 3.5\n", ""))

    rows, failed = run_all.run(run_all.Benchmark("table1", (), (row,)))

    assert not failed
    assert rows == [("speed", "7 clips/s", "plain", "2 clips/s", "3.5", "memory")]


def convolved(maps, weight, pull):
    """A convolution and the gradients of its sum, weighted by `pull`."""
    maps, weight = maps.requires_grad_(), weight.requires_grad_()
    found = functional.conv_transpose3d(maps, weight, stride=2, padding=1)
    (found * pull).sum().backward()
    return found, maps.grad, weight.grad


def test_rounded_convolutions_round_what_goes_in_and_out_and_nothing_between(script):
    chance = torch.Generator().manual_seed(0)
    shapes = ((2, 3, 2, 4, 4), (3, 5, 4, 4, 4), (2, 5, 4, 8, 8))
    given = [torch.randn(shape, generator=chance) for shape in shapes]

    expected = convolved(*(tensor.bfloat16().double() for tensor in given))
    with script("precision").rounded_convolutions(), torch.autocast("cpu", torch.bfloat16):
        rounded = convolved(*given)

    assert [tensor.dtype for tensor in rounded] == [torch.bfloat16, torch.float32, torch.float32]
    for one, other in zip(rounded, expected, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=2**-8, atol=1e-5)
        torch.testing.assert_close(one, one.bfloat16().to(one.dtype), rtol=0, atol=0)
        assert not torch.equal(one.double(), other)


# Stands in for `python` and `vgan`: notes what it is asked to run, and does next to nothing.
STAND_IN = """#!{python}
import json, os, pathlib, sys
name, *arguments = sys.argv
if arguments[0] == "-c":
    print("no-card")
    sys.exit()
with open(os.environ["NOTED"], "a") as noted:
    noted.write(json.dumps([pathlib.Path(name).name, *arguments]) + "\\n")
if arguments[0] == "train":
    run = pathlib.Path(arguments[arguments.index("--out") + 1])
    run.mkdir(parents=True)
    (run / "sheet.png").touch()
sys.exit(3 if "benchmarks/mixture.py" in arguments else 0)
"""


@pytest.fixture(scope="module")
def gpu_checks(tmp_path_factory):
    """Run benchmarks/gpu/run.sh without its checks: `run(seconds)` -> (folder, code, commands)."""
    bin_ = tmp_path_factory.mktemp("bin")
    for name in ("python", "vgan"):
        (bin_ / name).write_text(STAND_IN.format(python=sys.executable))
        (bin_ / name).chmod(0o755)

    def run(*arguments):
        folder = tmp_path_factory.mktemp("results")
        noted = folder / "noted"
        noted.touch()
        places = {"BIN": str(bin_), "RESULTS": str(folder), "NOTED": str(noted)}
        done = subprocess.run(
            [FOLDER / "gpu" / "run.sh", *arguments],
            env=os.environ | places,
            capture_output=True,
            text=True,
            check=False,
        )
        (results,) = folder.glob("*-no-card")
        commands = [json.loads(line) for line in noted.read_text().splitlines()]
        return results, done.returncode, commands

    return run


@pytest.fixture(scope="module")
def all_gpu_checks(gpu_checks):
    return gpu_checks("600", "7")


def test_a_gpu_check_that_fails_is_noted_and_the_others_run(all_gpu_checks):
    results, code, commands = all_gpu_checks

    assert code == 1
    assert (results / "failed.txt").read_text() == "mixture: exit code 3\n"
    assert not (results / "unfinished.txt").exists()
    ran = [command[1] if command[0] == "python" else command[2] for command in commands]
    assert ran[0] == "benchmarks/gpu/check.py"
    assert ran[-6:] == [
        name
        for model in ("two-stream", "one-stream", "autoencoder")
        for name in (model, str(results / "runs" / model))
    ]
    assert (results / "sheet-autoencoder.png").exists()


def test_no_gpu_check_is_begun_when_the_time_is_up(gpu_checks):
    results, code, commands = gpu_checks("0")

    assert (code, commands) == (0, [])
    assert "check: not begun\n" in (results / "unfinished.txt").read_text()


def test_every_gpu_check_has_arguments_that_its_program_takes(all_gpu_checks):
    _, _, commands = all_gpu_checks
    scripts = [rest for program, *rest in commands if program == "python" and rest[0] != "-m"]
    for program, *rest in commands:
        if program == "vgan":
            context = click.Context(cli)
            cli.get_command(context, rest[0]).make_context(rest[0], rest[1:], parent=context)

    assert len(scripts) > 12
    for script, (_, wrong) in zip(scripts, asked(scripts), strict=True):
        assert wrong == "", script


def test_the_long_runs_have_clips_enough_for_their_mixture(all_gpu_checks):
    _, _, commands = all_gpu_checks
    options = {rest[0]: dict(pairwise(rest)) for _, *rest in commands}
    drawn, training = int(options["scenes"]["--clips"]), options["train"]
    config = resolve_config("autoencoder", training["--preset"], training["--recipe"])

    assert components(config, int(0.8 * drawn)) == 16
