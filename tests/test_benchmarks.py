"""`make bench`: the registry fits the scripts, and a benchmark that fails is not overlooked."""

import importlib
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
SCRIPTS = sorted(
    path.stem for path in FOLDER.glob("*.py") if '__name__ == "__main__"' in path.read_text()
)


@pytest.fixture
def run_all(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    yield importlib.import_module("run_all")
    for name in ("run_all", "registry"):
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def helps():
    """What each benchmark answers to --help, and how it exits."""

    def ask(name):
        line = [sys.executable, str(FOLDER / f"{name}.py"), "--help"]
        return subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(SCRIPTS, pool.map(ask, SCRIPTS), strict=True))


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_benchmark_answers_help(helps, name):
    assert helps[name].returncode == 0, helps[name].stderr
    assert "usage:" in helps[name].stdout.lower()


def test_the_registry_names_only_scripts_and_options_that_exist(run_all, helps):
    assert len(run_all.BENCHMARKS) >= 10
    for benchmark in run_all.BENCHMARKS:
        assert benchmark.script in SCRIPTS
        for option in filter(re.compile("--").match, benchmark.arguments):
            assert option in helps[benchmark.script].stdout, (benchmark.script, option)


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
