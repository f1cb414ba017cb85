"""Runs killed with SIGKILL, in real processes, end bit for bit like one that was left alone."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from vgan.cli import main
from vgan.training.checkpoint import load_checkpoint
from vgan.training.folder import RunFolder

STEPS = 9
SETTINGS = [
    "--category", "beach", "--width", "1", "--batch", "2", "--steps", str(STEPS),
    "--seed", "3", "--checkpoint-every", "2", "--sample-every", "100", "--device", "cpu",
]  # fmt: skip

# The one-stream model has the two-stream one's trainer.
MODELS = ("two-stream", "autoencoder", "future")

# One process that has imported everything, and a copy of it for every run, which kills itself in a
# step or right before a checkpoint gets its name.
KILLED = """
import json, os, signal, sys
import torch._dynamo  # which the first optimiser would import, in every copy
import vgan.training.loop
from vgan.cli import main
from vgan.training import trainers

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def killed_in_step(number):
    done = []
    def in_place_of(step):
        def stepped(self, real):
            done.append(1)
            metrics = step(self, real)
            return die() if len(done) == number else metrics
        return stepped
    for kind in (trainers.GameTrainer, trainers.AutoencoderTrainer):
        kind.step = in_place_of(kind.step)

def killed_in_saving(name):
    replace = os.replace
    os.replace = lambda source, target: (
        die() if str(target).endswith(name) else replace(source, target)
    )

for moment, arguments in json.loads(sys.argv[1]):
    child = os.fork()
    if not child:
        (killed_in_saving if isinstance(moment, str) else killed_in_step)(moment)
        os._exit(main(arguments))
    assert os.waitpid(child, 0)[1] == signal.SIGKILL, arguments
"""


def training(model: str, data: Path) -> list[str]:
    return ["train", model, "--data", str(data), "--recipe", "stabilised", *SETTINGS]


def saving(data: Path) -> list[str]:
    train = ["train", "two-stream", "--data", str(data), "--recipe", "paper", *SETTINGS]
    return [*train, "--sample-every", "4"]


@pytest.fixture(scope="module")
def killed(drawn, tmp_path_factory):
    """The folder of a killed run of each model, and of one that was killed as it saved."""
    folder = tmp_path_factory.mktemp("killed")
    runs = []
    for model in MODELS:
        moment = random.Random(model).randint(3, STEPS)  # the first checkpoint is of step 2
        runs.append([moment, [*training(model, drawn), "--out", str(folder / model)]])
    runs.append(["step-0000006.pt", [*saving(drawn), "--out", str(folder / "saving")]])
    command = [sys.executable, "-c", KILLED, json.dumps(runs)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert ended.returncode == 0, ended.stderr
    return folder


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
@pytest.mark.parametrize("model", MODELS)
def test_a_run_killed_after_a_checkpoint_and_resumed_ends_bit_identical(
    model, drawn, killed, tmp_path
):
    whole, broken = tmp_path / "whole", killed / model
    assert main([*training(model, drawn), "--out", str(whole)]) == 0
    assert main([*training(model, drawn), "--out", str(broken), "--resume"]) == 0

    same_end(whole, broken)
    if model == "autoencoder":
        assert (whole / "mixture.pt").read_bytes() == (broken / "mixture.pt").read_bytes()


@pytest.mark.slow
def test_a_run_killed_while_it_saves_goes_on_from_the_checkpoint_before(drawn, killed, tmp_path):
    whole, broken = tmp_path / "whole", killed / "saving"
    assert main([*saving(drawn), "--out", str(whole)]) == 0

    assert RunFolder(broken).saved_steps() == [2, 4]
    # Nothing but the folder is needed to go on.
    assert main(["train", "two-stream", "--out", str(broken), "--resume"]) == 0

    same_end(whole, broken)
    assert not list(broken.rglob("*.part"))
