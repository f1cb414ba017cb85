import json

import pytest
import torch
from torch import nn

from vgan.data.dataset import open_dataset, to_model_range
from vgan.data.scenes import read_mask
from vgan.errors import UsageError
from vgan.metrics import rebuild as rebuilding
from vgan.metrics.report import REBUILT_CLIPS, as_text, measure_run, to_json
from vgan.models.layers import Streams
from vgan.training.checkpoint import load_run


@pytest.fixture
def measures(runs, monkeypatch):
    monkeypatch.setattr(rebuilding, "STEPS", 2)
    monkeypatch.setattr(rebuilding, "CANDIDATES", 8)
    return lambda model, **asked: {m.name: m for m in measure_run(runs[model], n=3, **asked)}


def test_drawn_scenes_have_a_still_background_and_generated_ones_a_measured_one(measures):
    row = measures("two-stream")["background motion"]

    assert row.real == pytest.approx(0, abs=1e-3)
    assert row.generated > 0


def test_a_one_stream_run_has_no_mask_to_measure(measures):
    rows = measures("one-stream")

    assert rows["background motion"].generated is None
    assert rows["mask mean"].generated is None
    assert rows["motion"].generated >= 0
    assert "mask against truth" not in rows


def test_an_autoencoder_is_scored_against_the_truth_by_what_it_rebuilds(measures):
    rows = measures("autoencoder")

    assert 0 <= rows["mask against truth"].generated <= 1
    assert 0 < rows["rebuilding error"].generated < 1


def test_a_network_that_rebuilds_with_the_true_mask_scores_one(measures, drawn, monkeypatch):
    real = open_dataset(drawn, "beach", "test", progress=False)
    truth = [read_mask(drawn, record.clip) for record in real.records[:REBUILT_CLIPS]]
    masks = torch.stack([torch.from_numpy(mask).float() for mask in truth])[:, None]

    def perfect(_network, clips, _latent):
        return Streams(clips, clips, masks, clips[:, :, :1])

    monkeypatch.setattr("vgan.metrics.report.rebuild", perfect)
    rows = measures("two-stream")

    assert rows["mask against truth"].generated == 1
    assert rows["rebuilding error"].generated == 0


def test_a_missing_measure_is_a_dash_in_text_and_null_in_json(measures):
    rows = list(measures("one-stream").values())

    line = next(line for line in as_text(rows).splitlines() if line.startswith("mask mean"))
    raw = next(row for row in json.loads(to_json(rows)) if row["name"] == "mask mean")
    assert line.split()[2] == "-"
    assert raw["generated"] is None


def test_one_clip_is_refused(runs):
    with pytest.raises(UsageError, match="at least 2"):
        measure_run(runs["two-stream"], n=1)


class Painter(nn.Module):
    """Shows its latent's first number as the grey of a clip."""

    def streams(self, z):
        return Streams(torch.tanh(z[:, :1, None, None, None]).expand(-1, 3, 4, 8, 8))


def test_rebuilding_finds_the_latent_of_a_clip():
    wanted = torch.tensor([[0.4], [-0.6]])
    clips = Painter().streams(wanted).clip
    found = rebuilding.rebuild(Painter(), clips, 1)

    assert (found.clip - clips).abs().max() < 0.02


def test_rebuilding_by_an_autoencoder_is_decoding_its_code(runs, drawn):
    network = load_run(runs["autoencoder"]).network
    clips = open_dataset(drawn, "beach", "test", progress=False).clips[:1]
    clip = to_model_range(torch.from_numpy(clips.copy()))

    expected = network.streams(network.encode(clip)).clip
    assert torch.equal(rebuilding.rebuild(network, clip, 100).clip, expected)
