"""Training future prediction: its settings, its loss, its state, its sheet."""

import io
import json
from dataclasses import asdict

import numpy as np
import pytest
import torch
import torch.distributed as dist
from PIL import Image

from vgan.cli import main
from vgan.errors import CheckpointError, UsageError
from vgan.models.layers import Streams
from vgan.training.config import from_json, resolve_config, to_json
from vgan.training.distributed import World
from vgan.training.future import FirstFrames
from vgan.training.losses import first_frame_l1
from vgan.training.sheets import future_sheet, predicted_sheet
from vgan.training.trainers import build_trainer

CPU = torch.device("cpu")
VARIANTS = [
    (variant, recipe) for variant in ("paper", "code") for recipe in ("paper", "stabilised")
]


def settings(variant="paper", recipe="stabilised", **overrides):
    tiny = {"width": 1, "latent": 8, "batch": 2, "steps": 8, "dtype": "float32"}
    return resolve_config("future", "small", recipe, variant=variant, **tiny | overrides)


def real(step):
    chance = torch.Generator().manual_seed(step)
    return torch.rand(2, 3, 32, 64, 64, generator=chance) * 2 - 1


def same(first, second):
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[k], second[k]) for k in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    return first == second


def test_the_code_variant_has_the_constants_of_the_authors_conditional_script():
    config = resolve_config("future", "paper", variant="code", dtype="float32")

    assert (config.width, config.batch, config.mask_weight) == (128, 32, 0.0)
    assert config.frame_weight == 10.0
    assert config.betas == (0.5, 0.999)
    assert config.learning_rate_generator == config.learning_rate_discriminator == 2e-4
    assert config.generator_step == "simultaneous"
    assert config.source == "future"


def test_the_paper_variant_keeps_the_papers_recipe_and_adds_the_first_frame():
    config = resolve_config("future", "paper", dtype="float32")

    assert config.variant == "paper"
    assert (config.width, config.latent, config.batch, config.mask_weight) == (64, 100, 64, 0.1)
    assert config.frame_weight == 10.0


@pytest.mark.parametrize("variant", ["paper", "code"])
def test_settings_survive_json(variant):
    config = settings(variant)

    assert from_json(to_json(config)) == config


def test_a_given_setting_wins_over_the_variants():
    config = resolve_config("future", "paper", variant="code", width=32, mask_weight=0.2)

    assert (config.width, config.mask_weight) == (32, 0.2)


def test_a_variant_of_another_model_and_an_unknown_one_are_refused():
    with pytest.raises(UsageError, match="`variant` is of the future model; two-stream has none"):
        resolve_config("two-stream", variant="code")
    with pytest.raises(UsageError, match="no variant called 'both'; there are paper, code"):
        resolve_config("future", variant="both")


def test_a_run_from_before_there_were_variants_is_still_read():
    config = resolve_config("two-stream")
    old = asdict(config)
    del old["variant"], old["frame_weight"]

    assert from_json(json.dumps(old)) == config
    with pytest.raises(CheckpointError, match="no variant called 'None'"):
        from_json(json.dumps(old | {"model": "future"}))


def test_the_first_frames_error_is_the_mean_absolute_difference_of_frame_one_only():
    clip, picture = torch.zeros(1, 3, 4, 2, 2), torch.full((1, 3, 2, 2), 0.5)
    clip[:, :, 1:] = 9
    clip[:, :, 0, 0, 0] = 0.5

    assert first_frame_l1(clip, picture).item() == pytest.approx(0.375)


@pytest.mark.parametrize("order", ["simultaneous", "alternating"])
def test_the_generators_loss_is_the_sum_of_its_terms(order):
    trainer = build_trainer(settings(generator_step=order), None, CPU)
    metrics = trainer.step(real(0))

    parts = metrics["loss_g_fool"] + metrics["loss_g_mask"] + metrics["loss_g_frame"]
    assert metrics["loss_g"].item() == pytest.approx(parts.item(), rel=1e-5)
    # Frames differ by up to 2, the share of the full range is half of the difference.
    assert metrics["loss_g_frame"].item() == pytest.approx(10 * 2 * metrics["frame_error"].item())


def test_the_clips_are_made_of_the_real_clips_first_frames():
    trainer = build_trainer(settings(), None, CPU)
    seen = []
    network = trainer.game.generator.network
    network.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))

    trainer.step(real(3))

    assert torch.equal(seen[0], real(3)[:, :, 0])


@pytest.mark.parametrize("variant", ["paper", "code"])
def test_a_first_frame_is_learnt(variant):
    config = settings(variant, width=2, frame_weight=100.0, learning_rate_generator=0.01)
    trainer = build_trainer(config, None, CPU)
    clip = torch.linspace(-0.6, 0.6, 64).expand(2, 3, 32, 64, 64)

    errors = [trainer.step(clip)["frame_error"].item() for _ in range(8)]

    assert errors[-1] < 0.6 * errors[0]


@pytest.mark.parametrize(("variant", "recipe"), VARIANTS)
def test_two_steps_saved_and_two_more_equal_four_and_give_the_same_sampler(variant, recipe):
    config = settings(variant, recipe)
    whole, first, resumed = (build_trainer(config, None, CPU) for _ in range(3))
    for step in range(4):
        whole.step(real(step))
    for step in range(2):
        first.step(real(step))
    buffer = io.BytesIO()
    torch.save(first.state_dict(), buffer)
    buffer.seek(0)

    resumed.load_state_dict(torch.load(buffer, weights_only=True))
    for step in range(2, 4):
        resumed.step(real(step))

    assert same(resumed.state_dict(), whole.state_dict())
    assert same(resumed.sampler().state_dict(), whole.sampler().state_dict())


def test_the_frames_seen_last_are_kept_for_the_averaged_weights():
    frames = FirstFrames(3, CPU)
    for level in (0, 100, 255):
        frames.take(torch.full((2, 3, 4, 64, 64), level / 127.5 - 1))

    assert frames.kept.float().mean((1, 2, 3)).tolist() == [100, 255, 255]
    assert [batch.mean().item() for batch in frames.batches(2)] == [
        pytest.approx((100 + 255) / 2 / 127.5 - 1, abs=1e-6), pytest.approx(1)
    ]  # fmt: skip


def test_kept_frames_are_rounded_to_the_nearest_level():
    frames = FirstFrames(2, CPU)
    given = frames.take(real(0))

    (kept,) = frames.batches(2)
    assert (kept - given).abs().max() < 1.001 / 255  # half of a level, of a range of 2


def test_no_frames_are_kept_where_no_weights_are_averaged():
    trainer = build_trainer(settings(recipe="paper"), None, CPU)
    trainer.step(real(0))

    assert trainer.state_dict()["first_frames"].shape == (0, 3, 64, 64)


def test_the_sheet_shows_the_given_frame_the_prediction_and_the_true_future(runs):
    with Image.open(runs["future"] / "sheet.png") as sheet:
        # Blocks of columns of 66 pixels, 4 apart: given 1, prediction 8, true future 8,
        # foreground 4, mask 4, background 1.
        assert sheet.size == (26 * 66 + 6 * 4, 14 + 8 * 66)


def test_the_sheets_blocks_hold_what_their_headings_say():
    true = torch.linspace(-1, 1, 32).view(1, 1, 32, 1, 1).expand(1, 3, 32, 64, 64)
    page = future_sheet(Streams(torch.zeros(1, 3, 32, 64, 64)), true)
    middle = page[14 + 32]

    assert middle[32].tolist() == [0, 0, 0]  # given
    assert middle[70 + 32].tolist() == [128, 128, 128]  # prediction, its first frame
    at = 70 + 8 * 66 + 4
    assert middle[at + 32].tolist() == [0, 0, 0]  # true future, first
    assert middle[at + 7 * 66 + 32].tolist() == [255, 255, 255]  # and last


def test_a_predicted_sheet_has_a_row_per_picture():
    page = predicted_sheet(
        np.zeros((3, 64, 64, 3), np.uint8), np.ones((3, 32, 64, 64, 3), np.uint8)
    )

    assert page.shape == (14 + 3 * 66, 9 * 66 + 2 * 4, 3)


def test_train_future_takes_a_variant_and_resumes(drawn, tmp_path, capsys):
    run = tmp_path / "run"
    command = ["train", "future", "--data", str(drawn), "--category", "beach", "--out", str(run)]
    command += ["--width", "1", "--batch", "2", "--steps", "2", "--variant", "code"]

    assert main(command) == 0
    assert from_json((run / "config.json").read_text()).variant == "code"
    assert main([*command, "--resume"]) == 0
    assert main([*command[:-1], "paper", "--resume"]) == 2
    assert "cannot resume with `variant` paper: the run was started with code" in (
        capsys.readouterr().err
    )


def test_the_first_frames_of_all_processes_clips_are_kept(monkeypatch):
    steps = [torch.cat([real(step), real(step + 10)]) for step in (1, 2)]
    alone, ours = FirstFrames(6, CPU), FirstFrames(6, CPU)
    theirs = FirstFrames(2, CPU)  # those of the other process's last step

    def all_gather(parts, rows):
        parts[0].copy_(rows)
        parts[1].copy_(theirs.kept)

    monkeypatch.setattr(dist, "all_gather", all_gather)
    for clips in steps:
        alone.take(clips)
        theirs.take(clips[2:])
        given = ours.take(clips[:2], World(0, 2))

        assert torch.equal(given, clips[:2, :, 0])

    assert len(ours.kept) == 6
    assert torch.equal(ours.kept, alone.kept)
