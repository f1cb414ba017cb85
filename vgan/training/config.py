"""The settings of a training run: presets (how large) and recipes (how it learns), resolved once.

A *preset* says how large a run is (width, batch, steps); a *recipe* says how it learns (losses,
optimiser, averaging). `paper` and `small` are the presets, `paper` and `stabilised` the recipes;
each preset has its own default recipe and any combination may be asked for. The resolved copy is
saved as `config.json` in the run folder and is all that is needed to continue the run bit for bit.

This module imports no torch until the arithmetic has to be chosen, so that `vgan --help` is fast.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, cast

from vgan.errors import CheckpointError, UsageError
from vgan.training.presets import (
    DEFAULT_RECIPE,
    DTYPES,
    GENERATOR_STEPS,
    MODELS,
    PRESETS,
    RECIPES,
    SOURCE_NAMES,
    VARIANTS,
    Dtype,
    GeneratorStep,
    Model,
    Preset,
    Recipe,
    Variant,
    settings_of,
)

# Settings that older runs do not have, with what they were trained as.
_ADDED: dict[str, Any] = {
    "variant": None, "frame_weight": 0.0, "sync_batch_norm": False, "compile": False,
}  # fmt: skip


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides the weights of a run, besides the data.

    Args:
        model: which generator is trained.
        preset: where the sizes come from.
        recipe: which losses, discriminator and optimiser settings are used.
        category: the category of clips trained on; a slug.
        seed: of the weights, the latents and the order of the clips.
        dtype: arithmetic of the networks, `bfloat16` under autocast with losses and batch-norm
            statistics in float32; stored resolved, since a resumed run must use the same.
        width: channels of the generator's last hidden layer and of the discriminator's first.
        latent: numbers in a latent vector, or in the autoencoder's code.
        batch: clips per step, at least 2 (batch norm).
        steps: of one discriminator and one generator update each.
        learning_rate_discriminator: of Adam.
        learning_rate_generator: of Adam; the autoencoder's too.
        beta1: Adam's first decay.
        beta2: Adam's second decay.
        learning_rate_floor: share of the learning rate left at the last step, reached linearly
            over the second half; 1 keeps it constant.
        mask_weight: weight of the mean mask in the generator's loss.
        generator_step: `simultaneous` takes both gradients before either update; `alternating`
            lets the generator see the updated discriminator.
        ema: decay of the averaged generator used for samples; 0 for none.
        sample_every: steps between sample sheets.
        checkpoint_every: steps between checkpoints.
        log_every: steps between lines of metrics, and between looks for NaN.
        mixture_components: Gaussians fitted to the autoencoder's codes, at most.
        variant: of the future model, the network of the paper's text or of its code; None for the
            others.
        frame_weight: of the mean absolute difference between the future's first frame and the
            picture it was given, in the generator's loss.
        sync_batch_norm: whether several processes share their batch-norm statistics.
        compile: whether batch norms are compiled with their activations, a minute at the start.
    """

    model: Model
    preset: Preset
    recipe: Recipe
    category: str
    seed: int
    dtype: Dtype
    width: int
    batch: int
    steps: int
    learning_rate_discriminator: float
    learning_rate_generator: float
    beta1: float
    beta2: float
    learning_rate_floor: float
    mask_weight: float
    generator_step: GeneratorStep
    ema: float
    sample_every: int
    checkpoint_every: int
    log_every: int = 10
    latent: int = 100  # MAIN: nz
    mixture_components: int = 256  # the paper's baseline
    variant: Variant | None = None
    frame_weight: float = 0.0
    sync_batch_norm: bool = False
    compile: bool = False

    @property
    def betas(self) -> tuple[float, float]:
        """Adam's decays."""
        return (self.beta1, self.beta2)

    @property
    def source(self) -> str:
        """The name of this model's clips in a study."""
        return SOURCE_NAMES[self.model]


def resolve_config(
    model: str,
    preset: str = "small",
    recipe: str | None = None,
    *,
    device: str = "cpu",
    **overrides: Any,
) -> TrainConfig:
    """Settle every setting of a run.

    Args:
        model: one of `MODELS`.
        preset: one of `PRESETS`.
        recipe: one of `RECIPES`; by default the preset's own.
        device: `cpu` or `cuda`, where the arithmetic is chosen if `dtype` is not given.
        **overrides: fields of `TrainConfig`; None leaves the preset's or recipe's value.

    Raises:
        UsageError: an unknown model, preset, recipe or setting, or a value out of range.
    """
    _check_choice("model", model, MODELS)
    _check_choice("preset", preset, PRESETS)
    recipe = recipe or DEFAULT_RECIPE[cast(Preset, preset)]
    _check_choice("recipe", recipe, RECIPES)
    given = {key: value for key, value in overrides.items() if value is not None}
    unknown = sorted(set(given) - {f.name for f in fields(TrainConfig)})
    if unknown:
        raise UsageError(f"no such training setting: {', '.join(unknown)}")
    if model == "future":
        given.setdefault("variant", VARIANTS[0])
    settings: dict[str, Any] = {"category": "all", "seed": 0}
    settings |= settings_of(
        cast(Model, model), cast(Preset, preset), cast(Recipe, recipe), given.get("variant")
    )
    settings |= given
    settings.setdefault("dtype", None)
    if settings["dtype"] is None:
        settings["dtype"] = default_dtype(device)
    config = TrainConfig(
        **settings | {"model": model, "preset": preset, "recipe": recipe},
    )
    check_config(config)
    return config


def default_dtype(device: str) -> Dtype:
    """Return `bfloat16` where the device multiplies it in hardware, else `float32`.

    On a CPU with AMX or AVX-512 BF16 it is 2 to 4 times faster for these layers; elsewhere it is
    emulated and slower. On CUDA it needs compute capability 8.0.
    """
    import torch

    if device.startswith("cuda"):
        fast = torch.cuda.is_available() and torch.cuda.get_device_capability(device) >= (8, 0)
    elif device == "cpu":
        # Older torch cannot tell; float32 is then only slower.
        features: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
        fast = any(features.get(name, False) for name in ("amx_bf16", "avx512_bf16"))
    else:
        fast = False
    return "bfloat16" if fast else "float32"


def check_config(config: TrainConfig) -> None:
    """Check the ranges of a run's settings.

    Raises:
        UsageError: a value is out of range; the message names the setting.
    """
    _check_choices(config)
    least = {
        "width": 1, "latent": 1, "batch": 2, "steps": 1, "seed": 0, "sample_every": 1,
        "checkpoint_every": 1, "log_every": 1, "mixture_components": 1, "mask_weight": 0,
        "frame_weight": 0,
    }  # fmt: skip
    for name, bound in least.items():
        if not getattr(config, name) >= bound:  # NaN is out of every range
            raise UsageError(
                f"{option_name(name)} must be at least {bound}, not {getattr(config, name)}"
            )
    for name in ("learning_rate_discriminator", "learning_rate_generator"):
        if not getattr(config, name) > 0:
            raise UsageError(f"{option_name(name)} must be above 0, not {getattr(config, name)}")
    for name in ("beta1", "beta2", "ema"):
        if not 0 <= getattr(config, name) < 1:
            raise UsageError(f"{option_name(name)} must be in [0, 1), not {getattr(config, name)}")
    if not 0 <= config.learning_rate_floor <= 1:
        raise UsageError(f"learning rate floor must be in [0, 1], not {config.learning_rate_floor}")


def _check_choices(config: TrainConfig) -> None:
    """Check what is chosen among names, and what goes together."""
    _check_choice("dtype", config.dtype, DTYPES)
    _check_choice("generator step", config.generator_step, GENERATOR_STEPS)
    if config.model == "future":
        _check_choice("variant", str(config.variant), VARIANTS)
    elif config.variant is not None:
        raise UsageError(f"`variant` is of the future model; {config.model} has none")


def learning_rate_factor(config: TrainConfig, step: int) -> float:
    """Return what the learning rates are multiplied by at a step (0 is the first).

    1 over the first half of the run, then linearly down to `learning_rate_floor`.
    """
    half = config.steps / 2
    if config.learning_rate_floor == 1.0 or step <= half:
        return 1.0
    share = min((step - half) / half, 1.0)
    return 1.0 - share * (1.0 - config.learning_rate_floor)


def to_json(config: TrainConfig) -> str:
    """Return the settings as JSON text, one line per setting."""
    return json.dumps(asdict(config), indent=2) + "\n"


def from_json(text: str, where: str = "config.json") -> TrainConfig:
    """Read settings back.

    Raises:
        CheckpointError: not JSON, not an object, or settings missing or unknown; the message
            starts with `where`.
    """
    try:
        raw = json.loads(text)
    except json.JSONDecodeError as error:
        raise CheckpointError(f"{where}: not JSON ({error.msg})") from None
    if not isinstance(raw, dict):
        raise CheckpointError(f"{where}: not a JSON object")
    return from_dict(raw, where)


def from_dict(raw: Mapping[str, Any], where: str) -> TrainConfig:
    """Build settings from their dictionary; see `from_json`."""
    raw = _ADDED | dict(raw)
    names = {f.name for f in fields(TrainConfig)}
    missing, unknown = sorted(names - set(raw)), sorted(set(raw) - names)
    if missing or unknown:
        wrong = f"misses {', '.join(missing)}" if missing else f"has unknown {', '.join(unknown)}"
        raise CheckpointError(f"{where}: {wrong}; was it written by another version?")
    try:
        config = TrainConfig(**raw)
        _check_choice("model", config.model, MODELS)
        _check_choice("recipe", config.recipe, RECIPES)
        check_config(config)
    except (UsageError, TypeError) as error:
        raise CheckpointError(f"{where}: {error}") from None
    return config


def _check_choice(what: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UsageError(f"no {what} called {value!r}; there are {', '.join(allowed)}")


def option_name(name: str) -> str:
    """Return a setting's name as it is given on the command line."""
    return f"`{name.replace('_', '-')}`"
