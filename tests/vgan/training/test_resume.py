"""Runs killed with SIGKILL, in real processes, end bit for bit like one that was left alone."""

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from vgan.cli import main
from vgan.training.checkpoint import load_checkpoint
from vgan.training.run import RunFolder

STEPS = 9
SETTINGS = [
    "--category", "beach", "--width", "1", "--batch", "2", "--steps", str(STEPS),
    "--seed", "3", "--checkpoint-every", "2", "--sample-every", "100", "--device", "cpu",
]  # fmt: skip

# The same program, with one line changed: it kills itself at a chosen moment.
KILLED_IN_STEP = """
import os, signal, sys
from vgan.training import trainers
from vgan.cli import main

kind, number = getattr(trainers, sys.argv[1]), int(sys.argv[2])
step, done = kind.step, []

def stepped(self, real):
    done.append(1)
    metrics = step(self, real)
    if len(done) == number:
        os.kill(os.getpid(), signal.SIGKILL)
    return metrics

kind.step = stepped
sys.exit(main(sys.argv[3:]))
"""
KILLED_IN_SAVING = """
import os, signal, sys
from vgan.cli import main

replace = os.replace

def replaced(source, target):
    if str(target).endswith(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)

os.replace = replaced
sys.exit(main(sys.argv[2:]))
"""


def killed(script: str, *arguments: str) -> None:
    command = [sys.executable, "-c", script, *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr


def assert_equal(one: object, other: object) -> None:
    """Tensors and plain values in nested containers are the same, bit for bit."""
    if isinstance(one, torch.Tensor):
        assert isinstance(other, torch.Tensor)
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert isinstance(other, dict)
        assert one.keys() == other.keys()
        for key, value in one.items():
            assert_equal(value, other[key])
    elif isinstance(one, list | tuple):
        assert isinstance(other, list | tuple)
        for left, right in zip(one, other, strict=True):
            assert_equal(left, right)
    else:
        assert one == other


def same_end(first: Path, second: Path) -> None:
    """Both runs end with the same networks, optimisers and random states, bit for bit."""
    one, other = (load_checkpoint(RunFolder(run).checkpoint(STEPS)) for run in (first, second))
    assert_equal(one, other)
    assert (first / "metrics.jsonl").read_text() == (second / "metrics.jsonl").read_text()
    assert (first / "sheet.png").read_bytes() == (second / "sheet.png").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "recipe", "trainer"),
    [("two-stream", "stabilised", "GameTrainer"), ("one-stream", "paper", "GameTrainer"),
     ("autoencoder", "stabilised", "AutoencoderTrainer"), ("future", "stabilised", "GameTrainer")],
)  # fmt: skip
def test_a_run_killed_at_any_step_and_resumed_ends_bit_identical(
    model, recipe, trainer, drawn, tmp_path
):
    chance = random.Random(f"{model} {recipe}")
    train = ["train", model, "--data", str(drawn), "--recipe", recipe, *SETTINGS]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert main([*train, "--out", str(whole)]) == 0

    killed(KILLED_IN_STEP, trainer, str(chance.randint(1, STEPS)), *train, "--out", str(broken))
    assert main([*train, "--out", str(broken), "--resume"]) == 0

    same_end(whole, broken)
    if model == "autoencoder":
        assert (whole / "mixture.pt").read_bytes() == (broken / "mixture.pt").read_bytes()


@pytest.mark.slow
def test_a_run_killed_while_it_saves_goes_on_from_the_checkpoint_before(drawn, tmp_path):
    train = ["train", "two-stream", "--data", str(drawn), "--recipe", "paper", *SETTINGS]
    train += ["--sample-every", "4"]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert main([*train, "--out", str(whole)]) == 0

    killed(KILLED_IN_SAVING, "step-0000006.pt", *train, "--out", str(broken))
    assert RunFolder(broken).saved_steps() == [2, 4]
    # Nothing but the folder is needed to go on.
    assert main(["train", "two-stream", "--out", str(broken), "--resume"]) == 0

    same_end(whole, broken)
    assert not list(broken.rglob("*.part"))
