"""`make bench`: the registry fits the scripts, and a benchmark that fails is not overlooked."""

import argparse
import importlib
import io
import json
import os
import re
import runpy
import subprocess
import sys
from contextlib import contextmanager, redirect_stdout
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


@contextmanager
def beside_the_scripts():
    """Let a script import those beside it, which are forgotten afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(FOLDER), *sys.path])
        before = set(sys.modules)
        yield patch
        beside = {path.stem for path in FOLDER.glob("*.py")}
        for name in beside & (set(sys.modules) - before):
            del sys.modules[name]


@pytest.fixture
def script():
    """Import a benchmark as a module, for one test."""
    with beside_the_scripts():
        yield importlib.import_module


@pytest.fixture
def run_all(script):
    return script("run_all")


# Here, rather than in a process of its own, which would import torch anew.
def asked(command):
    """What a script prints while it reads its arguments, and what went wrong."""
    parse = argparse.ArgumentParser.parse_args

    def only_parse(*arguments):
        parse(*arguments)
        sys.exit()

    with beside_the_scripts() as patch, redirect_stdout(io.StringIO()) as said:
        patch.chdir(FOLDER.parent)
        patch.setattr(os, "environ", dict(os.environ))  # some set how many threads there are
        patch.setattr(sys, "argv", command)
        patch.setattr(argparse.ArgumentParser, "parse_args", only_parse)
        try:
            runpy.run_path(command[0], run_name="__main__")
        except SystemExit as ended:
            return said.getvalue(), str(ended.code or "")
    return said.getvalue(), "ran on after its arguments"


@pytest.fixture(scope="module")
def helps():
    """What each benchmark answers to --help, and what went wrong."""
    return {name: asked([str(FOLDER / f"{name}.py"), "--help"]) for name in SCRIPTS}


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


@pytest.mark.parametrize("only", [[], ["--ours-only"]])
def test_the_mixture_is_set_beside_scikit_learns_unless_only_ours_is_asked_for(
    script, monkeypatch, capsys, only
):
    small = ["--codes", "200", "--numbers", "2", "--components", "2"]
    monkeypatch.setattr(sys, "argv", ["mixture.py", *small, *only])

    script("mixture").main()

    said = capsys.readouterr().out
    assert re.search(r"^ours +\d", said, re.MULTILINE)
    assert bool(re.search(r"^scikit-learn +\d", said, re.MULTILINE)) == (only == [])
    assert ("gain held out" in said) == (only == [])


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


# Stands in for `python`: notes what it is asked to run, and does next to nothing.
STAND_IN = """#!{python}
import json, os, pathlib, signal, sys
_, *arguments = sys.argv
if arguments[0] == "-c":
    print("no-card")
    sys.exit()
with open(os.environ["NOTED"], "a") as noted:
    noted.write(json.dumps(arguments) + "\\n")
print("noted", arguments[0], flush=True)
if arguments[:3] == ["-m", "vgan.cli", "train"]:
    run = pathlib.Path(arguments[arguments.index("--out") + 1])
    run.mkdir(parents=True)
    (run / "sheet.png").touch()
if arguments[0] == os.environ.get("HANGS"):
    signal.pause()
if arguments[:2] == ["-m", "pytest"]:
    print("autoload disabled:", os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD"))
sys.exit(3 if "benchmarks/mixture.py" in arguments else 0)
"""


@pytest.fixture(scope="module")
def gpu_checks(tmp_path_factory):
    """Run benchmarks/gpu/run.sh without its checks: `run(seconds)` -> (folder, code, commands)."""
    bin_ = tmp_path_factory.mktemp("bin")
    (bin_ / "python").write_text(STAND_IN.format(python=sys.executable))
    (bin_ / "python").chmod(0o755)

    def run(*arguments, place="RESULTS", hangs=""):
        folder = tmp_path_factory.mktemp("results")
        noted = tmp_path_factory.mktemp("noted") / "noted"
        noted.touch()
        outside = {name: os.environ[name] for name in os.environ.keys() - {"OUT", "RESULTS"}}
        settings = {"BIN": str(bin_), place: str(folder), "NOTED": str(noted), "HANGS": hangs}
        settings |= {"COMMIT": "abc123", "TMPDIR": str(noted.parent)}
        done = subprocess.run(
            [FOLDER / "gpu" / "run.sh", *arguments],
            env=outside | settings,
            capture_output=True,
            text=True,
            check=False,
        )
        (results,) = folder.glob("*-no-card")
        commands = [json.loads(line) for line in noted.read_text().splitlines()]
        assert (results / "all.txt").read_text() == done.stdout
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
    assert [command[0] for command in commands[:3]] == [
        f"benchmarks/{name}.py" for name in ("train_step", "gpu/check", "gpu/smoke")
    ]
    assert [command[2:4] for command in commands[-6:]] == [
        name
        for model in ("two-stream", "one-stream", "autoencoder")
        for name in (["train", model], ["measure", str(results / "runs" / model)])
    ]
    assert (results / "sheet-autoencoder.png").exists()
    assert (results / "smoke.txt").read_text() == "noted benchmarks/gpu/smoke.py\n"
    assert (results / "all.txt").read_text().startswith("device no-card\ncommit abc123\n")


def test_the_tests_take_no_plugin_that_a_machine_happens_to_have(all_gpu_checks):
    results, _, commands = all_gpu_checks
    (command,) = [command for command in commands if command[:2] == ["-m", "pytest"]]

    assert "autoload disabled: 1\n" in (results / "tests.txt").read_text()
    named = {value for option, value in pairwise(command) if option == "-p"}
    assert named == {"xdist", "pytest_timeout", "pytest_socket"}


def test_few_files_are_left_where_few_come_back(gpu_checks):
    results, code, _ = gpu_checks("600", "7", place="OUT")

    assert code == 1
    sheets = [f"sheet-{model}.png" for model in ("autoencoder", "one-stream", "two-stream")]
    assert sorted(os.listdir(results)) == ["all.txt", "failed.txt", *sheets]


def test_a_gpu_check_that_hangs_does_not_take_the_others_time(gpu_checks):
    results, _, commands = gpu_checks("8", hangs="benchmarks/generate.py")

    assert "generate: ended after 1 s\n" in (results / "unfinished.txt").read_text()
    assert commands[5][0] == "benchmarks/mixture.py"


def test_no_gpu_check_is_begun_when_the_time_is_up(gpu_checks):
    results, code, commands = gpu_checks("0")

    assert (code, commands) == (0, [])
    assert "step-64: not begun\n" in (results / "unfinished.txt").read_text()


def test_every_gpu_check_has_arguments_that_its_program_takes(all_gpu_checks):
    _, _, commands = all_gpu_checks
    scripts = [command for command in commands if command[0] != "-m"]
    for _, _, name, *rest in programs(commands):
        context = click.Context(cli)
        cli.get_command(context, name).make_context(name, rest, parent=context)

    assert len(scripts) > 12
    for script in scripts:
        _, wrong = asked(script)
        assert wrong == "", script


def programs(commands):
    return [command for command in commands if command[:2] == ["-m", "vgan.cli"]]


def test_the_long_runs_have_clips_enough_for_their_mixture(all_gpu_checks):
    _, _, commands = all_gpu_checks
    options = {rest[0]: dict(pairwise(rest)) for _, _, *rest in programs(commands)}
    drawn, training = int(options["scenes"]["--clips"]), options["train"]
    config = resolve_config("autoencoder", training["--preset"], training["--recipe"])

    assert components(config, int(0.8 * drawn)) == 16
