"""The numbers of every preset and recipe, each with where it comes from.

No torch here, so that `vgan --help` is fast.
"""

from typing import Any, Literal, get_args

Model = Literal["two-stream", "one-stream", "autoencoder", "future"]
Preset = Literal["small", "paper"]
Recipe = Literal["paper", "stabilised"]
Variant = Literal["paper", "code"]
GeneratorStep = Literal["simultaneous", "alternating"]
Dtype = Literal["float32", "bfloat16"]

MODELS: tuple[Model, ...] = get_args(Model)
PRESETS: tuple[Preset, ...] = get_args(Preset)
RECIPES: tuple[Recipe, ...] = get_args(Recipe)
VARIANTS: tuple[Variant, ...] = get_args(Variant)
GENERATOR_STEPS: tuple[GeneratorStep, ...] = get_args(GeneratorStep)
DTYPES: tuple[Dtype, ...] = get_args(Dtype)

# What a run's clips are called in a study (the `source` of the manifest).
SOURCE_NAMES: dict[Model, str] = {
    "two-stream": "vgan-two-stream",
    "one-stream": "vgan-one-stream",
    "autoencoder": "autoencoder-gmm",
    "future": "future",
}

DEFAULT_RECIPE: dict[Preset, Recipe] = {"paper": "paper", "small": "stabilised"}

# MAIN is main.lua of the authors' code, https://github.com/cvondrick/videogan at 88c0c4d.
_PRESETS: dict[Preset, dict[str, Any]] = {
    "paper": {
        "width": 64,  # MAIN: 64 channels before the heads and after D's first layer
        "batch": 64,  # MAIN: batchSize
        "steps": 65_000,  # the released golf checkpoint (generate.lua); beach is 63,000
        "sample_every": 1_000,  # MAIN shows samples every 100; a sheet is slower than a window
        "checkpoint_every": 1_000,  # MAIN: one checkpoint every 1000 iterations
    },
    # Measured on 2 cores of a Xeon with AMX: about 320 steps a minute at this size (0.19 s each for
    # two streams), and a drawn scene is recognisable within two minutes (docs/training.md).
    "small": {
        "width": 8,
        "batch": 8,
        "steps": 600,
        "sample_every": 300,  # a sheet of averaged weights costs as much as ten steps
        "checkpoint_every": 100,
    },
}

_RECIPES: dict[Recipe, dict[str, Any]] = {
    "paper": {
        "learning_rate_discriminator": 2e-4,  # MAIN: lr
        "learning_rate_generator": 2e-4,  # MAIN: lr
        "beta1": 0.5,  # MAIN: beta1
        "beta2": 0.999,  # torch/optim's default, not set by MAIN
        "learning_rate_floor": 1.0,  # MAIN: lr_decay is set past the last epoch, so it never fires
        "mask_weight": 0.1,  # MAIN: lambda; weight of the mean of the mask (nn.L1Penalty, averaged)
        "generator_step": "simultaneous",  # MAIN: G reuses D's output from before D's update
        "ema": 0.0,  # MAIN samples the trained weights themselves
    },
    # Departures and their reasons: docs/training.md. Chosen by training on drawn and real scenes.
    "stabilised": {
        "learning_rate_discriminator": 1e-3,
        "learning_rate_generator": 1e-3,
        "beta1": 0.0,
        "beta2": 0.9,
        "learning_rate_floor": 0.2,
        "mask_weight": 0.5,
        "generator_step": "alternating",
        "ema": 0.99,
    },
}

# What a model needs otherwise than its recipe, in any preset.
_MODELS: dict[Model, dict[str, Any]] = {
    "two-stream": {},
    "one-stream": {"mask_weight": 0.0},  # it has no mask
    # The paper does not say whether the prior applies to the baseline; the reconstruction alone
    # decides how its decoder uses the mask.
    "autoencoder": {"mask_weight": 0.0},
    "future": {"frame_weight": 10.0},  # CONDITIONAL, below; the weight of the text is not known
}

# CONDITIONAL is main_conditional.lua of the same code: what the released network for future
# prediction needs otherwise, of each preset and each recipe. `--variant paper` needs nothing else.
_CODE_PRESETS: dict[Preset, dict[str, Any]] = {
    "paper": {"width": 128, "batch": 32},  # CONDITIONAL: twice the channels, half the batch
    "small": {},
}
_CODE_RECIPES: dict[Recipe, dict[str, Any]] = {
    "paper": {"mask_weight": 0.0},  # CONDITIONAL has no mask penalty
    "stabilised": {},
}


def settings_of(
    model: Model, preset: Preset, recipe: Recipe, variant: Variant | None
) -> dict[str, Any]:
    """Return what a preset, a recipe, a model and its variant set; the later win."""
    settings = _PRESETS[preset] | _RECIPES[recipe] | _MODELS[model]
    if variant == "code":
        settings |= _CODE_PRESETS[preset] | _CODE_RECIPES[recipe]
    return settings
