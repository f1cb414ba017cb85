"""Two processes that share a run against one that makes it alone."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest
import torch
import torch.distributed as dist
from torch import nn

from vgan.cli import main
from vgan.errors import UsageError
from vgan.training.checkpoint import load_checkpoint
from vgan.training.distributed import (
    ALONE,
    SharedBatchNorm,
    World,
    joined,
    local_device,
    share_batch_norm,
    shared,
)
from vgan.training.folder import RunFolder

SETTINGS = [
    "train", "two-stream", "--width", "1", "--batch", "4", "--category", "beach", "--steps", "4",
    "--device", "cpu", "--dtype", "float32", "--checkpoint-every", "2", "--sample-every", "4",
    "--sync-batch-norm", "--recipe", "stabilised",
]  # fmt: skip


# Everything that two processes do here, in one start of them: the seconds go into starting.
# `torchrun` passes a Ctrl-C on to every process; the last run's give it to themselves.
PROGRAM = """
import json, os, signal, sys, time
from datetime import timedelta
from types import SimpleNamespace

import torch
from torch.distributed import distributed_c10d

from vgan.cli import main
from vgan.training.distributed import joined
from vgan.training.trainers import GameTrainer

begun, ended, stopped = json.loads(sys.argv[1])
assert main(begun) == 0
os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "False"  # which lasts for one meeting
ports = iter(sys.argv[2:])

os.environ["MASTER_PORT"] = next(ports)
assert main(ended) == 0

os.environ["MASTER_PORT"] = next(ports)
# The name from torch 2.14 on, or the one before.
set_timeout = getattr(distributed_c10d, "set_timeout", distributed_c10d._set_pg_timeout)
with joined(torch.device("cpu")) as world:
    set_timeout(timedelta(seconds=0.2))
    if world.is_first:
        time.sleep(0.8)  # later than a sum would wait for it
    world.wait()
# In one piece, as the other process writes too.
sys.stdout.write("waited\\n")

torch.cuda.set_device = lambda device: None
torch.cuda.get_device_properties = lambda device: SimpleNamespace(uuid="the only card")
os.environ["MASTER_PORT"] = next(ports)
with joined(torch.device("cuda", 0)) as world:
    means = world.means({"rank": world.rank}, torch.device("cpu"))
    sys.stdout.write(f"on one card: {world.on_card} {means}\\n")

step = GameTrainer.step

def stepped(self, real):
    found = step(self, real)
    if self.steps == 3:
        os.kill(os.getpid(), signal.SIGINT)
    return found

GameTrainer.step = stepped
os.environ["MASTER_PORT"] = next(ports)
sys.exit(main(stopped))
"""


def free_ports(count: int) -> list[str]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [str(one.getsockname()[1]) for one in sockets]


def weights_of(run, step=4) -> dict[str, torch.Tensor]:
    state = load_checkpoint(RunFolder(run).checkpoint(step))["trainer"]
    found = {}
    for player in ("generator", "discriminator"):
        for name, value in state[player]["network"].items():
            found[f"{player}.{name}"] = value.float()
    return found


# A bias right before batch norm changes nothing but the mean that is taken off again: its gradient
# is rounding, which Adam makes into steps. Both streams begin with one, and so does each of the
# background's convolutions; the foreground's are blurred in between, which the borders see.
FREE = re.compile(
    r"generator\.((foreground|background\.blocks)\.0\.(0\.bias|1\.running_mean)"
    r"|background\.blocks\.[123]\.(1\.bias|2\.running_mean))"
)


def assert_same(ours, theirs):
    compared = [name for name in ours if not FREE.fullmatch(name)]
    assert len(ours) - len(compared) == 10
    for name in compared:
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-4, atol=1e-5, msg=name)


@pytest.fixture(scope="module")
def alone(drawn, tmp_path_factory):
    run = tmp_path_factory.mktemp("alone") / "run"
    assert main([*SETTINGS, "--data", str(drawn), "--out", str(run)]) == 0
    return run


class Together(NamedTuple):
    """What two processes left behind: three run folders, and what was printed."""

    begun: Path
    ended: Path
    stopped: Path
    out: str
    said: str


@pytest.fixture(scope="module")
def together(drawn, alone, tmp_path_factory):
    folder = tmp_path_factory.mktemp("together")
    begun, ended, stopped = (folder / name for name in ("begun", "ended", "stopped"))
    shutil.copytree(alone, ended)
    RunFolder(ended).checkpoint(4).unlink()  # as if it had been killed after step 2
    seldom = ["--steps", "20", "--checkpoint-every", "20", "--sample-every", "20"]
    data = ["--data", str(drawn), "--out"]
    trained = [
        [*SETTINGS, *data, str(begun)], [*SETTINGS, *data, str(ended), "--resume"],
        [*SETTINGS, *seldom, *data, str(stopped)],
    ]  # fmt: skip
    program = folder / "program.py"
    program.write_text(PROGRAM)
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        str(program), json.dumps(trained), *free_ports(4),
    ]  # fmt: skip
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    sys.stderr.write(done.stderr)  # shown where something fails
    assert done.returncode != 0  # the last one was stopped
    return Together(begun, ended, stopped, done.stdout, done.stderr)


@pytest.mark.slow
def test_two_processes_end_with_the_weights_of_one_and_only_the_first_writes(together, alone):
    assert "FutureWarning" not in together.said
    assert_same(weights_of(together.begun), weights_of(alone))
    lines = (together.begun / "metrics.jsonl").read_text().splitlines()
    assert len(lines) == len((alone / "metrics.jsonl").read_text().splitlines())
    assert not list(together.begun.rglob("*.part"))


@pytest.mark.slow
def test_a_run_begun_by_one_process_is_ended_by_two(together, alone):
    assert "resumed at step 2" in together.said
    assert_same(weights_of(together.ended), weights_of(alone))


@pytest.mark.slow
def test_a_process_waits_longer_for_the_first_than_for_a_sum(together):
    assert together.out.count("waited") == 2


@pytest.mark.slow
def test_processes_that_share_a_gpu_meet_and_talk(together):
    assert together.out.count("on one card: 2 {'rank': 0.5}") == 2
    assert together.said.count("2 processes, GPUs: 1. They talk through Gloo") == 1


@pytest.mark.slow
def test_ctrl_c_at_two_processes_saves_the_step_at_which_they_ask_each_other(together):
    assert "stopped at step 10 of 20; to go on" in together.said
    assert RunFolder(together.stopped).saved_steps() == [10]


@pytest.fixture
def said(monkeypatch):
    """Be the first of two processes; what would be said to the other is noted instead."""
    noted = []

    def noting(name):
        return lambda *_, **__: noted.append(name)

    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(dist, "get_rank", lambda: 0)
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    for name in ("init_process_group", "new_group", "barrier", "destroy_process_group"):
        monkeypatch.setattr(dist, name, noting(name))
    return noted


@pytest.mark.parametrize(
    ("other", "backend", "on_card"), [("card B", "nccl", 1), ("card A", "gloo", 2)]
)
def test_gpus_talk_through_nccl_unless_two_processes_share_one(
    said, other, backend, on_card, monkeypatch, caplog
):
    """Each sees a single GPU, as some launchers have it; whether that is the same is asked."""
    store = dist.HashStore()
    store.set("card-1", other)
    monkeypatch.setattr(dist, "rendezvous", lambda url: iter([(store, 0, 2)]))
    monkeypatch.setattr(dist, "init_process_group", lambda name, **_: said.append(name))
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    card = SimpleNamespace(uuid="card A")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: card)

    with joined(torch.device("cuda", 0)) as world:
        assert said[0] == backend
        assert world.on_card == on_card

    assert ("through Gloo" in caplog.text) == (backend == "gloo")


def test_processes_leave_together(said):
    with joined(torch.device("cpu")):
        said.clear()

    assert said == ["barrier", "destroy_process_group"]


def test_a_process_in_trouble_does_not_wait_for_the_others(said):
    def work():
        with joined(torch.device("cpu")):
            said.clear()
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        work()

    assert said == []


def test_each_process_takes_the_gpu_of_its_number(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", "1")

    assert local_device(torch.device("cuda")) == torch.device("cuda", 1)
    assert local_device(torch.device("cpu")) == torch.device("cpu")
    assert local_device(torch.device("cuda", 0)) == torch.device("cuda", 0)  # alone


def test_several_processes_do_not_all_take_the_one_gpu_that_was_named(monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")

    with pytest.raises(UsageError, match="--device cuda:0: all 2 processes would take that one"):
        local_device(torch.device("cuda", 0))


def test_a_batch_is_shared_by_rows():
    assert World(0, 4).rows(8) == slice(0, 2)
    assert World(3, 4).rows(8) == slice(6, 8)
    assert ALONE.rows(7) == slice(0, 7)


def test_a_batch_that_cannot_be_shared_is_refused():
    with pytest.raises(UsageError, match="--batch 6: cannot be shared evenly by 4 processes"):
        World(0, 4).rows(6)


def test_shared_batch_norm_keeps_names_weights_and_evaluation():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv3d(3, 4, 3), nn.BatchNorm3d(4, eps=1e-3), nn.ReLU())
    network(torch.randn(2, 3, 4, 8, 8))
    before, clip = network.state_dict(), torch.randn(2, 3, 4, 8, 8)
    expected = network.eval()(clip)
    share_batch_norm(network)

    assert isinstance(network[1], SharedBatchNorm)
    assert list(network.state_dict()) == list(before)
    torch.testing.assert_close(network.eval()(clip), expected)


def test_running_statistics_are_not_sent_into_a_graph_that_is_gone_back_through(monkeypatch):
    monkeypatch.setattr(nn.parallel.DistributedDataParallel, "__init__", lambda *_, **__: None)
    noted = []
    monkeypatch.setattr(
        nn.parallel.DistributedDataParallel,
        "_set_params_and_buffers_to_ignore_for_model",
        lambda _, names: noted.extend(names),
    )

    shared(nn.BatchNorm3d(2), lambda maps: maps, World(0, 2), torch.device("cpu"))

    assert noted == [
        f"network.{name}" for name in ("running_mean", "running_var", "num_batches_tracked")
    ]
