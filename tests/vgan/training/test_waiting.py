"""No step waits for its device: on one without values, reading any raises."""

from contextlib import nullcontext

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from vgan.data.dataset import to_model_range
from vgan.models.forms import Form, Forms
from vgan.models.strided import strided_layers
from vgan.training.record import Window
from vgan.training.steps import Player
from vgan.training.trainers import build_trainer

CPU, META = torch.device("cpu"), torch.device("meta")
# What a step draws on the CPU, so that every device sees the same; the latents are sent without
# waiting for them, the numbers of two frames stay there.
DRAWN = {
    ("two-stream", "paper"): ["randn"],
    ("two-stream", "stabilised"): ["randint", "randn"],
    ("one-stream", "paper"): ["randn"],
    ("one-stream", "stabilised"): ["randint", "randn"],
    ("autoencoder", "paper"): [],
    ("autoencoder", "stabilised"): [],
    ("future", "paper"): [],
    ("future", "stabilised"): ["randint"],
}


class MadeOnCpu(TorchDispatchMode):
    """Notes every operation that gives a tensor on the CPU."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, function, types, given=(), named=None):
        result = function(*given, **(named or {}))
        if any(isinstance(leaf, Tensor) and leaf.device == CPU for leaf in tree_leaves(result)):
            self.names.append(function.overloadpacket.__name__)
        return result


@pytest.fixture(autouse=True)
def without_values(monkeypatch):
    """Leave out what PyTorch has for real devices only: autocast and the fused optimiser."""
    monkeypatch.setattr(torch, "autocast", lambda *given, **named: nullcontext())
    monkeypatch.setattr(Player, "move", lambda player: None)


def train(trainer, batch, window):
    """Train on two batches that lie on the device; return what was made on the CPU for a step."""
    for step in (1, 2):
        clips = torch.zeros(batch, 32, 64, 64, 3, dtype=torch.uint8, device=META)
        with MadeOnCpu() as made:
            window.add(step, trainer.step(to_model_range(clips)))
    return made.names


@pytest.mark.parametrize(("model", "recipe"), DRAWN)
def test_nothing_between_a_batch_and_the_next_log_waits_for_the_device(tiny, model, recipe):
    config = tiny(model, recipe=recipe, ema=0.9)
    window = Window()

    made = train(build_trainer(config, torch.zeros(3, 64, 64), META), config.batch, window)

    assert made == DRAWN[model, recipe]
    with pytest.raises(RuntimeError, match="meta"):
        window.read()


@pytest.mark.parametrize("form", Form)
def test_no_form_of_a_layer_waits_for_the_device(tiny, form):
    config = tiny("two-stream", recipe="paper")
    trainer = build_trainer(config, None, META)
    for network in trainer.networks().values():
        for layer in strided_layers(network).values():
            layer.forms = Forms(form, form, form, "float32")

    assert train(trainer, config.batch, Window()) == ["randn"]
