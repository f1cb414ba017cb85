"""Compiled networks learn what plain ones do; here on the CPU, whose compiler needs a C++ one."""

import shutil

import pytest
import torch
from torch import nn

from vgan.errors import UsageError
from vgan.training.players import compiled
from vgan.training.trainers import build_trainer
from vgan.training.tuning import choose

# All of them are of the compiler itself.
pytestmark = pytest.mark.filterwarnings("ignore")
CPU = torch.device("cpu")


needs_compiler = pytest.mark.skipif(
    shutil.which("g++") is None, reason="torch.compile needs a C++ compiler"
)


@pytest.mark.slow
@needs_compiler
def test_a_compiled_step_is_the_plain_step(tiny):
    plain = build_trainer(tiny(recipe="paper"), None, CPU)
    config = tiny(recipe="paper", compile=True)
    fused = build_trainer(config, None, CPU)
    chance = torch.Generator().manual_seed(1)
    for _ in range(3):
        real = torch.rand(2, 3, 32, 64, 64, generator=chance) * 2 - 1

        expected, found = plain.step(real), fused.step(real)

        for name, value in expected.items():
            assert found[name] == pytest.approx(float(value), rel=1e-3, abs=1e-4), name


@pytest.mark.slow
@needs_compiler
def test_a_compiled_graph_is_gone_back_through_twice_whatever_the_cache_has_of_it():
    def judgment():
        network = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4), nn.Tanh())
        return compiled(network)(torch.ones(3, 4)).sum()

    judgment().backward()  # into the cache, as something that is gone back through once
    torch._dynamo.reset()
    again = judgment()

    again.backward(retain_graph=True)
    again.backward()


def test_a_compiled_run_leaves_the_forms_to_the_compiler(tiny):
    config = tiny(recipe="paper", compile=True)

    assert choose(build_trainer(config, None, CPU), config, 2, CPU, None).layers == {}


def test_the_stabilised_recipe_is_not_compiled(tiny):
    with pytest.raises(UsageError, match="`compile` needs the recipe `paper`"):
        tiny(recipe="stabilised", compile=True)
