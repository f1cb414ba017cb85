"""No step waits for its device: on one without values, reading any raises."""

from contextlib import nullcontext

import pytest
import torch

from vgan.data.dataset import to_model_range
from vgan.training import reconstruction, steps
from vgan.training.record import Window
from vgan.training.steps import Player
from vgan.training.trainers import build_trainer

META = torch.device("meta")


@pytest.fixture
def without_values(monkeypatch):
    """Leave out what PyTorch has for real devices only: autocast and the fused optimiser."""
    for module in (steps, reconstruction):
        monkeypatch.setattr(module, "autocast", lambda device, dtype: nullcontext())
    monkeypatch.setattr(Player, "move", lambda player: None)


@pytest.mark.parametrize("recipe", ["paper", "stabilised"])
@pytest.mark.parametrize("model", ["two-stream", "one-stream", "autoencoder", "future"])
def test_nothing_between_a_batch_and_the_next_log_waits_for_the_device(
    tiny, without_values, model, recipe
):
    config = tiny(model, recipe=recipe, ema=0.9)
    trainer = build_trainer(config, torch.zeros(3, 64, 64), META)
    window = Window()

    for step in (1, 2):
        clips = torch.zeros(config.batch, 32, 64, 64, 3, dtype=torch.uint8, device=META)
        window.add(step, trainer.step(to_model_range(clips)))

    with pytest.raises(RuntimeError, match="meta"):
        window.read()
