"""Frames become the pictures the published network was trained on, and its answers a category."""

import numpy as np
import pytest
import torch
from PIL import Image

from vgan.data.places import (
    PAPER_SCENES,
    SceneCategory,
    decide,
    parse_categories,
    read_scores,
    sampled_frames,
    score_frames,
    stored_scores,
    to_pictures,
)
from vgan.errors import DataError, UsageError

CPU = torch.device("cpu")
BEACH, SNOW = SceneCategory("beach", (48,)), SceneCategory("snow", (305, 309))


def _scores(**shares: float) -> np.ndarray:
    scores = np.zeros(365)
    for name, share in shares.items():
        scores[int(name.removeprefix("c"))] = share
    return scores


def test_the_papers_scenes_have_the_numbers_of_the_published_list():
    assert PAPER_SCENES == {
        "beach": (48, "/b/beach"),
        "golf": (164, "/g/golf_course"),
        "train": (337, "/t/train_station/platform"),
        "baby": (179, "/h/hospital_room"),
    }


def test_categories_are_read_by_name_or_with_their_classes():
    assert parse_categories("beach, snow=305+309") == [BEACH, SNOW]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no category is named"),
        ("sea", "'sea': is none of beach, golf, train, baby"),
        ("sea=365", "class 365 is not one of 0 to 364"),
        ("sea=x", "'sea=x': is none of"),
        ("beach,sea=48", "class 48 is in beach and in sea"),
        ("Sea=4", "use lower-case letters"),
        ("sea=4,sea=5", "named twice"),
    ],
)
def test_wrong_categories_are_refused(text, message):
    with pytest.raises(UsageError, match=message):
        parse_categories(text)


def test_without_a_threshold_the_likeliest_scene_decides():
    assert decide(_scores(c48=0.3, c7=0.2), [BEACH], None) == "beach"
    assert decide(_scores(c48=0.3, c7=0.4), [BEACH], None) is None


def test_a_threshold_counts_a_categorys_scenes_together():
    scores = _scores(c48=0.26, c305=0.2, c309=0.15, c7=0.39)

    assert decide(scores, [BEACH, SNOW], 0.3) == "snow"
    assert decide(scores, [BEACH, SNOW], 0.36) is None
    assert decide(_scores(c48=0.5), [BEACH], 0.5) == "beach"


def test_frames_are_the_middles_of_equal_stretches():
    assert sampled_frames(32, 4) == [4, 12, 20, 28]
    assert sampled_frames(3, 4) == [0, 1, 2]
    assert sampled_frames(32, 1) == [16]


@pytest.mark.parametrize("size", [(64, 64), (120, 400), (300, 280)])
def test_pictures_are_squashed_cropped_and_normalised_as_pillow_does(size):
    frame = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    squashed = Image.fromarray(frame).resize((256, 256), Image.Resampling.BILINEAR)
    crop = np.asarray(squashed.crop((16, 16, 240, 240)), np.float64) / 255
    wanted = (crop - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]

    found = to_pictures(frame[None], CPU)

    assert found.shape == (1, 3, 224, 224)
    error = np.abs(found[0].permute(1, 2, 0).numpy() - wanted).max()
    assert error < 1.01 / 255 / 0.224  # pillow rounds to whole levels, and may do so twice


class _ByBrightness(torch.nn.Module):
    """Class 3 for bright pictures, class 9 for dark ones, by exactly e^2 to 1."""

    def forward(self, pictures):
        logits = torch.full((len(pictures), 365), -100.0)
        bright = pictures.mean(dim=(1, 2, 3)) > 0
        logits[:, 3], logits[:, 9] = 2.0 * bright, 2.0 * ~bright
        return logits


def test_scores_are_the_mean_over_frames_rounded_to_four_places():
    frames = np.zeros((4, 16, 16, 3), np.uint8)
    frames[0] = 255
    high = np.exp(2) / (1 + np.exp(2))

    scores = score_frames(_ByBrightness(), frames, CPU)

    assert scores[3] == round(0.25 * high + 0.75 * (1 - high), 4)
    assert scores[9] == round(0.75 * high + 0.25 * (1 - high), 4)
    assert np.count_nonzero(scores) == 2


def test_stored_scores_come_back_and_mostly_are_plain_zeros():
    scores = _scores(c48=0.25, c3=0.0123)

    stored = stored_scores(scores)

    assert str(stored).count("0,") > 350
    assert np.array_equal(read_scores(stored, "here"), scores)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (None, "list of 365 numbers"),
        ([0.5] * 364, "list of 365 numbers"),
        (["a"] * 365, "list of 365 numbers"),
        ([2.0] * 365, "from 0 to 1"),
        ([float("nan")] * 365, "from 0 to 1"),
    ],
)
def test_damaged_scores_are_refused_where_they_stand(raw, message):
    with pytest.raises(DataError, match=f"list.jsonl:4: key `places` must .*{message}"):
        read_scores(raw, "list.jsonl:4")
