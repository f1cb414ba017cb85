import numpy as np
import pytest
import torch

from vgan.representation.coherence import contrastive_loss, draw_pairs
from vgan.representation.frame_network import FrameClassifier, FrameNetwork, take_frames
from vgan.representation.shuffle import (
    OrderNetwork,
    draw_triples,
    motion,
    order_labels,
    triple_of,
)
from vgan.representation.unlabelled import UnlabelledClips


@pytest.fixture
def clips():
    """Four clips of two videos; a bright bar moves down in each, faster in the later clips."""
    frames = np.zeros((4, 32, 64, 64, 3), np.uint8)
    for n in range(4):
        for t in range(32):
            y = (t * (n + 1)) % 56
            frames[n, t, y : y + 8] = 200
    return UnlabelledClips(frames, np.asarray([0, 0, 1, 1]), "name")


def test_the_drlim_loss_equals_a_worked_example():
    a = torch.tensor([[2.0, 0.0], [3.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    b = torch.tensor([[0.0, 1.0], [5.0, 0.0], [0.8, 0.6], [-4.0, 0.0]])
    near = torch.tensor([True, False, False, False])
    # At length 1: distances sqrt(2), 0, sqrt(0.4) and 2; losses 2/2, 1/2, (1 - sqrt(0.4))^2 / 2
    # and 0.
    expected = (1.0 + 0.5 + (1 - 0.4**0.5) ** 2 / 2 + 0.0) / 4

    assert float(contrastive_loss(a, b, near, "drlim")) == pytest.approx(expected, abs=1e-5)


def test_the_l1_loss_equals_a_worked_example():
    a = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    b = torch.tensor([[0.0, 0.0], [0.5, 0.0], [5.0, 0.0]])
    near = torch.tensor([True, False, False])
    # Mean absolute differences 0.5, 0.25 and 2; losses 0.5, 0.75 and 0.
    assert float(contrastive_loss(a, b, near, "l1")) == pytest.approx((0.5 + 0.75) / 3)


def test_half_of_the_pairs_are_neighbours_and_the_rest_far_or_of_another_video(clips):
    pairs = draw_pairs(clips, 400, np.random.default_rng(0))
    gap = np.abs(pairs.time_a - pairs.time_b)
    same = pairs.clip_a == pairs.clip_b
    other = clips.video[pairs.clip_a] != clips.video[pairs.clip_b]

    assert pairs.near.mean() == 0.5
    assert (same & (gap >= 1) & (gap <= 2))[pairs.near].all()
    assert ((same & (gap >= 12)) | other)[~pairs.near].all()
    assert other[~pairs.near].mean() == 0.5


@pytest.mark.parametrize(
    ("form", "backwards", "shown", "ordered"),
    [
        ("true", False, (1, 2, 3), True),
        ("true", True, (3, 2, 1), True),
        ("before", False, (1, 0, 3), False),
        ("after", False, (1, 4, 3), False),
        ("after", True, (3, 4, 1), False),
    ],
)
def test_triples_and_their_labels_equal_worked_examples(form, backwards, shown, ordered):
    assert triple_of(0, 1, 2, 3, 4, form, backwards=backwards) == (shown, ordered)


def test_a_quarter_of_the_drawn_triples_is_in_order_and_only_those(clips):
    triples = draw_triples(clips, motion(clips.clips), 400, np.random.default_rng(1))
    rises = np.sign(np.diff(triples.times, axis=1))

    assert triples.ordered.mean() == 0.25
    np.testing.assert_array_equal(rises[:, 0] == rises[:, 1], triples.ordered)
    np.testing.assert_array_equal(order_labels(triples).numpy(), triples.ordered)
    assert triples.times.min() >= 0
    assert triples.times.max() < 32


def test_triples_are_drawn_where_something_moves(clips):
    still = clips.clips.copy()
    still[0] = still[0, :1]
    clips = UnlabelledClips(still, clips.video, "name")
    triples = draw_triples(clips, motion(clips.clips), 200, np.random.default_rng(1))

    assert (triples.clip == 0).sum() == 0


def test_frames_are_taken_by_clip_and_time(clips):
    frames = take_frames(clips.clips, np.asarray([3, 0]), np.asarray([1, 2]))

    assert frames.shape == (2, 3, 64, 64)
    expected = torch.from_numpy(clips.clips[3, 1]).permute(2, 0, 1) / 127.5 - 1
    torch.testing.assert_close(frames[0], expected)


def test_a_clip_is_classified_by_the_mean_over_its_frames(clips):
    torch.manual_seed(0)
    classifier = FrameClassifier(FrameNetwork(width=2, embedding=8), classes=3).eval()
    whole = torch.from_numpy(clips.clips).permute(0, 4, 1, 2, 3) / 127.5 - 1
    still = whole[:, :, :1].expand(-1, -1, 32, -1, -1)
    one = classifier.readout(classifier.network(whole[:, :, 0])).log_softmax(1)

    torch.testing.assert_close(classifier(still), one)
    assert not torch.allclose(classifier(whole), one)


def test_the_order_network_sees_which_frame_is_in_the_middle(clips):
    torch.manual_seed(0)
    network = OrderNetwork(FrameNetwork(width=2, embedding=8)).eval()
    frames = take_frames(clips.clips, np.asarray([1, 1, 1]), np.asarray([2, 9, 20]))[None]

    assert network(frames).shape == (1, 2)
    assert not torch.allclose(network(frames), network(frames[:, [1, 0, 2]]))


def test_the_frame_network_learns_from_the_order_of_frames(clips):
    torch.manual_seed(0)
    network = FrameNetwork(width=2, embedding=8)
    frames = take_frames(clips.clips, np.asarray([1, 1, 1]), np.asarray([2, 9, 20]))[None]
    OrderNetwork(network)(frames)[0, 1].backward()

    assert all(weight.grad is not None for weight in network.parameters())
    assert any(weight.grad.abs().max() > 0 for weight in network.parameters())
