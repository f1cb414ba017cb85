"""Predictions against the true future and against repeating the frame."""

import json

import numpy as np
import pytest
from scipy import stats

from vgan.cli import main
from vgan.errors import UsageError
from vgan.metrics import prediction
from vgan.metrics.prediction import (
    HorizonError,
    Interval,
    PredictionReport,
    as_text,
    compare,
    frame_errors,
    mean_by_video,
    measure_prediction,
)
from vgan.models.layers import Streams


def test_a_frames_error_is_its_mean_difference_as_a_share_of_the_range():
    true = np.zeros((3, 2, 2, 3), np.uint8)
    predicted = true.copy()
    predicted[1] = 255
    predicted[2, 0] = 51

    assert frame_errors(predicted, true).tolist() == pytest.approx([0, 1, 0.1])
    assert frame_errors(true, predicted).tolist() == pytest.approx([0, 1, 0.1])  # too dark
    with pytest.raises(ValueError, match="different shape"):
        frame_errors(predicted, true[:2])


def test_clips_of_a_video_each_of_its_own_give_students_interval():
    values = np.array([0.1, 0.4, 0.2, 0.5, 0.3, 0.9])
    found = mean_by_video(values, list("abcdef"))
    low, high = stats.t.interval(0.95, 5, values.mean(), stats.sem(values))

    assert (found.mean, found.low, found.high) == pytest.approx((0.4, low, high))


def test_clips_of_one_video_count_once():
    values = np.array([0.1, 0.4, 0.2, 0.5, 0.3])
    once = mean_by_video(values, list("abcde"))
    often = mean_by_video(np.repeat(values, 7), [v for v in "abcde" for _ in range(7)])

    assert (often.low, often.high) == pytest.approx((once.low, once.high))


def test_a_video_of_more_clips_is_left_out_with_all_of_them():
    values, videos = np.array([0.1, 0.4, 0.2, 0.5, 0.3, 0.9, 0.8]), np.array(list("aaabcde"))
    found = mean_by_video(values, list(videos))
    left = np.array([values[videos != video].mean() for video in "abcde"])
    error = (4 / 5 * ((left - values.mean()) ** 2).sum()) ** 0.5

    half = stats.t.ppf(0.975, 4) * error
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half))


def test_too_few_videos_have_a_mean_and_no_interval():
    assert mean_by_video(np.array([0.0, 1.0]), ["a", "b"]) == Interval(0.5, None, None)


def test_forecasts_are_compared_clip_by_clip_at_every_horizon():
    frames = np.arange(32) / 100
    repeated = np.stack([frames * clip for clip in range(1, 7)])
    predicted = repeated + 0.25

    found = compare(predicted, repeated, list("abcdef"))

    assert [e.frame for e in found] == [0, 1, 2, 4, 8, 16, 31, None]
    # The clips differ much, their differences not at all: pairing makes the interval a point.
    for error in found:
        difference = error.difference
        assert (difference.low, difference.mean, difference.high) == pytest.approx((0.25,) * 3)
    assert found[-1].repeated.mean == pytest.approx(3.5 * frames[1:].mean())


@pytest.mark.parametrize(
    ("difference", "said"),
    [(Interval(-0.2, -0.3, -0.1), "It beats repeating the frame."),
     (Interval(0.2, 0.1, 0.3), "It does not beat repeating the frame: it is worse."),
     (Interval(-0.2, -0.3, 0.1), "It does not beat repeating the frame: no difference can be told"),
     (Interval(-0.2, None, None), "Cannot be told from 4 source videos")],
)  # fmt: skip
def test_the_verdict_says_plainly_whether_the_frame_is_beaten(difference, said):
    point = Interval(0.1, None, None)
    report = PredictionReport([HorizonError(None, point, point, difference)], 8, 4, point, point)

    assert report.verdict.startswith(said)
    assert as_text(report).endswith(report.verdict)


@pytest.fixture
def every_split(monkeypatch):
    """Measure on the training clips of the drawn folder: eight scenes are enough for intervals."""
    opened = prediction.open_dataset
    monkeypatch.setattr(
        prediction, "open_dataset", lambda folder, category, split: opened(folder, category)
    )


def test_a_prediction_that_repeats_the_frame_has_its_errors(runs, every_split, monkeypatch):
    def held(_run, pictures, _device):
        given = pictures[:, None].repeat(32, axis=1).transpose(0, 4, 1, 2, 3)
        return Streams(prediction.torch.from_numpy(given / 127.5 - 1))

    monkeypatch.setattr(prediction, "predict_streams", held)
    report = measure_prediction(runs["future"])

    assert report.clips == report.videos == 8
    for error in report.errors:
        assert error.prediction == error.repeated
        assert error.difference == Interval(0, 0, 0)
    assert report.errors[0].prediction.mean == 0
    assert report.errors[-1].repeated.mean > 0
    assert report.motion.mean == 0 < report.true_motion.mean
    assert "no difference can be told" in report.verdict


def test_an_untrained_prediction_is_worse_than_repeating_the_frame(runs, every_split):
    report = measure_prediction(runs["future"], n=6)

    assert report.clips == 6
    assert report.errors[0].repeated.mean == 0
    assert report.verdict == "It does not beat repeating the frame: it is worse."


def test_measure_reports_a_future_run_in_text_and_json(runs, capsys):
    assert main(["measure", str(runs["future"]), "--n", "2"]) == 0
    text = capsys.readouterr().out
    assert main(["measure", str(runs["future"]), "--n", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)

    assert "2 test clips of 2 source videos" in text
    assert found["verdict"] == text.splitlines()[-1]
    assert found["verdict"].startswith("Cannot be told from 2 source videos")
    assert found["errors"][0]["difference"]["low"] is None


def test_a_future_run_beside_another_names_the_one_to_leave_out(runs, capsys):
    both = [str(runs["two-stream"]), str(runs["future"])]

    assert main(["measure", *both]) == 2
    assert capsys.readouterr().err == (
        f"vgan: {both[1]}: a future run is measured on its own; leave out {both[0]}\n"
    )
    assert main(["measure", both[1], "--pairs", "x.png"]) == 2
    assert "is measured without --embedder and --pairs" in capsys.readouterr().err


def test_a_run_of_another_model_and_one_clip_are_refused(runs):
    with pytest.raises(UsageError, match="only future runs predict"):
        measure_prediction(runs["two-stream"])
    with pytest.raises(UsageError, match="n must be at least 2"):
        measure_prediction(runs["future"], n=1)
