from dataclasses import asdict

import pytest
import torch

from vgan.errors import CheckpointError
from vgan.training.checkpoint import save_checkpoint
from vgan.training.config import to_json
from vgan.training.folder import RunFolder, TrainingData
from vgan.training.process import arithmetic
from vgan.training.run import load_run
from vgan.training.trainers import build_trainer

CPU = torch.device("cpu")


@pytest.fixture
def new_run(tiny, tmp_path):
    """Make a run folder without checkpoints, of a two-stream network or of a config's."""

    def make(config=None) -> RunFolder:
        folder = RunFolder(tmp_path / "run")
        folder.path.mkdir()
        folder.config.write_text(to_json(config or tiny()))
        folder.write_data(TrainingData("clips", "beach", "0" * 64, 8, 20.0))
        return folder

    return make


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"not a run folder"):
        load_run(tmp_path)


def test_a_checkpoint_is_answered_with_the_folder_to_give(new_run):
    folder = new_run()
    folder.checkpoints.mkdir()
    folder.checkpoint(4).touch()

    with pytest.raises(CheckpointError, match=r"step-0000004\.pt: is a file; give the run folder"):
        load_run(folder.checkpoint(4))


def test_a_folder_of_runs_names_them(new_run):
    folder = new_run()

    with pytest.raises(CheckpointError, match=rf"not a run .*; the runs in it are {folder.path}$"):
        load_run(folder.path.parent)


def test_a_run_without_checkpoint_says_how_to_go_on(new_run):
    folder = new_run()

    with pytest.raises(CheckpointError, match=r"no checkpoint yet; .* --resume"):
        load_run(folder.path)


def test_a_loaded_run_keeps_to_one_kernel_and_training_tries_all(runs, monkeypatch):
    cudnn = torch.backends.cudnn

    def settings():
        return cudnn.benchmark, cudnn.deterministic

    monkeypatch.setattr(cudnn, "benchmark", False)
    monkeypatch.setattr(cudnn, "deterministic", False)
    load_run(runs["two-stream"])

    assert settings() == (False, True)
    with arithmetic(torch.device("cuda")):
        assert settings() == (True, False)
    assert settings() == (False, True)


def test_a_run_with_a_checkpoint_of_another_model_is_refused(new_run, tiny):
    folder = new_run()
    save_checkpoint(folder.checkpoint(3), {"config": asdict(tiny("autoencoder")), "trainer": {}})

    with pytest.raises(CheckpointError, match=r"step-0000003.pt: .* autoencoder .* two-stream"):
        load_run(folder.path)


def test_load_run_gives_the_weights_of_the_newest_checkpoint(new_run, tiny):
    config = tiny(seed=5)
    folder = new_run(config)
    trainer = build_trainer(config, None, CPU)
    for step, state in ((2, {}), (10, trainer.state_dict())):
        save_checkpoint(folder.checkpoint(step), {"config": asdict(config), "trainer": state})
    run = load_run(folder.path)
    z = torch.randn(2, config.latent, generator=torch.Generator().manual_seed(0))

    assert (run.step, run.data.fps, run.mixture) == (10, 20.0, None)
    assert torch.equal(run.network.streams(z).clip, trainer.sampler().streams(z).clip)
    assert not run.network.training


def test_an_autoencoder_without_its_mixture_says_how_to_finish(new_run, tiny):
    config = tiny("autoencoder")
    folder = new_run(config)
    state = build_trainer(config, None, CPU).state_dict()
    save_checkpoint(folder.checkpoint(1), {"config": asdict(config), "trainer": state})

    with pytest.raises(CheckpointError, match=r"no mixture fitted .* --resume"):
        load_run(folder.path)


def test_a_damaged_data_file_is_named(new_run):
    folder = new_run()
    folder.data.write_text("{}")

    with pytest.raises(CheckpointError, match=r"data.json: damaged"):
        load_run(folder.path)


def test_pruning_keeps_what_is_asked_and_sweeps_unfinished_files(new_run):
    folder = new_run()
    for step in (1, 2, 3):
        save_checkpoint(folder.checkpoint(step), {})
    (folder.checkpoints / ".step-0000004.pt.99.part").write_bytes(b"half")
    folder.prune({1, 3})

    assert folder.saved_steps() == [1, 3]
    assert len(list(folder.checkpoints.iterdir())) == 2
