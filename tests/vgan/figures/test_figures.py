import json

import numpy as np
import pytest
import torch
from PIL import Image

from vgan.cli import main
from vgan.clips_in_memory import run_names, sample
from vgan.data.manifest import ClipRecord, Origin, write_manifest
from vgan.data.videos import read_video, write_clip
from vgan.errors import CheckpointError, DataError, UsageError
from vgan.figures import gallery as gallery_room
from vgan.figures.future import draw_future, future_of
from vgan.figures.gallery import build_gallery
from vgan.figures.nearest import nearest_blocks
from vgan.figures.samples import draw_samples, samples_of
from vgan.figures.streams import draw_streams, streams_of
from vgan.figures.units import draw_units
from vgan.generated_folder import order_clips
from vgan.metrics import rebuild
from vgan.metrics.nearest import nearest_clips
from vgan.metrics.report import NearestPairs, RunMeasures
from vgan.prediction import picture_digest
from vgan.sampling import generate
from vgan.training.run import load_run

CPU = torch.device("cpu")


def pixels(path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def test_samples_in_memory_are_those_that_are_written(runs, tmp_path):
    run = runs["two-stream"]
    made = sample(load_run(run), 2, 5, CPU, streams=True)
    generate(order_clips(run, tmp_path, 2, 5))

    for number in range(2):
        assert (read_video(tmp_path / f"beach/0000{number}.mp4").frames == made.clips[number]).all()
    assert made.masks.shape == (2, 32, 64, 64)
    assert made.foregrounds.shape == made.clips.shape
    assert made.backgrounds.shape == (2, 64, 64, 3)


def test_samples_are_a_strip_an_animation_a_film_and_a_page_that_say_what_they_show(runs, tmp_path):
    run = (runs["one-stream"],)
    paths = draw_samples(run, tmp_path, n=2, seed=7, frames=(1, 32), device=CPU)
    page = (tmp_path / "samples.html").read_text()

    assert sorted(path.name for path in paths) == [
        "samples-one-stream.mp4", "samples-one-stream.png", "samples-one-stream.webp",
        "samples.html",
    ]  # fmt: skip
    assert len(read_video(tmp_path / "samples-one-stream.mp4").frames) == 32
    assert "vgan-one-stream, beach: step 4, training seed 0, latents&#39; seed 7" in page
    assert "http" not in page  # nothing from elsewhere
    assert not list(tmp_path.glob(".*"))


def test_the_same_seed_draws_the_same_picture_and_another_another(runs):
    run = load_run(runs["two-stream"])
    first, again, other = (samples_of(run, "x", 1, seed, (1,), CPU, factor=1) for seed in (1, 1, 2))

    assert (first.still == again.still).all()
    assert np.array_equal(first.moving, again.moving)
    assert not np.array_equal(first.still, other.still)


def test_streams_stand_side_by_side_and_one_stream_says_it_has_none(runs, tmp_path):
    two = streams_of(load_run(runs["two-stream"]), "two", 2, 0, CPU, factor=1)
    one = streams_of(load_run(runs["one-stream"]), "one", 2, 0, CPU, factor=1)
    draw_streams((runs["one-stream"],), tmp_path, n=1, device=CPU)

    assert two.still.shape[1] > 9 * 64  # foreground, mask and clip thrice, background once
    assert "no foreground" not in two.caption
    assert "no foreground, mask or background" in one.caption
    assert "no foreground, mask or background" in (tmp_path / "streams.html").read_text()


def test_runs_of_one_name_are_told_apart_by_their_folders(tmp_path):
    runs = tuple(tmp_path / category / "two-stream" for category in ("beach", "golf"))

    assert run_names(runs) == ["beach-two-stream", "golf-two-stream"]
    assert run_names(runs[:1]) == ["two-stream"]


def test_figures_of_a_run_without_a_checkpoint_write_nothing(runs, tmp_path):
    for name in ("config.json", "data.json"):
        (tmp_path / name).write_text((runs["two-stream"] / name).read_text())

    with pytest.raises(CheckpointError, match="no checkpoint yet"):
        draw_samples((tmp_path,), tmp_path / "out", device=CPU)
    assert not (tmp_path / "out").exists()


def test_units_show_the_clips_of_the_ranking_for_the_units_asked_for(runs, tmp_path):
    draw_units((runs["two-stream"],), tmp_path, layer="picture2", units=[1, 0], top=2, device=CPU)
    rows = {
        r["unit"]: r for r in json.loads((tmp_path / "units-two-stream-picture2.json").read_text())
    }
    page = (tmp_path / "units-two-stream-picture2.html").read_text()

    assert set(rows) == {0, 1}
    assert page.index("unit 1:") < page.index("unit 0:")
    assert rows[1]["clips"][0] in page
    assert page.count("data:image/png") == page.count("data:image/webp") == 2
    assert rows[0]["peaks"] == sorted(rows[0]["peaks"], reverse=True)
    assert (tmp_path / "units-two-stream-picture2.png").is_file()


def test_an_unknown_unit_is_refused_with_those_there_are(runs, tmp_path):
    with pytest.raises(UsageError, match="motion1 has no unit 7; its units are 0 to 0"):
        draw_units((runs["two-stream"],), tmp_path, layer="motion1", units=[7], device=CPU)
    assert not list(tmp_path.iterdir())


def test_units_of_clips_of_another_size_are_refused(runs, tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8)
    write_clip(tmp_path / "beach/a.mp4", frames, 20.0)

    with pytest.raises(DataError, match="32x32"):
        draw_units((runs["two-stream"],), tmp_path / "out", data=tmp_path, device=CPU)


def test_a_future_run_predicts_test_clips_and_shows_what_happened(runs, tmp_path):
    draw_future((runs["future"],), tmp_path, n=2, device=CPU)
    page = (tmp_path / "future.html").read_text()

    assert "from the first frames of 2 clips that were not trained on" in page
    assert len(read_video(tmp_path / "future-future.mp4").frames) == 32


@pytest.mark.parametrize("origin", ["sea.png", "videos/sea.mp4"])
def test_a_folder_of_predictions_is_shown_with_the_very_pictures_where_they_are(
    tmp_path, caplog, origin
):
    picture = np.full((64, 64, 3), 200, np.uint8)
    clip = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), np.uint8)
    places = {name: tmp_path / name for name in ("originals", "clips", "others")}
    # The picture is the third frame of the original, or the first of the clip cut from there.
    write_clip(places["originals"] / "videos/sea.mp4", np.stack([clip[0], clip[1], picture]), 20.0)
    write_clip(places["clips"] / "all/sea.mp4", np.stack([picture, clip[0]]), 20.0)
    places["others"].mkdir()
    for name, shown in (("originals", picture), ("others", clip[0])):
        Image.fromarray(shown).save(places[name] / "sea.png")
    digest = write_clip(tmp_path / "made/all/sea.mp4", clip, 20.0)
    record = ClipRecord("all/sea.mp4", digest, "future", "all", 4, 20.0, 64, 64,
                        origin=Origin(origin, 2 * origin.endswith("mp4")),
                        extra={"picture_sha256": picture_digest(picture)})  # fmt: skip
    write_manifest(tmp_path / "made", [record])
    given = {}
    for name, data in (places | {"none": None}).items():
        figure = future_of(tmp_path / "made", "made", 1, data, CPU, factor=1)
        given[name] = (figure.still == 200).all(2).sum() >= 64 * 64

    assert f"predicted from {origin}" in figure.caption
    assert given == {"originals": True, "clips": True, "others": False, "none": False}
    assert caplog.text.count("given picture not found") == 1
    assert f"under {places['others']}, so none is shown: of all/sea.mp4" in caplog.text


@pytest.mark.parametrize("what", ["one-stream", "nothing"])
def test_what_predicts_nothing_is_no_future(what, runs, tmp_path):
    source = runs["one-stream"] if what == "one-stream" else tmp_path
    with pytest.raises(UsageError, match=r"one-stream run|neither a run folder"):
        draw_future((source,), tmp_path / "out", device=CPU)


def test_a_future_run_has_no_samples_from_a_seed(runs, tmp_path, capsys):
    arguments = ["figures", "samples", str(runs["future"]), "--out", str(tmp_path / "out")]

    assert main([*arguments, "--device", "cpu"]) == 2
    assert "vgan figures future" in capsys.readouterr().err


def test_a_gallery_holds_every_run_and_its_measures(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(rebuild, "STEPS", 1)
    monkeypatch.setattr(rebuild, "CANDIDATES", 8)
    monkeypatch.setattr(gallery_room, "_CLIPS", 1)
    monkeypatch.setattr(gallery_room, "_UNITS", 1)
    folders = (runs["one-stream"], runs["future"])
    paths = build_gallery(folders, tmp_path, n=3, device=CPU)
    page = (tmp_path / "gallery.md").read_text()

    for wanted in ("one-stream: samples", "one-stream: streams", "future: predicted futures",
                   "one-stream: units", "## Measures", "flicker"):  # fmt: skip
        assert wanted in page
    pictures = {path.name for path in paths if path.suffix == ".webp"}
    assert all(f"]({name})" in page for name in pictures)
    assert all(f'src="{name}"' in (tmp_path / "index.html").read_text() for name in pictures)


def test_measure_puts_runs_in_one_table_and_draws_the_nearest_pairs(runs, tmp_path, capsys):
    pairs = tmp_path / "pairs.png"
    run = str(runs["one-stream"])

    assert main(["measure", run, run, "--n", "3", "--pairs", str(pairs), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["run"] for row in rows} == {"1-one-stream", "2-one-stream"}
    assert pixels(pairs).shape[1] > 400


def test_real_pairs_are_drawn_for_every_set_of_training_clips():
    rng = np.random.default_rng(0)
    clips = rng.integers(0, 256, (3, 8, 64, 64, 3), np.uint8)
    pairs = NearestPairs(clips, clips, nearest_clips(clips, clips, ["x", "y", "z"], progress=False))
    runs = [
        RunMeasures(name, "", against, [], pairs, pairs)
        for name, against in (("a", "beach"), ("b", "golf"), ("c", "beach"))
    ]

    assert [name for name, _ in nearest_blocks(runs)] == ["a", "b", "c", "real-a", "real-b"]
    assert [name for name, _ in nearest_blocks(runs[::2])] == ["a", "c", "real"]


def test_a_picture_that_cannot_be_written_costs_no_report(runs, tmp_path, capsys):
    arguments = ["measure", str(runs["one-stream"]), "--n", "2", "--pairs", str(tmp_path)]

    assert main(arguments) == 1
    said = capsys.readouterr()
    assert "flicker" in said.out
    assert f"{tmp_path}: cannot be written" in said.err


def test_measure_takes_a_future_run_alone(runs, capsys):
    assert main(["measure", str(runs["one-stream"]), str(runs["future"])]) == 2
    assert "on its own" in capsys.readouterr().err


def test_wrong_numbers_are_named(runs, tmp_path, capsys):
    out = str(tmp_path / "out")

    assert main(["figures", "samples", str(runs["two-stream"]), "--frames", "0", "--out", out]) == 2
    assert "counted from 1 to 32" in capsys.readouterr().err

    assert main(["figures", "units", str(runs["two-stream"]), "--units", "a,b", "--out", out]) == 2
    assert "--units takes whole numbers" in capsys.readouterr().err
