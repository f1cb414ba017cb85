"""The GPU's smoke check: it asks for everything, names what fails, and a part of it on the CPU."""

import importlib.util
from argparse import Namespace
from itertools import product
from pathlib import Path

import click
import pytest

from vgan.cli import EXIT_INTERRUPTED, cli
from vgan.training.folder import RunFolder
from vgan.training.presets import MODELS, RECIPES

PATH = Path(__file__).parents[3] / "benchmarks" / "gpu" / "smoke.py"


@pytest.fixture(scope="module")
def module():
    spec = importlib.util.spec_from_file_location("smoke_check", PATH)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture
def smoke(module, tmp_path):
    args = Namespace(clips=10, width=1, batch=2, steps=2, device="cpu")
    return module.Smoke(tmp_path, args)


@pytest.fixture
def asked(module, monkeypatch):
    """Note what is asked of `vgan` and of torchrun, and do next to nothing.

    Predicting fails, and one model's clips differ from those before.
    """
    noted = []

    def main(command):
        noted.append(list(command))
        if command[0] == "generate":
            place = Path(command[command.index("--out") + 1])
            place.mkdir()
            nondeterministic = "one-stream-stabilised" in place.name
            (place / "manifest.jsonl").write_text(place.name if nondeterministic else "the same")
        if command[0] == "predict":
            raise RuntimeError("no kernel for this card")
        return EXIT_INTERRUPTED if "1000000" in command else 0

    def torchrun(command, **_):
        assert command[:5] == ["timeout", "--foreground", "--kill-after", "40", "60"]
        noted.append(command[command.index("vgan.cli") + 1 :])
        return Namespace(returncode=1, stdout="no card for rank 1")

    monkeypatch.setattr(module, "main", main)
    monkeypatch.setattr(module.subprocess, "run", torchrun)
    return noted


def test_every_model_is_trained_under_every_recipe_with_arguments_that_vgan_takes(smoke, asked):
    smoke.run()

    trained = [(command[1], *command[command.index("--recipe") + 1 :][:1]) for command in asked
               if "--recipe" in command]  # fmt: skip
    first, *others = product(MODELS, RECIPES)
    assert trained == [first, ("two-stream", "paper"), ("two-stream", "paper"), *others]
    assert "--sync-batch-norm" in asked[5]
    assert not any("--compile" in command for command in asked)
    for name, *arguments in asked:
        context = click.Context(cli)
        cli.get_command(context, name).make_context(name, arguments, parent=context)


def test_one_run_on_a_gpu_is_compiled(smoke):
    smoke.args.device = "cuda"
    made = {
        (model, recipe): smoke.training(model, recipe, smoke.folder, 2)
        for model, recipe in product(MODELS, RECIPES)
    }

    assert [run for run, command in made.items() if "--compile" in command] == [
        ("one-stream", "paper")
    ]


def test_what_fails_is_named_and_the_others_run(smoke, asked, capsys):
    smoke.run()

    assert smoke.failed == ["train, two processes", "the same bytes one-stream stabilised",
                            "predict future paper", "predict future stabilised"]  # fmt: skip
    said = capsys.readouterr().out
    assert "RuntimeError: no kernel for this card" in said
    assert "no card for rank 1" in said
    assert said.count(" ok\n") == len(asked) - 3


def test_a_run_is_stopped_by_ctrl_c_and_gone_on_with(smoke, drawn):
    smoke.clips = drawn

    smoke.stop_and_resume()

    assert smoke.failed == []
    assert len(RunFolder(smoke.folder / "stopped").saved_steps()) == 2
