"""Runs choose how their layers are worked out once, keep to it, and learn the same either way."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from vgan.errors import CheckpointError, TrainingError
from vgan.models.forms import Form, Forms
from vgan.models.strided import strided_layers
from vgan.training import tuning
from vgan.training.folder import RunFolder
from vgan.training.loop import train
from vgan.training.trainers import build_trainer
from vgan.training.tuning import Choice, choose, settle

CPU = torch.device("cpu")
PHASES = Forms(Form.PHASES, Form.PHASES, Form.PHASES)


@pytest.fixture
def measured(monkeypatch):
    """Note what is measured, and let it come out as phases, channels last."""
    noted = []

    def measure(layer, shape, dtype, channels_last):
        noted.append(tuple(shape))
        return PHASES, 1.0 if channels_last else 2.0

    monkeypatch.setattr(tuning, "measure", measure)
    return noted


def layers_of(trainer):
    return {
        f"{name}.{inner}": layer
        for name, network in trainer.networks().items()
        for inner, layer in strided_layers(network).items()
    }


@pytest.mark.parametrize("model", ["two-stream", "one-stream", "autoencoder", "future"])
@pytest.mark.parametrize("recipe", ["paper", "stabilised"])
def test_every_strided_layer_in_use_is_measured_at_its_own_size(tiny, measured, model, recipe):
    config = tiny(model, recipe=recipe, ema=0.9 if recipe == "stabilised" else 0.0)
    trainer = build_trainer(config, None, CPU)
    before = {name: value.clone() for name, value in _state(trainer).items()}

    choice = choose(trainer, config, 2, CPU, None)

    assert set(choice.layers) == set(layers_of(trainer))
    assert choice.channels_last
    assert {shape[0] for shape in measured} == {2}
    for name, value in _state(trainer).items():
        assert torch.equal(value, before[name]), name


def _state(trainer):
    return {
        f"{name}.{key}": value
        for name, network in trainer.networks().items()
        for key, value in network.state_dict().items()
    }


@pytest.mark.parametrize("form", list(Form))
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize(
    ("recipe", "generator_step"),
    [("paper", "simultaneous"), ("paper", "alternating"), ("stabilised", "alternating")],
)
def test_a_step_in_every_form_is_the_plain_step(tiny, form, channels_last, recipe, generator_step):
    config = tiny(recipe=recipe, generator_step=generator_step, width=2)
    real = torch.rand(2, 3, 32, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    plain = build_trainer(config, None, CPU)
    choice = Choice(channels_last, dict.fromkeys(layers_of(plain), Forms(form, form, form)))
    ours = build_trainer(config, None, CPU, choice=choice)

    expected, found = plain.step(real), ours.step(real)

    for name, value in expected.items():
        assert found[name] == pytest.approx(float(value), rel=1e-4, abs=1e-5), name
    for player in ("generator", "discriminator"):
        networks = plain.networks()[player], ours.networks()[player]
        pairs = list(zip(*(network.named_parameters() for network in networks), strict=True))
        largest = max(one.grad.abs().max() for (_, one), _ in pairs)
        for (name, one), (_, other) in pairs:
            # A bias before batch norm has no gradient but rounding's.
            limit = 2e-3 * one.grad.abs().max() + 1e-4 * largest
            assert (one.grad - other.grad).abs().max() <= limit, name


def test_samples_are_worked_out_as_whoever_loads_the_weights_will(tiny):
    choice = Choice(True, {"generator.head": PHASES})
    trainer = build_trainer(tiny(recipe="paper"), None, CPU, choice=choice)
    assert layers_of(trainer)["generator.head"].forms == PHASES

    forms = {layer.forms for layer in strided_layers(trainer.sampler()).values()}

    assert forms == {None}


def test_a_machine_measures_a_size_once(tiny, measured, tmp_path):
    config, cache = tiny(recipe="paper"), tmp_path / "cache" / "forms.json"
    first = choose(build_trainer(config, None, CPU), config, 2, CPU, cache)
    done = len(measured)

    assert choose(build_trainer(config, None, CPU), config, 2, CPU, cache) == first
    assert len(measured) == done > 0

    choose(build_trainer(config, None, CPU), config, 4, CPU, cache)

    assert len(measured) > done  # another batch is another size


def test_measuring_shows_how_far_it_is_and_goes_on_where_it_was_stopped(
    tiny, measured, tmp_path, monkeypatch, capsys
):
    config, cache = tiny(recipe="paper"), tmp_path / "forms.json"
    measure, left = tuning.measure, iter([True, True, False])

    def stopped(*given):
        if not next(left):
            raise KeyboardInterrupt
        return measure(*given)

    monkeypatch.setattr(tuning, "measure", stopped)
    with pytest.raises(KeyboardInterrupt):
        choose(build_trainer(config, None, CPU), config, 2, CPU, cache)
    monkeypatch.setattr(tuning, "measure", measure)

    choose(build_trainer(config, None, CPU), config, 2, CPU, cache)

    kinds = 2 * len(layers_of(build_trainer(config, None, CPU)))
    assert len(measured) == kinds
    assert f"timing layers:   0%|          | 0/{kinds}" in capsys.readouterr().err


def test_the_first_measurement_of_a_machine_stays(tiny, measured, tmp_path, monkeypatch):
    config, cache = tiny(recipe="paper"), tmp_path / "forms.json"
    read = tuning._read
    late = Forms(Form.PRODUCT, Form.PRODUCT, Form.PRODUCT)
    monkeypatch.setattr(tuning, "_read", lambda _: {})  # both begin before either has ended
    choose(build_trainer(config, None, CPU), config, 2, CPU, cache)
    monkeypatch.setattr(tuning, "_read", read)
    kept = cache.read_bytes()
    known = tuning._Measurements(None, CPU)
    known.cache = cache
    known.known = {
        key: {**late.to_dict(), "seconds": 0.1} for key in json.loads(kept)[known.machine]
    }
    known.keep()

    assert cache.read_bytes() == kept


@pytest.mark.parametrize("text", ["{", "[]", ""])
def test_a_damaged_cache_is_measured_anew(tiny, measured, tmp_path, text):
    config, cache = tiny(recipe="paper"), tmp_path / "forms.json"
    cache.write_text(text)

    choose(build_trainer(config, None, CPU), config, 2, CPU, cache)

    assert measured
    assert json.loads(cache.read_text())


ODD = {
    "nothing": None,
    "a list": [],
    "no seconds": {"halve": "phases", "double": "phases", "weight_gradient": "phases"},
    "a form left out": {"halve": "phases", "double": "phases", "dtype": None, "seconds": 1.0},
    "an unknown form": {**PHASES.to_dict(), "halve": "winograd", "seconds": 1.0},
    "an unknown arithmetic": {**PHASES.to_dict(), "dtype": "float12", "seconds": 1.0},
    "an unknown field": {**PHASES.to_dict(), "tile": "8", "seconds": 1.0},
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
def test_an_odd_entry_of_the_cache_is_measured_anew_and_the_others_stay(
    tiny, measured, tmp_path, odd
):
    config, cache = tiny(recipe="paper"), tmp_path / "forms.json"
    first = choose(build_trainer(config, None, CPU), config, 2, CPU, cache)
    right = json.loads(cache.read_text())
    ((machine, entries),) = right.items()
    others = {"another machine": {"key": odd}, "version": 2}
    cache.write_text(json.dumps({machine: entries | {min(entries): odd}} | others))
    measured.clear()

    for _ in range(2):
        assert choose(build_trainer(config, None, CPU), config, 2, CPU, cache) == first
        assert json.loads(cache.read_text()) == right | others
        assert len(measured) == 1


def test_a_machine_without_entries_in_the_cache_is_measured_anew(tiny, measured, tmp_path):
    config, cache = tiny(recipe="paper"), tmp_path / "forms.json"
    cache.write_text(json.dumps({tuning._machine(CPU): []}))

    choose(build_trainer(config, None, CPU), config, 2, CPU, cache)

    assert len(json.loads(cache.read_text())[tuning._machine(CPU)]) == len(measured) > 0


def test_a_cache_that_cannot_be_written_is_no_error(tiny, measured, tmp_path):
    config = tiny(recipe="paper")
    (tmp_path / "file").write_text("")

    choice = choose(build_trainer(config, None, CPU), config, 2, CPU, tmp_path / "file" / "f.json")

    assert choice.layers


def test_a_run_keeps_its_choice_wherever_it_is_resumed(
    tiny, drawn, tmp_path, measured, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    config = tiny(recipe="paper", steps=2)
    run = train(config, drawn, tmp_path / "run")
    kept = RunFolder(run).forms.read_bytes()
    done = len(measured)
    tuning.cache_file().unlink()

    train(replace(config, steps=4), drawn, run, resume=True)

    assert RunFolder(run).forms.read_bytes() == kept
    assert len(measured) == done
    assert Choice.from_json(kept.decode(), run).layers["generator.head"] == PHASES


@pytest.mark.parametrize(
    "text", ["", "[]", '{"channels_last": true}', '{"layers": {"a": {"halve": "x"}}}']
)
def test_a_damaged_choice_names_the_file_and_the_way_out(tiny, tmp_path, text):
    kept = tmp_path / "forms.json"
    kept.write_text(text)
    config = tiny(recipe="paper")

    with pytest.raises(CheckpointError, match=r"forms\.json: damaged .*delete it"):
        settle(lambda: build_trainer(config, None, CPU), config, 2, CPU, kept)


def test_optimiser_states_of_another_layout_are_laid_out_like_the_weights(tiny):
    config = tiny(recipe="paper", width=2)
    real = torch.rand(2, 3, 32, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    planar = build_trainer(config, None, CPU)
    ours = build_trainer(config, None, CPU, choice=Choice(True, {}))
    planar.step(real)
    ours.load_state_dict(planar.state_dict())

    planar.step(real)
    ours.step(real)

    for one, other in zip(
        planar.networks()["generator"].parameters(),
        ours.networks()["generator"].parameters(),
        strict=True,
    ):
        if one.ndim == 5:  # others have gradients of rounding, which Adam makes large
            assert (one - other).abs().max() <= 5e-5


# The C library aligns a piece by giving away a sliver before it; while slivers of earlier pieces
# are in use, a freed piece may be a few bytes short for its successor. Ten rounds settle that.
FAULTS = """
import resource, torch
from vgan.training.process import keep_memory

def faults(rounds):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(rounds):
        maps = [torch.ones(n * 2**18) for n in (8, 16, 33)]  # MiB
        maps.clear()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

plain = faults(4)
keep_memory()
faults(40)
print(plain, faults(4))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems' allocators are left alone")
def test_memory_that_a_step_frees_stays_with_the_process():
    done = subprocess.run(
        [sys.executable, "-c", FAULTS], capture_output=True, text=True, timeout=100, check=True
    )
    plain, kept = map(int, done.stdout.split())

    assert kept < plain / 10


def test_a_run_whose_arithmetic_is_wrong_on_this_machine_is_refused(tiny, measured, monkeypatch):
    def error(layer, shape, dtype, channels_last):
        return 0.78 if (type(layer).__name__, shape[2]) == ("ShuffleConv3d", 4) else 0.004

    monkeypatch.setattr(tuning, "error_beside_float32", error)
    config = tiny("two-stream", recipe="stabilised", dtype="bfloat16")

    with pytest.raises(TrainingError, match=r"layer generator\.foreground\.2\.0 out wrongly in "
                       r"bfloat16 \(off by 78% .*: start again with --dtype float32"):  # fmt: skip
        choose(build_trainer(config, None, CPU), config, 2, CPU, None)

    config = replace(config, dtype="float32")
    assert choose(build_trainer(config, None, CPU), config, 2, CPU, None).channels_last
