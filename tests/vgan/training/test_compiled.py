"""Compiled batch norms learn what plain ones do; on the CPU, whose compiler needs a C++ one."""

import shutil

import pytest
import torch
import torch._dynamo.utils
from torch import nn
from torch.testing import assert_close

from vgan.models.layers import Stack
from vgan.training.distributed import share_batch_norm
from vgan.training.players import compile_norms
from vgan.training.trainers import build_trainer

# All of them are of the compiler itself.
pytestmark = pytest.mark.filterwarnings("ignore")
CPU = torch.device("cpu")
NORMS = (nn.BatchNorm2d, nn.BatchNorm3d)


needs_compiler = pytest.mark.skipif(
    shutil.which("g++") is None, reason="torch.compile needs a C++ compiler"
)


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("recipe", ["paper", "stabilised"])
def test_a_compiled_step_is_the_plain_step(tiny, recipe):
    torch._dynamo.reset()  # what other networks have had compiled
    torch._dynamo.utils.counters.clear()
    plain = build_trainer(tiny(recipe=recipe), None, CPU)
    fused = build_trainer(tiny(recipe=recipe, compile=True), None, CPU)
    chance = torch.Generator().manual_seed(1)
    for _ in range(3):
        real = torch.rand(2, 3, 32, 64, 64, generator=chance) * 2 - 1

        expected, found = plain.step(real), fused.step(real)

        for name, value in expected.items():
            assert found[name] == pytest.approx(float(value), rel=1e-3, abs=1e-4), name
    norms = [m for n in fused.networks().values() for m in n.modules() if isinstance(m, NORMS)]
    assert torch._dynamo.utils.counters["frames"] == {"total": len(norms), "ok": len(norms)}
    kept, learnt = (trainer.networks()["generator"].state_dict() for trainer in (plain, fused))
    means = [name for name in kept if name.endswith("running_mean")]
    assert means
    for name in means:
        assert_close(learnt[name], kept[name], rtol=1e-2, atol=1e-4)


@pytest.mark.slow
@needs_compiler
def test_a_compiled_graph_is_gone_back_through_twice_whatever_the_cache_has_of_it():
    def judgment():
        network = Stack(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())
        compile_norms(network)
        return network(torch.ones(3, 4, 2, 2)).sum()

    judgment().backward()  # into the cache, as something that is gone back through once
    torch._dynamo.reset()
    again = judgment()

    again.backward(retain_graph=True)
    again.backward()


def test_each_batch_norm_is_compiled_with_its_activation_and_nothing_else_is(tiny):
    trainer = build_trainer(tiny(recipe="paper", compile=True), None, CPU)

    parts = trainer.networks()["discriminator"].trunk._parts

    kinds = [[type(layer).__name__ for layer in part.children()] for part in parts]
    pair = ["BatchNorm3d", "LeakyReLU"]
    assert kinds == [[], [], [], pair, [], pair, [], pair]
    assert [part._compiled_call_impl is not None for part in parts] == [bool(k) for k in kinds]


def test_what_is_sampled_from_is_a_plain_copy_of_a_compiled_network(tiny):
    trainer = build_trainer(tiny(recipe="paper", compile=True), None, CPU)

    sampler = trainer.sampler()

    trained = trainer.networks()["generator"]
    assert sampler.state_dict().keys() == trained.state_dict().keys()
    parts = sampler.foreground._parts
    assert all(part._compiled_call_impl is None for part in parts)
    assert parts[1].norm is sampler.foreground[1]  # its own norm, not the trained network's


def test_batch_norm_that_all_processes_share_is_left_alone():
    network = Stack(nn.Conv3d(2, 2, 1), nn.BatchNorm3d(2), nn.ReLU())
    share_batch_norm(network)

    compile_norms(network)

    assert list(network._parts) == list(network)
