"""Every command that the README shows runs: small where it would take long."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from evaluation.media.frames import write_frames
from vgan.cli import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BIN = Path(sys.executable).parent
# Installing is what `make install` and .ci/check-wheel do; these two would recurse into this suite.
NOT_HERE = ("pip install", "make test")
SMALLER = {
    "vgan ingest": ["--fps", "20"],
    "vgan train": ["--steps", "2", "--width", "1", "--batch", "2"],
    "vgan generate": ["--n", "3"],
    "vgan measure": ["--n", "2"],
    "vgan figures": ["--n", "2"],
}


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language; the empty name is commands."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return [text for found, text in fenced if found == language]


def commands(first: str) -> list[str]:
    """The lines of the block that begins with a command, comments off."""
    (block,) = [b for b in blocks("") if b.startswith(first)]
    return [line.split("  #")[0].strip() for line in block.splitlines() if line.strip()]


def run(command: list[str], folder: Path, **environment: str) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def smaller(line: str) -> list[str]:
    extra = next((more for start, more in SMALLER.items() if line.startswith(start)), [])
    return [*line.split(), *extra]


def run_line(line: str, folder: Path) -> str:
    return run(smaller(line), folder)


def draw(folder: Path, n: int, size: int, frames: int) -> None:
    rng = np.random.default_rng(n)
    for number in range(n):
        clip = rng.integers(0, 255, (1, size, size, 3), dtype=np.uint8)
        clip = np.roll(np.repeat(clip, frames, axis=0), number, axis=2)
        clip[:, : size // 2, : size // 2] = rng.integers(0, 255, (frames, 1, 1, 3), dtype=np.uint8)
        write_frames(folder / f"{number:02}.mp4", clip, 20)


def test_every_command_of_the_readme_is_run_by_this_file():
    shown = {line for block in blocks("") for line in block.splitlines() if line.strip()}
    known = {
        *commands("make demo"),
        *commands("vgan-eval init"),
        *commands("pip install '.[train]'"),
    }

    assert {line.split("  #")[0].strip() for line in shown} - known == {"pip install ."}


@pytest.mark.slow
def test_make_demo_goes_from_scenes_to_a_table_and_again_does_nothing(tmp_path):
    assert "make demo" in commands("make demo")
    make = ["make", "demo", f"DEMO={tmp_path}/demo", f"BIN={BIN}", "-o", ".venv/.installed"]
    small = {"DEMO_STEPS": "2", "DEMO_CLIPS": "60", "DEMO_SAMPLES": "8", "OMP_NUM_THREADS": "1"}

    first = run(make, ROOT, **small)
    second = run(make, ROOT, **small)

    assert "SIMULATED RATERS" in first
    assert "VGAN two-stream over Autoencoder" in first
    assert "demo: created." in first
    assert "demo: unchanged." in second
    assert first[first.index("Percent of judgments") :] == second[second.index("Percent of judg") :]


def test_the_study_of_your_own_clips_runs_as_shown(tmp_path):
    (study,) = blocks("toml")
    (tmp_path / "study.toml").write_text(study, encoding="utf-8")
    for source in ("ours", "baseline"):
        draw(tmp_path / "clips" / source, 24, 32, 6)
    init, rate, export, table = commands("vgan-eval init")

    assert "created" in run_line(init, tmp_path)
    served = [BIN / rate.split()[0], *rate.split()[1:], "--no-browser", "--port", "0"]
    with subprocess.Popen(served, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as server:
        assert "Rating page: http://127.0.0.1:" in server.stdout.readline()
        server.terminate()
    assert "0 judgments" in run_line(export, tmp_path)
    run(["vgan-eval", "init", "study.toml", "--db", "sqlite:///s.db"], tmp_path)
    run(["vgan-eval", "simulate", "--db", "sqlite:///s.db", "--seed", "1"], tmp_path)
    assert "Our model over Baseline" in run_line(
        table.replace("sqlite:///vgan-eval.db", "sqlite:///s.db"), tmp_path
    )


@pytest.mark.slow
def test_the_training_commands_run_as_shown(tmp_path, monkeypatch):
    draw(tmp_path / "videos", 4, 80, 70)
    lines = commands("pip install '.[train]'")
    monkeypatch.chdir(tmp_path)

    for line in lines:
        if not line.startswith(NOT_HERE):
            program, *arguments = smaller(line)
            assert program == "vgan"  # in this process: torch takes seconds to import
            assert main(arguments) == 0

    assert (tmp_path / "generated" / "vgan-two-stream" / "manifest.jsonl").is_file()
