"""`vgan predict`: clips from pictures, with a manifest, the same bytes every time."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from vgan.cli import main
from vgan.data.manifest import Origin, read_manifest, sha256_of
from vgan.data.videos import read_video
from vgan.errors import CheckpointError, DataError, UsageError
from vgan.generated_folder import order_clips
from vgan.prediction import first_frame_error, predict


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A photo, a grey one and a transparent one, larger than a clip and not square."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for name, mode in (("one.jpg", "RGB"), ("two.png", "L"), ("three.png", "RGBA")):
        coarse = Image.fromarray(rng.integers(0, 255, (9, 16, 3), np.uint8)).convert(mode)
        coarse.resize((160, 90)).save(folder / name)
    return folder


@pytest.fixture(scope="module")
def predicted(runs, photos, tmp_path_factory):
    out = tmp_path_factory.mktemp("predicted") / "future"
    return out, predict(runs["future"], [photos], out).made


def test_every_picture_becomes_a_clip_listed_with_its_picture_and_error(predicted):
    out, made = predicted
    records = read_manifest(out)

    assert [r.clip for r in records] == [f"beach/{n}.mp4" for n in ("one", "three", "two")]
    assert [r.origin for r in records] == [Origin(n) for n in ("one.jpg", "three.png", "two.png")]
    for record, prediction in zip(records, made, strict=True):
        assert (record.source, record.category) == ("future", "beach")
        assert (record.frames, record.width, record.height, record.fps) == (32, 64, 64, 20.0)
        assert record.sha256 == sha256_of(out / record.clip)
        assert read_video(out / record.clip).frames.shape == (32, 64, 64, 3)
        assert record.extra["first_frame_error"] == round(prediction.first_frame_error, 6)
        assert 0 < prediction.first_frame_error < 1


def test_the_sheet_has_a_row_per_picture(predicted):
    with Image.open(predicted[0] / "sheet.png") as sheet:
        assert sheet.size == (9 * 66 + 2 * 4, 14 + 3 * 66)


def test_a_picture_gives_the_same_bytes_alone_and_in_company(predicted, runs, photos, tmp_path):
    predict(runs["future"], [photos / "two.png"], tmp_path / "out")
    alone = (tmp_path / "out/beach/two.mp4").read_bytes()

    assert alone == (predicted[0] / "beach/two.mp4").read_bytes()
    assert alone != (predicted[0] / "beach/one.mp4").read_bytes()


def test_more_pictures_join_the_folder(predicted, runs, photos, tmp_path):
    out = tmp_path / "out"
    predict(runs["future"], [photos / "two.png"], out)
    predict(runs["future"], [photos / "*.jpg", photos / "three.png"], out)

    assert read_manifest(out) == read_manifest(predicted[0])


@pytest.mark.parametrize("name", ["two.png", "two.jpg"])
def test_another_picture_of_a_name_that_is_there_is_refused(runs, photos, tmp_path, name):
    out, other = tmp_path / "out", tmp_path / "other" / name
    predict(runs["future"], [photos / "two.png"], out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    other.parent.mkdir()
    Image.new("RGB", (90, 90), "blue").save(other)

    with pytest.raises(UsageError, match=rf"{name}: would become beach/two.mp4, which .*out"):
        predict(runs["future"], [photos / "one.jpg", other], out)
    assert before == {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    predict(runs["future"], [photos / "two.png"], out)  # the same one may be predicted again


def test_a_picture_that_cannot_be_read_is_named_and_the_others_are_predicted(
    runs, photos, predicted, tmp_path, capsys
):
    shutil.copytree(photos, tmp_path / "in")
    whole = (photos / "one.jpg").read_bytes()
    (tmp_path / "in/broken.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "in/phone.HEIC").touch()
    (tmp_path / "in/notes.txt").touch()
    command = ["predict", str(runs["future"]), str(tmp_path / "in"), "--out", str(tmp_path / "out")]

    assert main(command) == 1
    said = capsys.readouterr()
    assert "warning: " + str(tmp_path / "in/broken.jpg") + ": is damaged" in said.err
    assert "not read: 2 files (heic, txt); save heic as JPEG" in said.err
    assert said.err.splitlines()[-1] == (
        f"vgan: 1 of 4 pictures could not be used (named above; the others are in {tmp_path}/out)"
    )
    assert said.out.endswith("mean of 3\n")
    assert read_manifest(tmp_path / "out") == read_manifest(predicted[0])


def test_pictures_none_of_which_can_be_read_leave_no_manifest(runs, tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_text("no picture")

    with pytest.raises(DataError, match=r"none of 2 pictures can be used; the first, .*a\.png: is"):
        predict(runs["future"], [tmp_path], tmp_path / "out")
    with pytest.raises(DataError, match=r"^[^ ]*b\.png: is no picture that can be read"):
        predict(runs["future"], [tmp_path / "b.png"], tmp_path / "out")
    assert not (tmp_path / "out/manifest.jsonl").exists()


@pytest.mark.filterwarnings("error")
def test_a_picture_that_is_enlarged_gives_no_warning(runs, tmp_path):
    Image.new("RGB", (9, 9), "blue").save(tmp_path / "small.png")

    assert len(predict(runs["future"], [tmp_path], tmp_path / "out").made) == 1


def test_clips_of_a_split_keep_their_names_videos_and_splits(runs, drawn, tmp_path):
    predict(runs["future"], [drawn], tmp_path / "out", split="test", frame=3)
    real = {r.clip: r for r in read_manifest(drawn) if r.split == "test"}
    future = {r.clip: r for r in read_manifest(tmp_path / "out")}

    assert future.keys() == real.keys()
    for clip, record in future.items():
        assert record.split == "test"
        assert record.origin == Origin(real[clip].origin.video, 3)


def test_the_error_of_the_first_frame_is_its_mean_difference():
    picture = np.zeros((2, 2, 3), np.uint8)
    frames = np.full((5, 2, 2, 3), 255, np.uint8)
    frames[0] = 51

    assert first_frame_error(picture, frames) == pytest.approx(0.2)


@pytest.mark.parametrize("model", ["two-stream", "one-stream", "autoencoder"])
def test_a_run_of_another_model_is_refused(runs, photos, tmp_path, model):
    with pytest.raises(UsageError, match=f"a {model} run, .* only future runs predict"):
        predict(runs[model], [photos], tmp_path / "out")

    assert not (tmp_path / "out").exists()


def test_a_run_without_a_checkpoint_yet_says_so(runs, photos, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(runs["future"], run)
    shutil.rmtree(run / "checkpoints")

    with pytest.raises(CheckpointError, match="no checkpoint yet"):
        predict(run, [photos], tmp_path / "out")


def test_a_run_still_being_written_uses_its_last_whole_checkpoint(runs, photos, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(runs["future"], run)
    (run / "checkpoints/step-0000004.pt").rename(run / "checkpoints/.step-0000004.pt.part")

    assert main(["predict", str(run), str(photos), "--out", str(tmp_path / "out")]) == 0
    assert "not finished, uses the checkpoint at step 2 of 4" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("asked", "error", "named"),
    [({"frame": -1}, UsageError, "frame must be at least 0"),
     ({"frame": 1}, DataError, r"one.jpg: has 1 frame, so none of number 1"),
     ({"category": "Golf Course"}, UsageError, "not a slug")],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_name(runs, photos, tmp_path, asked, error, named):
    with pytest.raises(error, match=named):
        predict(runs["future"], [photos], tmp_path / "out", **asked)

    assert not (tmp_path / "out/manifest.jsonl").exists()


def test_a_folder_of_another_run_is_refused(predicted, runs, photos, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(predicted[0], out)
    parameters = json.loads((out / "predict.json").read_text())
    (out / "predict.json").write_text(json.dumps(parameters | {"checkpoint_sha256": "0"}))

    with pytest.raises(UsageError, match="was made with checkpoint_sha256 0"):
        predict(runs["future"], [photos], out)


def test_the_command_prints_every_error_and_their_mean(runs, photos, predicted, tmp_path, capsys):
    errors = [p.first_frame_error for p in predicted[1]]
    assert main(["predict", str(runs["future"]), str(photos), "--out", str(tmp_path / "out")]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert [float(line.split()[0]) for line in lines[1:-1]] == pytest.approx(errors, abs=1e-4)
    assert lines[-1] == f"{np.mean(errors):.4f}  mean of 3"


def test_generate_sends_a_future_run_to_predict(runs, tmp_path):
    with pytest.raises(UsageError, match="use `vgan predict RUN PICTURES"):
        order_clips(runs["future"], tmp_path / "out", 1, 0)

    assert not (tmp_path / "out").exists()
