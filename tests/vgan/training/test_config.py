import dataclasses
import json

import pytest

from vgan.errors import CheckpointError, UsageError
from vgan.training.config import (
    MODELS,
    PRESETS,
    RECIPES,
    default_dtype,
    from_json,
    learning_rate_factor,
    resolve_config,
    to_json,
)


def test_paper_preset_has_the_constants_of_the_authors_code():
    config = resolve_config("two-stream", "paper", dtype="float32")

    assert config.recipe == "paper"
    assert (config.width, config.latent, config.batch, config.steps) == (64, 100, 64, 65_000)
    assert config.learning_rate_discriminator == config.learning_rate_generator == 2e-4
    assert config.betas == (0.5, 0.999)
    assert config.mask_weight == 0.1
    assert config.generator_step == "simultaneous"
    assert config.ema == 0
    assert config.mixture_components == 256
    assert {learning_rate_factor(config, step) for step in (0, 40_000, 64_999)} == {1.0}


def test_small_preset_defaults_to_the_stabilised_recipe():
    assert resolve_config("two-stream", "small").recipe == "stabilised"


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("recipe", RECIPES)
def test_any_combination_can_be_asked_for_and_survives_json(model, preset, recipe):
    config = resolve_config(model, preset, recipe, category="beach", device="cpu")

    assert (config.model, config.preset, config.recipe) == (model, preset, recipe)
    assert from_json(to_json(config)) == config


def test_an_override_wins_over_preset_and_recipe_and_none_does_not():
    config = resolve_config("two-stream", batch=5, width=None, mask_weight=0.25)

    assert (config.batch, config.width, config.mask_weight) == (5, 8, 0.25)


def test_dtype_is_stored_resolved():
    assert resolve_config("two-stream").dtype == default_dtype("cpu")
    assert resolve_config("two-stream", dtype="float32").dtype == "float32"


@pytest.mark.parametrize(
    ("features", "expected"),
    [({"avx512_bf16": True}, "bfloat16"), ({"amx_bf16": True}, "bfloat16"),
     ({"avx512_bf16": False, "avx2": True}, "float32"), ({}, "float32")],
)  # fmt: skip
def test_default_dtype_follows_what_the_processor_multiplies(monkeypatch, features, expected):
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: features)

    assert default_dtype("cpu") == expected


def test_learning_rate_falls_linearly_over_the_second_half():
    config = resolve_config("two-stream", steps=100, learning_rate_floor=0.2)
    factors = [learning_rate_factor(config, step) for step in (0, 50, 75, 100)]

    assert factors == pytest.approx([1.0, 1.0, 0.6, 0.2])


@pytest.mark.parametrize(
    ("wrong", "named"),
    [({"batch": 1}, "`batch` must be at least 2"), ({"steps": 0}, "`steps`"),
     ({"width": 0}, "`width`"), ({"seed": -1}, "`seed`"), ({"sample_every": 0}, "`sample-every`"),
     ({"learning_rate_generator": 0.0}, "`learning-rate-generator`"), ({"ema": 1.0}, "`ema`"),
     ({"learning_rate_floor": 1.5}, "floor"), ({"dtype": "float16"}, "dtype"),
     ({"generator_step": "both"}, "generator step"), ({"colour": 1}, "colour"),
     ({"mask_weight": float("nan")}, "`mask-weight`")],
)  # fmt: skip
def test_a_value_out_of_range_is_refused_by_name(wrong, named):
    with pytest.raises(UsageError, match=named):
        resolve_config("two-stream", **wrong)


@pytest.mark.parametrize(
    "settings", [("no-such-model",), ("two-stream", "huge"), ("two-stream", "small", "modern")]
)
def test_an_unknown_model_preset_or_recipe_is_refused_with_the_known_ones(settings):
    with pytest.raises(UsageError, match=r"there are"):
        resolve_config(*settings)


@pytest.mark.parametrize(
    ("text", "why"),
    [("{", "not JSON"), ("[]", "not a JSON object"), ("{}", "misses batch")],
)
def test_a_damaged_config_file_is_named(text, why):
    with pytest.raises(CheckpointError, match=f"run/config.json: {why}"):
        from_json(text, "run/config.json")


@pytest.mark.parametrize("change", [{"batch": "many"}, {"model": "gan"}, {"steps": 0}])
def test_a_config_file_with_an_impossible_value_is_refused(change):
    raw = dataclasses.asdict(resolve_config("two-stream")) | change

    with pytest.raises(CheckpointError, match=r"config.json: "):
        from_json(json.dumps(raw))


def test_a_config_file_with_an_unknown_setting_is_refused():
    raw = dataclasses.asdict(resolve_config("two-stream")) | {"momentum": 1}

    with pytest.raises(CheckpointError, match=r"unknown momentum"):
        from_json(json.dumps(raw))
