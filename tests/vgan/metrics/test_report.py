import itertools
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from vgan.data.dataset import open_dataset, to_model_range
from vgan.data.listing import SHARDS_NAME
from vgan.data.manifest import ClipRecord, Origin, read_manifest, write_manifest
from vgan.data.scenes import draw_scenes, read_mask
from vgan.data.videos import write_clip
from vgan.errors import DataError, UsageError
from vgan.metrics import rebuild as rebuilding
from vgan.metrics.comparison import (
    PAIRED_CLIPS,
    Side,
    frechet_measure,
    look_measures,
    memory_measures,
)
from vgan.metrics.embedding import Embedder
from vgan.metrics.report import measure_run, measure_runs
from vgan.metrics.tables import as_text, to_json
from vgan.models.layers import Streams
from vgan.training.run import load_run


@pytest.fixture
def measures(runs, monkeypatch):
    monkeypatch.setattr(rebuilding, "STEPS", 2)
    monkeypatch.setattr(rebuilding, "CANDIDATES", 8)
    return lambda model, **asked: {
        m.name.split(" (")[0]: m for m in measure_run(runs[model], n=3, **asked).measures
    }


def test_drawn_scenes_have_a_still_background_and_generated_ones_a_measured_one(measures):
    row = measures("two-stream")["background motion"]

    assert row.real.value == pytest.approx(0, abs=1e-3)
    assert row.generated.value > 0


def test_a_one_stream_run_has_no_mask_to_measure(measures):
    rows = measures("one-stream")

    assert rows["background motion"].generated is None
    assert rows["mask mean"].generated is None
    assert rows["mask mean"].note == "generated: there are no masks"
    assert rows["motion"].generated.value >= 0
    assert "mask against truth" not in rows


def test_an_autoencoder_is_scored_against_the_truth_by_what_it_rebuilds(measures):
    rows = measures("autoencoder")

    assert 0 <= rows["mask against truth"].generated.value <= 1
    assert 0 < rows["rebuilding error"].generated.value < 1


def test_a_network_that_rebuilds_with_the_true_mask_scores_one_however_bright(
    measures, drawn, monkeypatch
):
    real = open_dataset(drawn, "beach", "test", progress=False)
    truth = [read_mask(drawn, record.clip) for record in real.records]
    masks = torch.stack([torch.from_numpy(mask).float() for mask in truth])[:, None]

    def too_bright(_network, clips, _latent):
        return Streams(clips + 0.5, clips, masks, clips[:, :, :1])

    monkeypatch.setattr("vgan.metrics.report.rebuild", too_bright)
    rows = measures("two-stream")

    assert rows["mask against truth"].generated.value == 1
    assert rows["rebuilding error"].generated.value == pytest.approx(0.25)  # of a range of 2


def test_the_clips_that_are_rebuilt_are_spread_over_the_split(
    measures, runs, tmp_path, monkeypatch
):
    draw_scenes(tmp_path, clips=20, seed=3, categories=["beach"], progress=False)
    real = open_dataset(tmp_path, "beach", "test", progress=False)
    given = []

    def kept(_network, clips, _latent):
        given.append(clips)
        return Streams(clips, clips, torch.zeros_like(clips[:, :1]), clips[:, :, :1])

    monkeypatch.setattr("vgan.metrics.report.rebuild", kept)
    monkeypatch.setattr("vgan.metrics.report.REBUILT_CLIPS", 2)
    measures("two-stream", data=tmp_path)

    assert len(real) == 4
    assert torch.equal(given[0], to_model_range(torch.from_numpy(real.clips[[0, 3]])))


@pytest.fixture
def two_videos(tmp_path):
    """Six test clips of a dark video, then six of a bright one."""
    rng = np.random.default_rng(0)
    records = []
    for video, level in (("dark", 40), ("light", 200)):
        for place in range(6):
            frames = level + rng.integers(-6, 7, (32, 64, 64, 3))
            clip = f"beach/{video}-{place}.mp4"
            checksum = write_clip(tmp_path / clip, frames.astype(np.uint8), 20.0)
            origin = Origin(f"{video}.mp4", 32 * place)
            records.append(
                ClipRecord(clip, checksum, "real", "beach", 32, 20.0, 64, 64, origin=origin,
                           split="test")
            )  # fmt: skip
    write_manifest(tmp_path, records)
    return tmp_path


def test_real_clips_are_of_all_videos_and_not_of_the_first(runs, two_videos):
    measures = measure_run(runs["one-stream"], two_videos, n=4).measures
    diversity = next(m for m in measures if m.name == "diversity").real

    assert diversity.n == 4
    assert diversity.value > 0.3


def test_diversity_is_of_clips_from_everywhere():
    clips = np.zeros((2 * PAIRED_CLIPS, 2, 4, 4, 3), np.uint8)
    clips[PAIRED_CLIPS:] = 255
    many = Side(clips, None, [str(i) for i in range(len(clips))])
    row = next(m for m in look_measures(many, many, 0) if m.name == "diversity")

    assert row.real.n == PAIRED_CLIPS
    assert row.real.value == pytest.approx(0.5, abs=0.01)


def test_a_dot_that_its_mask_follows_over_a_still_picture_has_known_measures():
    clips, masks = np.full((2, 5, 8, 8, 3), 40, np.uint8), np.zeros((2, 5, 8, 8), bool)
    clips[:, np.arange(5), 3, np.arange(5)] = 91  # a fifth of the full range brighter
    masks[:, np.arange(5), 3, np.arange(5)] = True
    dot = Side(clips, masks, ["a", "b"])
    found = {m.name: (m.generated.value, m.real.value) for m in look_measures(dot, dot, 0)}

    assert found["motion"] == pytest.approx((2 / 5 / 64,) * 2)  # two pixels of 64 in each step
    assert found["flicker"] == found["background motion"] == found["diversity"] == (0, 0)
    assert found["mask mean"] == pytest.approx((1 / 64,) * 2)
    assert found["mask against motion"] == (1, 1)


def test_the_interval_of_diversity_is_over_videos_and_no_clip_is_compared_with_itself():
    levels = np.array([0, 85, 170, 255], np.uint8)
    clips = np.broadcast_to(levels[:, None, None, None, None], (4, 2, 4, 4, 3))
    side_of = Side(clips, None, ["a", "a", "b", "c"])
    found = next(m for m in look_measures(side_of, side_of, 0) if m.name == "diversity").real
    apart = np.abs(levels[:, None] - levels.astype(float)) / 255
    # Every draw of three of the videos, but those of one video of one clip.
    of_draws = []
    for drawn in itertools.product(((0, 1), (2,), (3,)), repeat=3):
        seen = itertools.chain(*drawn)
        pairs = [apart[i, j] for i, j in itertools.combinations(seen, 2) if i != j]
        of_draws += [np.mean(pairs)] if pairs else []

    assert found.value == pytest.approx((3 * 1 / 3 + 2 * 2 / 3 + 1) / 6)
    half = 4.3027 * np.std(of_draws) * (3 / 2) ** 0.5  # t(2)
    assert found.interval.high - found.value == pytest.approx(half, rel=0.1)


def test_every_missing_measure_says_why():
    still, moving = np.zeros((2, 1, 4, 8, 8, 3), np.uint8)
    moving[:, 2:] = 255
    nothing, everything = np.zeros((2, 1, 4, 8, 8), bool)
    everything[:] = True
    generated, real = Side(still, nothing, ["a"]), Side(moving, everything, ["b"])
    rows = {m.name: m for m in look_measures(generated, real, 0)}

    assert rows["background motion"].note == "real: the masks leave no background"
    assert rows["mask against motion"].note == "generated: the masks are empty and nothing moves"
    assert rows["diversity"].note == "generated: needs 2 clips; real: needs 2 clips"
    assert all(m.note for m in rows.values() if m.generated is None or m.real is None)
    bare = {m.name: m.note for m in look_measures(generated, Side(moving, None, ["b"]), 0)}
    assert bare["mask mean"] == "real: there are no masks"


def test_a_missing_measure_is_a_dash_in_text_and_null_in_json(runs):
    found = measure_runs((runs["one-stream"],), n=3)

    line = next(line for line in as_text(found).splitlines() if line.startswith("mask mean"))
    raw = next(row for row in json.loads(to_json(found)) if row["name"] == "mask mean")
    assert line.split()[2] == "-"
    assert raw["generated"] is None
    assert raw["run"] == "one-stream"


def test_runs_stand_beside_each_other_with_the_real_clips_last(runs, monkeypatch):
    monkeypatch.setattr(rebuilding, "STEPS", 1)
    monkeypatch.setattr(rebuilding, "CANDIDATES", 8)
    text = as_text(measure_runs((runs["one-stream"], runs["two-stream"]), n=4))
    header = next(line for line in text.splitlines() if line.startswith("measure"))
    flicker = next(line for line in text.splitlines() if line.startswith("flicker"))

    assert header.split() == ["measure", "one-stream", "two-stream", "real"]
    assert flicker.split()[1] != "-"
    assert text.count("step 4, training seed 0, latents' seed 0") == 2
    assert "Fréchet distance (random-conv-32; 4 against 2 clips" in text
    assert "\n  ! needs 8 clips on either side" in text
    assert text.count("\n  ! one-stream: generated: there are no masks") == 3


def test_only_runs_of_the_same_training_clips_share_a_column_of_real_ones(
    runs, drawn, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    other, run = tmp_path / "elsewhere", tmp_path / "run"
    shutil.copytree(drawn, other)
    shutil.copytree(runs["one-stream"], run)
    data = run / "data.json"
    data.write_text(data.read_text().replace(str(drawn), str(other)))
    of_one, of_two = (
        as_text(measure_runs((runs["one-stream"], second), drawn, n=3))
        for second in (runs["one-stream"], run)
    )

    assert of_one.count("\nreal: ") == 1
    for folder in (drawn, "elsewhere"):  # from here, where it is below
        assert f"real: {drawn}, beach; training clips: {folder}\n" in of_two


def side(features: np.ndarray, groups=None) -> Side:
    """Clips that are their own features: the embedder below reads them back."""
    clips = np.zeros((len(features), 2, 16, 16, 3), np.uint8)
    clips[:, :, 0, 0] = features[:, None]
    return Side(clips, None, groups or [str(i) for i in range(len(features))])


CORNER = Embedder("corner", None, None, lambda clips: 127.5 * clips[:, :, 0, 0, 0])


def test_frechet_distance_stands_beside_that_of_as_many_training_clips():
    rng = np.random.default_rng(0)
    real, training = (side(rng.integers(80, 120, (40, 3))) for _ in range(2))
    generated = side(rng.integers(80, 120, (20, 3)) + 60)
    row = frechet_measure(generated, training, real, CORNER, 0, torch.device("cpu"))

    assert row.name.startswith("Fréchet distance (corner; 20 against 40 clips of 2 frames")
    assert row.generated.value == pytest.approx(3 * 60**2, rel=0.1)
    assert row.generated.interval.low < row.generated.value < row.generated.interval.high
    assert row.real.n == 20
    assert row.real.value < 0.02 * row.generated.value
    assert row.note == ""


def test_a_frechet_distance_under_its_floor_is_not_left_to_be_taken_for_better_than_real():
    rng = np.random.default_rng(0)
    generated, training, real = (
        side(rng.integers(80, 120, (20, 3)) + shift) for shift in (0, 60, 0)
    )
    of_two_videos = replace(real, groups=["a"] * 10 + ["b"] * 10)
    row = frechet_measure(generated, training, of_two_videos, CORNER, 0, torch.device("cpu"))

    assert row.generated.value < row.real.value
    assert row.note.startswith("under its floor, which makes it no better than real: held-out ")
    assert "of 2 videos" in row.note


def test_fewer_training_clips_than_generated_ones_give_no_floor():
    rng = np.random.default_rng(0)
    generated, training, real = (side(rng.integers(80, 120, (n, 3))) for n in (20, 19, 40))
    row = frechet_measure(generated, training, real, CORNER, 0, torch.device("cpu"))

    assert row.generated.n == 20
    assert row.real is None
    assert row.note == "the floor needs 20 training clips, there are 19"
    row = frechet_measure(generated, None, real, CORNER, 0, torch.device("cpu"))
    assert row.note == "no floor: the training clips are not at hand"


@pytest.mark.parametrize(
    ("generated", "held_out", "shrunk"), [(8, 30, True), (30, 20, True), (21, 21, False)]
)
def test_frechet_distance_of_no_more_clips_than_dimensions_says_so(generated, held_out, shrunk):
    rng = np.random.default_rng(0)
    wide = Embedder("wide", None, None, lambda c: c[:, :, 0].flatten(1)[:, :20] * 127.5)
    sides = [side(rng.integers(0, 200, (n, 3))) for n in (generated, generated, held_out)]
    row = frechet_measure(*sides, wide, 0, torch.device("cpu"))

    assert ("shrunk (Ledoit-Wolf)" in row.note) == shrunk
    assert np.isfinite(row.generated.value)
    assert row.real.n == generated  # no more training clips than generated ones are enough


@pytest.mark.parametrize("still", ["generated", "held out"])
def test_the_interval_of_a_frechet_distance_is_of_other_clips_on_either_side(still):
    rng = np.random.default_rng(0)
    alike, differing = side(np.full((20, 3), 200)), side(rng.integers(80, 120, (20, 3)))
    generated, real = (alike, differing) if still == "generated" else (differing, alike)
    of_two_videos = replace(real, groups=["a"] * 10 + ["b"] * 10)
    found, few = (
        frechet_measure(generated, None, held_out, CORNER, 0, torch.device("cpu")).generated
        for held_out in (real, of_two_videos)
    )

    # Means of 20 numbers of 0 to 40 move by 2.6, and 100 squared by 5 % for each: more than 2 %.
    assert found.interval.high - found.value > 0.02 * found.value
    assert few.interval is None


def test_a_generator_that_repeats_its_training_clips_is_found_out():
    rng = np.random.default_rng(0)
    # Eight frames of 16x16 noise: every clip is about as far from every other.
    kinds = {n: rng.integers(0, 256, (n, 8, 16, 16, 3), np.uint8) for n in (40, 30)}
    training, held_out = (
        Side(clips, None, [str(i) for i in range(n)]) for n, clips in kinds.items()
    )
    copies = Side(training.clips[:10], None, [str(i) for i in range(10)])
    rows, near, _ = memory_measures(copies, training, held_out, 0)
    found = {row.name: row for row in rows}

    assert near.clips.tolist() == list(range(10))
    assert found["nearest training clip"].generated.value == 0
    assert found["nearest training clip"].real.value > 0.3
    assert found["nearest over next"].generated.value == 0
    assert found["nearest over next"].real.value > 0.9
    assert found["near copies"].generated.value == 1
    assert found["near copies"].real.value < 0.1

    one_video = Side(training.clips, None, ["a"] * 40)
    rows, _, _ = memory_measures(copies, one_video, held_out, 0)
    assert [row.note for row in rows] == ["", *["the training clips are of one video"] * 2]


def test_without_the_training_clips_their_rows_are_left_out_and_that_is_said(
    runs, drawn, tmp_path, caplog
):
    shutil.copytree(runs["one-stream"], tmp_path / "run")
    data = tmp_path / "run/data.json"
    data.write_text(data.read_text().replace(str(drawn), str(tmp_path / "gone")))
    found = measure_run(tmp_path / "run", drawn, n=3)

    assert not any(m.name.startswith("nea") for m in found.measures)
    assert found.generated is None
    assert "not here; no nearest clips" in caplog.text
    with pytest.raises(DataError, match=r"gone: the run's clips are no longer there; .* --data"):
        measure_run(tmp_path / "run", n=3)


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


def test_a_folder_that_has_grown_does_not_pass_for_the_training_clips_nor_is_it_decoded(
    runs, drawn, tmp_path, caplog, monkeypatch
):
    grown, run = tmp_path / "grown", tmp_path / "run"
    shutil.copytree(drawn, grown)
    shutil.copytree(runs["one-stream"], run)
    data = run / "data.json"
    data.write_text(data.read_text().replace(str(drawn), str(grown)))
    open_dataset(grown, "beach", "test", progress=False)
    records = read_manifest(grown)
    first = next(record for record in records if record.split == "train")
    shutil.copy(grown / first.clip, grown / "beach/new.mp4")
    write_manifest(grown, [*records, replace(first, clip="beach/new.mp4")])

    monkeypatch.setattr("vgan.data.dataset.read_video", lambda _path: pytest.fail("decoded"))
    found = measure_run(run, n=3)

    assert not any(m.name.startswith("nea") for m in found.measures)
    assert found.generated is None
    assert "are no longer those of the training; no nearest clips" in caplog.text


def test_training_clips_that_can_be_read_no_longer_do_not_pass_for_those_of_the_training(
    runs, drawn, tmp_path, caplog
):
    damaged, run = tmp_path / "damaged", tmp_path / "run"
    shutil.copytree(drawn, damaged, ignore=shutil.ignore_patterns(SHARDS_NAME))
    shutil.copytree(runs["one-stream"], run)
    data = run / "data.json"
    data.write_text(data.read_text().replace(str(drawn), str(damaged)))
    first = next(record for record in read_manifest(damaged) if record.split == "train")
    (damaged / first.clip).write_bytes(b"")

    assert measure_run(run, n=3).generated is None
    assert "are no longer those of the training; no nearest clips" in caplog.text
