from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from vgan.data.videos import write_clip
from vgan.errors import DataError
from vgan.representation import harris, stip
from vgan.representation.descriptors import HOF_LENGTH, HOG_LENGTH, describe, optical_flow
from vgan.representation.harris import Point, harris_response, interest_points
from vgan.representation.stip import BagOfWords, describe_video, find_words, histograms


def corner_video(moving: bool) -> np.ndarray:
    """A dark square on light whose corner is at (32, 32) when it turns back, at frame 16."""
    video = np.full((32, 64, 64), 200, np.uint8)
    for t in range(32):
        shift = abs(t - 16) if moving else 0
        video[t, 32 - shift :, 32 - shift :] = 60
    return video


def levels(video):
    return video.astype(np.float32) / np.float32(255)


def test_a_corner_that_reverses_is_an_interest_point():
    strongest = interest_points(levels(corner_video(moving=True)))[0]

    assert abs(strongest.t - 16) <= 2
    assert abs(strongest.y - 32) <= 4
    assert abs(strongest.x - 32) <= 4


def test_the_response_is_the_determinant_less_a_share_of_the_cubed_trace():
    volume = gaussian_filter(np.random.default_rng(0).random((20, 24, 26)), 1.5) * 8
    found = harris_response(volume.astype(np.float32), space=4.0, time=2.0)
    scales = np.array([2.0**0.5, 2.0, 2.0])  # of t, y and x

    def blurred(values, times):
        return gaussian_filter(values, times * scales, mode="reflect", truncate=3)

    smooth = blurred(volume, 1.0)
    slopes = [np.gradient(smooth, axis=k) * scale for k, scale in enumerate(scales)]
    moments = np.array([[blurred(a * b, 2**0.5) for a in slopes] for b in slopes])
    moments = moments.transpose(2, 3, 4, 0, 1)
    trace = moments.trace(axis1=3, axis2=4)
    expected = np.linalg.det(moments) - 0.005 * trace**3

    assert np.abs(found - expected).max() < 0.02 * np.abs(expected).max()


def test_a_still_corner_is_none():
    assert interest_points(levels(corner_video(moving=False))) == []


def test_an_edge_that_moves_along_itself_is_none():
    video = np.full((32, 64, 64), 200, np.uint8)
    video[:, :, 32:] = 60

    assert interest_points(levels(video)) == []


def test_a_descriptor_has_72_and_90_values_each_half_of_length_one():
    video = corner_video(moving=True)
    found = describe(video, levels(video), interest_points(levels(video))[:5])

    assert (HOG_LENGTH, HOF_LENGTH) == (72, 90)
    assert found.shape == (5, 162)
    np.testing.assert_allclose(np.linalg.norm(found[:, :72], axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found[:, 72:], axis=1), 1, rtol=1e-5)


def test_gradients_across_are_all_in_the_first_orientation():
    ramp = np.tile(np.linspace(20, 220, 64, dtype=np.uint8), (32, 64, 1))
    point = Point(16, 32, 32, 4.0, 2.0, 1.0)
    hog = describe(ramp, levels(ramp), [point])[0, :72].reshape(-1, 4)

    np.testing.assert_allclose(hog[:, 1:], 0, atol=1e-6)
    assert (hog[:, 0] > 0).all()


def test_steep_gradients_count_for_more_in_a_cell():
    # Above row 33 the picture rises by 6 levels a column, below by 2 levels a row.
    rows, columns = np.mgrid[:64, :64]
    picture = np.where(rows < 33, 6.0 * (columns % 40), 6.0 * 20 + 2 * (rows - 33))
    volume = np.repeat((picture / 255).astype(np.float32)[None], 32, axis=0)
    frames = np.zeros((32, 64, 64), np.uint8)
    hog = describe(frames, volume, [Point(16, 32, 20, 4.0, 2.0, 1.0)])[0, :72].reshape(2, 3, 3, 4)
    across, along = hog[0, 1, 1, [0, 2]]  # of the middle cell, rows 26 to 38

    assert across / along == pytest.approx(6 / 2, rel=0.5)


@pytest.mark.parametrize(("shift", "bin_"), [((0, 2), 0), ((2, 0), 1), ((0, -2), 2), ((-2, 0), 3)])
def test_what_moves_right_down_left_and_up_is_in_bins_of_its_own(shift, bin_):
    texture = np.random.default_rng(0).integers(0, 255, (16, 16), np.uint8)
    texture = np.kron(texture, np.ones((4, 4), np.uint8))
    video = np.stack([np.roll(texture, (t * shift[0], t * shift[1]), (0, 1)) for t in range(32)])
    hof = describe(video, levels(video), [Point(16, 32, 32, 4.0, 2.0, 1.0)])[0, 72:].reshape(-1, 5)

    assert hof.sum(axis=0).argmax() == bin_


def test_the_flow_of_a_shifted_texture_is_the_shift():
    texture = np.random.default_rng(0).integers(0, 255, (80, 80), np.uint8)
    texture = np.kron(texture[::4, ::4], np.ones((4, 4), np.uint8))
    video = np.stack([np.roll(texture, 2 * t, axis=1) for t in range(3)])
    flow = optical_flow(video)

    assert flow.shape == (3, 80, 80, 2)
    assert np.median(flow[0, 20:60, 20:60, 0]) == pytest.approx(2, abs=0.3)
    assert np.median(flow[0, 20:60, 20:60, 1]) == pytest.approx(0, abs=0.3)


def test_still_pixels_are_in_the_bin_for_none():
    video = np.full((32, 64, 64), 128, np.uint8)
    hof = describe(video, levels(video), [Point(16, 32, 32, 4.0, 2.0, 1.0)])[0, 72:].reshape(-1, 5)

    np.testing.assert_allclose(hof[:, :4], 0)
    assert (hof[:, 4] > 0).all()


def test_a_video_is_described_in_chunks_without_losing_points_between_them(tmp_path):
    once = corner_video(moving=True)
    colour = np.repeat(np.concatenate([once] * 3)[..., None], 3, axis=3)
    write_clip(tmp_path / "long.mp4", colour, 25.0)
    found = describe_video(tmp_path / "long.mp4")

    assert found.shape[1] == 162
    assert len(found) >= 3  # one reversal in each third


def test_a_corner_that_turns_back_where_chunks_meet_is_found(monkeypatch):
    video = np.full((80, 40, 40, 3), 200, np.uint8)
    for t in range(80):
        shift = abs(t - 64) // 4  # back at frame 64, where a chunk ends, and nowhere else
        video[t, 24 - shift :, 24 - shift :] = 60
    monkeypatch.setattr(stip, "iter_frames", lambda path: iter(video))

    assert len(describe_video(Path("video.mp4"))) > 0


def test_of_many_points_the_strongest_are_taken_so_many_for_32_frames(monkeypatch):
    noise = np.random.default_rng(0).random((16, 40, 40), np.float32)
    every = interest_points(noise)
    monkeypatch.setattr(harris, "_MOST", 8)

    assert len(every) > 4
    assert interest_points(noise) == sorted(every, key=lambda point: -point.strength)[:4]


@pytest.mark.parametrize("size", ["native", "small"])
def test_a_video_of_one_frame_is_named(tmp_path, size):
    write_clip(tmp_path / "still.mp4", np.zeros((1, 64, 64, 3), np.uint8), 25.0)

    with pytest.raises(DataError, match=r"still\.mp4: has a single frame"):
        describe_video(tmp_path / "still.mp4", size)


def test_words_are_found_and_counted():
    chance = np.random.default_rng(0)
    near, far = np.zeros(162, np.float32), np.ones(162, np.float32)
    some = [centre + chance.normal(0, 0.01, (40, 162)).astype(np.float32) for centre in (near, far)]
    words = find_words(some, BagOfWords(words=2), seed=0)
    rows = histograms([some[0], some[1], np.zeros((0, 162), np.float32)], words)

    assert sorted(rows[:2].max(axis=1)) == [1.0, 1.0]
    assert rows[0].argmax() != rows[1].argmax()
    assert rows[2].tolist() == [0.0, 0.0]  # a video without a point


def test_there_are_eight_descriptors_for_each_word_at_least():
    some = [np.random.default_rng(0).random((n, 162), np.float32) for n in (30, 17)]

    assert len(find_words(some, BagOfWords(words=4000), seed=0)) == 5
    assert len(find_words(some, BagOfWords(words=3), seed=0)) == 3


def test_words_are_found_from_a_sample_of_all_videos(monkeypatch):
    seen = []

    class Means:
        def __init__(self, words, **_):
            self.cluster_centers_ = np.zeros((words, 162))

        def fit(self, pool):
            seen.append(pool[:, 0])
            return self

    monkeypatch.setattr("vgan.representation.stip.MiniBatchKMeans", Means)
    numbered = np.repeat(np.arange(100, dtype=np.float32)[:, None], 162, axis=1)
    find_words([numbered[:30], numbered[30:30], numbered[30:]], BagOfWords(2, 40), seed=5)
    expected = np.sort(np.random.default_rng(5).choice(100, 40, replace=False))

    np.testing.assert_array_equal(seen[0], expected)
