from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Compute on one thread, here and in subprocesses: sums depend on how many there are."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def drawn(tmp_path_factory) -> Path:
    """A folder of ten drawn beach clips, eight of them for training."""
    from vgan.data.scenes import draw_scenes

    folder = tmp_path_factory.mktemp("drawn")
    draw_scenes(folder, clips=10, seed=0, categories=["beach"], progress=False)
    return folder


@pytest.fixture(scope="session")
def tiny():
    """Settings of a run that takes a second: `tiny(model, **overrides)`."""
    from vgan.training.config import resolve_config

    def settings(model="two-stream", **overrides):
        # Stabilised, whose clips differ after a step; without averaged weights, whose statistics
        # take longer than the run.
        recipe = overrides.pop("recipe", "stabilised")
        defaults = {"ema": 0.0, "category": "beach", "width": 1, "batch": 2, "dtype": "float32"}
        defaults |= {"steps": 4, "checkpoint_every": 2, "sample_every": 4, "log_every": 1}
        return resolve_config(model, "small", recipe, **defaults | overrides)

    return settings


@pytest.fixture(scope="session")
def runs(drawn, tiny, tmp_path_factory) -> dict[str, Path]:
    """A finished tiny run of each model."""
    from vgan.training.loop import train
    from vgan.training.presets import MODELS

    folder = tmp_path_factory.mktemp("runs")
    return {model: train(tiny(model), drawn, folder / model) for model in MODELS}
