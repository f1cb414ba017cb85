import numpy as np
import pytest
import torch

from vgan.data.dataset import ClipDataset
from vgan.data.manifest import ClipRecord, Origin
from vgan.errors import CheckpointError, UsageError
from vgan.figures import ranking as ranking_room
from vgan.figures.highlight import heat_over_pixels, highlighted
from vgan.figures.layers import Axis, Layer, clip_layers, load_looker
from vgan.figures.ranking import TopClips, rank_units
from vgan.models.discriminator import Discriminator
from vgan.models.small import SmallDiscriminator

CPU = torch.device("cpu")


def records(videos) -> list[ClipRecord]:
    return [
        ClipRecord(f"{i}.mp4", "", "real", "beach", 2, 20.0, 4, 4, origin=Origin(video))
        for i, video in enumerate(videos)
    ]


def brightness(units: int = 2) -> Layer:
    """Unit 0 is the red of a clip, unit 1 its green, at every pixel; others never change."""

    def maps(clips):
        return torch.cat([clips[:, :2], torch.zeros(len(clips), units - 2, *clips.shape[2:])], 1)

    return Layer("colours", units, (Axis(), Axis(), Axis()), maps)


def lit(places) -> np.ndarray:
    """Clips with one red pixel each, as bright as stated."""
    clips = np.zeros((len(places), 2, 4, 4, 3), np.uint8)
    for number, level in enumerate(places):
        clips[number, 1, 2, 3, 0] = level
    return clips


def test_clips_are_ranked_by_their_highest_activation():
    data = ClipDataset(lit([10, 250, 30, 200]), records("abcd"), [])
    found = rank_units(brightness(), data, 3, CPU, progress=False)

    assert found.clips[0].tolist() == [1, 3, 2]
    assert found.peaks[0] == pytest.approx(np.array([250, 200, 30]) / 127.5 - 1)


def test_ranking_does_not_depend_on_how_many_clips_are_looked_at_together(monkeypatch):
    rng = np.random.default_rng(0)
    data = ClipDataset(
        rng.integers(0, 256, (50, 2, 4, 4, 3), np.uint8), records(map(str, range(50))), []
    )
    whole = rank_units(brightness(), data, 4, CPU, progress=False)
    monkeypatch.setattr(ranking_room, "BATCH", 7)
    parts = rank_units(brightness(), data, 4, CPU, progress=False)

    assert (whole.clips == parts.clips).all()
    assert whole.selectivity[:2] == pytest.approx(parts.selectivity[:2])


def test_memory_holds_a_few_clips_per_unit_however_many_there_are():
    best = TopClips(3, 5)
    for _ in range(40):
        best.add(np.random.default_rng(0).random((16, 3)))

    assert best.peaks.shape == best.clips.shape == (3, 5)
    assert best.seen == 640


def test_selectivity_is_the_top_over_the_mean_in_standard_deviations():
    peaks = np.array([[0.0], [0.0], [0.0], [4.0]])
    best = TopClips(1, 4)
    best.add(peaks)

    expected = (4 - peaks.mean()) / peaks.std()
    assert best.ranking(1, "abcd").selectivity[0] == pytest.approx(expected)


def test_units_are_ordered_by_selectivity_and_dead_ones_come_last():
    clips = lit([0, 0, 0, 255])
    clips[:2, :, :, :, 1] = 255  # green: half of the clips, so less selective than red
    data = ClipDataset(clips, records("abcd"), [])
    found = rank_units(brightness(3), data, 1, CPU, progress=False)

    assert found.order() == [0, 1, 2]
    assert np.isnan(found.selectivity[2])


def test_clips_of_one_video_do_not_crowd_out_others():
    data = ClipDataset(lit([250, 240, 230, 60]), records("aaab"), [])

    assert rank_units(brightness(), data, 2, CPU, progress=False).clips[0].tolist() == [0, 3]


def test_receptive_fields_of_the_papers_layers_are_known():
    # k4 s2 p1 four times: 4, 10, 22 and 46 pixels, centres 2, 4, 8 and 16 apart.
    layers = clip_layers(Discriminator(2))

    assert list(layers) == ["layer1", "layer2", "layer3", "layer4"]
    assert [layer.axes[1].field for layer in layers.values()] == [4, 10, 22, 46]
    assert [layer.axes[2].step for layer in layers.values()] == [2, 4, 8, 16]
    assert [layer.axes[0].first for layer in layers.values()] == [0.5, 1.5, 3.5, 7.5]
    assert [layer.units for layer in layers.values()] == [2, 4, 8, 16]


@pytest.mark.parametrize("name", ["motion1", "motion2", "picture2"])
def test_a_cell_sees_its_receptive_field_and_nothing_else(name):
    torch.manual_seed(0)
    layer = clip_layers(SmallDiscriminator(2).eval())[name]
    clip = torch.zeros(1, 3, 32, 64, 64)
    before = layer.maps(clip)
    clip[0, :, 13, 30, 41] = 1
    changed = (layer.maps(clip) - before).abs().amax((0, 1)) > 1e-6
    seen = []
    for axis, cells, place in zip(layer.axes, changed.shape, (13, 30, 41), strict=True):
        centres = axis.first + axis.step * np.arange(cells)
        seen.append(np.abs(centres - place) <= (axis.field - 1) / 2)

    assert changed.any()
    assert (changed.numpy() == seen[0][:, None, None] & seen[1][:, None] & seen[2]).all()


def test_an_activation_stands_where_its_cell_looks():
    activation = np.zeros((1, 4, 4), np.float32)
    activation[0, 1, 2] = 1
    axis = Axis().after(4, 2, 1)  # centres at 0.5, 2.5, 4.5, 6.5
    heat = heat_over_pixels(activation, (Axis(), axis, axis), (3, 8, 8))

    assert heat.shape == (3, 8, 8)
    assert np.unravel_index(heat[0].argmax(), (8, 8)) == (2, 4)
    assert heat[0, 2, 4] == pytest.approx(0.75**2)  # a quarter of a step from the centre
    assert heat[0, 2:4, 4:6] == pytest.approx(np.full((2, 2), 0.75**2))
    assert heat[0, 6:, :2].max() == 0


def test_where_a_unit_is_active_the_frame_is_as_it_was_and_dark_elsewhere():
    heat = np.zeros((8, 8))
    heat[:, 4:] = 1
    shown = highlighted(np.full((8, 8, 3), 100, np.uint8), heat, 0.5, 2)

    assert (shown[4:12, 12:15] == 100).all()
    assert (shown[:, :6] == 30).all()
    assert (shown == (255, 221, 0)).all(2).any()
    assert (highlighted(np.full((8, 8, 3), 100, np.uint8), heat, np.inf, 1) == 30).all()


def test_runs_are_looked_at_by_their_discriminator_or_encoder(runs):
    found = {model: load_looker(path, CPU) for model, path in runs.items()}

    assert found["autoencoder"].part == "encoder"
    assert found["autoencoder"].default == "layer3"
    assert found["one-stream"].part == "discriminator"
    assert found["one-stream"].default == "motion3"


def test_an_unknown_layer_is_refused_with_those_there_are(runs):
    with pytest.raises(UsageError, match=r"'layer9'; there are layer1, layer2, layer3, layer4"):
        load_looker(runs["autoencoder"], CPU).layer("layer9")


def test_a_run_without_a_checkpoint_is_refused(runs, tmp_path):
    for name in ("config.json", "data.json"):
        (tmp_path / name).write_text((runs["two-stream"] / name).read_text())

    with pytest.raises(CheckpointError, match="no checkpoint yet"):
        load_looker(tmp_path, CPU)


def test_every_layer_gives_a_map_per_unit(runs):
    looker = load_looker(runs["two-stream"], CPU)

    for layer in looker.layers.values():
        assert layer.maps(torch.zeros(1, 3, 32, 64, 64)).shape[1] == layer.units
