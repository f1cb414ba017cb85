import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from vgan.cli import main
from vgan.data.journal import Journal
from vgan.data.manifest import ClipRecord, write_manifest
from vgan.errors import CheckpointError, UsageError
from vgan.models.discriminator import Discriminator
from vgan.models.resnet import ResNet
from vgan.representation import rows
from vgan.representation.classifier import Schedule
from vgan.representation.frame_methods import Pretraining
from vgan.representation.pretrained import load_discriminator
from vgan.representation.results import read_records
from vgan.representation.stip import BagOfWords
from vgan.representation.vgan_methods import layer4_features
from vgan.training.folder import RunFolder
from vgan.training.loop import TrainingInterrupted


@pytest.fixture(scope="module")
def paper_run(drawn, tiny, tmp_path_factory):
    """A finished run of the paper's networks at width 1."""
    from vgan.training.loop import train

    return train(
        tiny("two-stream", recipe="paper"), drawn, tmp_path_factory.mktemp("paper") / "run"
    )


@pytest.fixture
def seconds(monkeypatch):
    """A budget of seconds."""
    tiny = rows.Budget(
        fine_tuning=Schedule(epochs=1, batch=4),
        converged=Schedule(epochs=2, batch=4, enough=0.01),
        frames=Schedule(epochs=12, batch=4, learning_rate=2e-3),
        pretraining=Pretraining(steps=2, batch=8, width=2),
        bag=BagOfWords(words=20, sample=2000),
        vgan_steps=2,
    )
    monkeypatch.setattr("vgan.representation.rows.budget_of", lambda name: tiny)
    return tiny


def represent(action_folder, out, *more):
    return main(
        ["represent", *more, "--data", str(action_folder), "--width", "1", "--device", "cpu",
         "--out", str(out)]
    )  # fmt: skip


def test_every_method_writes_a_result_and_a_second_run_has_nothing_to_do(
    action_folder, paper_run, tmp_path, seconds, monkeypatch
):
    weights = tmp_path / "resnet.pth"
    torch.manual_seed(0)
    torch.save(ResNet((1, 1, 1, 1), width=4, classes=7).state_dict(), weights)
    more = ["all", "--run", str(paper_run), "--imagenet", str(weights)]

    assert represent(action_folder, tmp_path / "out", *more) == 0
    found = read_records(Journal(tmp_path / "out" / "results.jsonl"))
    assert [record.method for record in found] == list(rows.METHODS)
    assert all(record.test_videos == 4 for record in found)
    by_name = {record.method: record for record in found}
    # Going right is not going down, and descriptors of motion say so.
    assert by_name["stip"].accuracy == 1.0
    assert sum(map(sum, by_name["imagenet"].confusion)) == 4

    monkeypatch.setattr("vgan.representation.run.mark", lambda *_: pytest.fail("done again"))
    assert represent(action_folder, tmp_path / "out", *more) == 0


def test_shares_and_folds_are_tasks_of_their_own(action_folder, tmp_path, seconds):
    more = ["stip", "--folds", "2", "--fraction", "1/2", "--fraction", "1", "--seed", "3"]

    assert represent(action_folder, tmp_path, *more) == 0
    found = read_records(Journal(tmp_path / "results.jsonl"))
    assert [(r.split, r.fraction, r.train_videos) for r in found] == [
        ("fold-1", 0.5, 2), ("fold-1", 1.0, 4), ("fold-2", 0.5, 2), ("fold-2", 1.0, 4),
    ]  # fmt: skip
    assert {r.seed for r in found} == {3}


def test_groups_found_by_a_pattern_make_folds_whatever_split_would_be_drawn(
    action_folder, tmp_path, seconds
):
    videos = tmp_path / "videos"
    shutil.copytree(action_folder, videos, ignore=shutil.ignore_patterns("split.csv"))
    # With all of `right` on one side of the drawn split, which folds have no use for.
    for person in ("ann", "bob"):
        (videos / "right" / f"{person}_right.mp4").unlink()
    more = ["stip", "--folds", "2", "--group-pattern", "^([a-z]+)_"]

    assert represent(videos, tmp_path / "out", *more) == 0
    found = read_records(Journal(tmp_path / "out" / "results.jsonl"))
    assert [set(record.groups) for record in found] == [{"ann", "cat"}, {"bob", "dan"}]


def test_all_leaves_out_what_it_has_nothing_for_and_says_so(
    action_folder, tmp_path, seconds, capsys, monkeypatch
):
    monkeypatch.setattr("vgan.representation.run.measure", lambda *_: iter(()))

    assert represent(action_folder, tmp_path, "all") == 0
    said = capsys.readouterr().err
    assert "left out: vgan-finetune needs --run RUN, or --unlabelled CLIPS" in said
    assert "left out: imagenet needs --imagenet FILE" in said


def test_a_vgan_is_trained_where_only_unlabelled_clips_are_given(
    action_folder, drawn, tmp_path, seconds
):
    more = ["vgan-logistic", "--unlabelled", str(drawn)]

    assert represent(action_folder, tmp_path, *more) == 0
    assert (tmp_path / "vgan" / "config.json").is_file()
    (record,) = read_records(Journal(tmp_path / "results.jsonl"))
    assert record.settings["weights"] == load_discriminator(tmp_path / "vgan").sha256


def test_a_vgan_of_another_budget_is_not_trained_on(
    action_folder, drawn, tmp_path, seconds, monkeypatch, capsys
):
    more = ["vgan-logistic", "--unlabelled", str(drawn)]
    assert represent(action_folder, tmp_path, *more) == 0
    longer = replace(seconds, vgan_steps=3)
    monkeypatch.setattr("vgan.representation.rows.budget_of", lambda name: longer)

    assert represent(action_folder, tmp_path, *more) == 2
    assert "a run of 2 steps, and this --budget asks for 3" in capsys.readouterr().err
    assert RunFolder(tmp_path / "vgan").read_config().steps == 2


def test_results_of_other_splits_are_refused_before_a_vgan_is_trained(
    action_folder, drawn, tmp_path, seconds, capsys
):
    assert represent(action_folder, tmp_path, "stip") == 0
    more = ["vgan-logistic", "--unlabelled", str(drawn), "--folds", "2"]

    assert represent(action_folder, tmp_path, *more) == 2
    assert "holds results of other videos, labels or splits" in capsys.readouterr().err
    assert not (tmp_path / "vgan").exists()


def test_stopped_while_a_vgan_is_trained_it_says_how_this_command_goes_on(
    action_folder, drawn, tmp_path, seconds, monkeypatch, capsys
):
    def stopped(*_, **__):
        raise TrainingInterrupted("stopped at step 1 of 2; to go on: vgan train two-stream")

    monkeypatch.setattr("vgan.training.loop.train", stopped)

    assert represent(action_folder, tmp_path, "vgan-logistic", "--unlabelled", str(drawn)) == 130
    said = capsys.readouterr().err
    assert "run the same command again to go on" in said
    assert "vgan train" not in said


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["vgan-finetune"], "vgan-finetune needs --run RUN"),
        (["imagenet"], "imagenet needs --imagenet FILE"),
        (["stip", "--split", "9"], "--split 9: no such split; there are table"),
        (["stip", "--fraction", "0"], "above 0, up to 1"),
        (["stip", "--folds", "2", "--splits", "x"], "take the published splits, or make folds"),
        (["stip", "--folds", "9"], "has only 4 groups"),
    ],
)
def test_a_task_that_cannot_be_is_refused(action_folder, tmp_path, arguments, why, capsys):
    assert represent(action_folder, tmp_path, *arguments) == 2
    assert why in capsys.readouterr().err
    assert not list(tmp_path.iterdir())  # nothing was decoded or trained before


def test_a_checkpoint_of_another_width_is_named(paper_run):
    with pytest.raises(CheckpointError, match="has width 1, not 64; say --width 1"):
        load_discriminator(paper_run, width=64)


def test_a_run_without_the_paper_s_discriminator_is_refused_before_videos_are_decoded(
    action_folder, runs, tmp_path, capsys
):
    more = ["vgan-logistic", "--run", str(runs["two-stream"])]

    assert represent(action_folder, tmp_path, *more) == 1
    assert "vgan train two-stream --recipe paper" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_unlabelled_clips_of_another_size_are_refused_before_videos_are_decoded(
    action_folder, tmp_path, capsys
):
    clips = tmp_path / "clips"
    clips.mkdir()
    record = ClipRecord("all/a.mp4", "0" * 64, "real", "all", 16, 25.0, 32, 32, split="train")
    write_manifest(clips, [record])
    out = tmp_path / "out"

    assert represent(action_folder, out, "coherence-l1", "--unlabelled", str(clips)) == 1
    assert "a.mp4: has 16 frames of 32x32" in capsys.readouterr().err
    assert not out.exists()


def test_features_are_computed_once_whatever_asks_again(tmp_path):
    class Counted(Discriminator):
        calls = 0

        def features(self, clip):
            Counted.calls += 1
            return super().features(clip)

    class Windows:
        clips = np.zeros((3, 32, 64, 64, 3), np.uint8)
        owner = np.zeros(3, np.int64)

    class Data:
        windows = Windows
        device = torch.device("cpu")

    first = layer4_features(Counted(1), Data, tmp_path / "layer4.npy")
    second = layer4_features(Counted(1), Data, tmp_path / "layer4.npy")

    assert first.shape == (3, 8 * 32)
    assert Counted.calls == 1
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(("layer", "length"), [("layer1", 4), ("layer3", 16), ("layer4", 256)])
def test_features_come_out_as_a_table_of_clips(paper_run, drawn, tmp_path, layer, length):
    out = tmp_path / "features.csv"

    assert main(
        ["features", str(paper_run), str(drawn), "--layer", layer, "--out", str(out)]
    ) == 0  # fmt: skip
    with out.open() as file:
        found = list(csv.DictReader(file))
    listed = [json.loads(line) for line in (drawn / "manifest.jsonl").read_text().splitlines()]
    assert sorted(row["clip"] for row in found) == sorted(record["clip"] for record in listed)
    assert sum(name.startswith("f") and name[1:].isdigit() for name in found[0]) == length


def test_a_layer_is_averaged_over_the_quarters_of_the_picture():
    from vgan.representation.features import _layer

    torch.manual_seed(0)
    network, clip = Discriminator(2).eval(), torch.rand(1, 3, 32, 64, 64)
    maps = torch.nn.functional.leaky_relu(network.trunk[0](clip), 0.2)  # (1, 2, 16, 32, 32)
    quarters = maps.unflatten(4, (2, 16)).unflatten(3, (2, 16)).mean((2, 4, 6))  # (1, 2, 2, 2)

    assert torch.allclose(_layer(network, "layer1", clip), quarters.flatten(1), atol=1e-6)


def test_an_autoencoder_gives_its_code(runs, drawn, tmp_path):
    out = tmp_path / "codes.csv.gz"

    assert main(
        ["features", str(runs["autoencoder"]), str(drawn), "--layer", "code", "--out", str(out)]
    ) == 0  # fmt: skip
    assert out.read_bytes()[:2] == b"\x1f\x8b"


def test_unknown_layers_and_files_are_refused_before_anything_is_read(
    paper_run, drawn, tmp_path, monkeypatch
):
    from vgan.representation.features import write_features

    nowhere = tmp_path / "nowhere"
    with pytest.raises(UsageError, match="there are layer1, layer2"):
        write_features(nowhere, nowhere, "layer9", tmp_path / "f.csv")
    with pytest.raises(UsageError, match="is no autoencoder"):
        write_features(paper_run, drawn, "code", tmp_path / "f.csv")
    with pytest.raises(UsageError, match=r"name a \.csv"):
        write_features(nowhere, nowhere, "layer4", tmp_path / "f.xlsx")
    monkeypatch.setattr("vgan.representation.features.find_spec", lambda _: None)
    with pytest.raises(UsageError, match="Parquet needs pyarrow"):
        write_features(nowhere, nowhere, "layer4", tmp_path / "f.parquet")
