import numpy as np
import pytest

from vgan.representation.protocol import Prediction, mark

CLASSES = ("bend", "jump")


def prediction(scores, owner):
    return Prediction(np.asarray(scores, float), np.asarray(owner), 0)


def test_a_video_is_marked_by_the_mean_of_its_windows_and_single_windows_apart():
    # The first video: two windows say bend, weakly, and one says jump, strongly.
    found = mark(
        prediction([[0.6, 0.4], [0.6, 0.4], [0.0, 1.0], [0.2, 0.8]], [0, 0, 0, 1]),
        labels=[0, 1],
        groups=["ann", "bob"],
        classes=CLASSES,
    )

    assert found.accuracy == 0.5
    assert found.single_window == pytest.approx((2 / 3 + 1) / 2)
    assert found.confusion == [[0, 1], [0, 1]]
    assert found.per_class == {"bend": 0.0, "jump": 1.0}
    assert found.groups == {"ann": (0, 1), "bob": (1, 1)}


def test_a_class_without_test_videos_has_no_accuracy():
    found = mark(prediction([[0.9, 0.1]], [0]), [0], ["ann"], CLASSES)

    assert found.per_class == {"bend": 1.0, "jump": None}


def test_a_test_video_without_a_score_is_an_error():
    with pytest.raises(ValueError, match="every test video needs a score"):
        mark(prediction([[1, 0]], [0]), [0, 1], ["ann", "bob"], CLASSES)


def test_scores_that_are_not_finite_are_an_error():
    with pytest.raises(ValueError, match="not finite"):
        mark(prediction([[np.nan, 0]], [0]), [0], ["ann"], CLASSES)
