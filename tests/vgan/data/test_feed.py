import copy

import numpy as np
import pytest
import torch

from vgan.data import feed as feed_module
from vgan.data.dataset import ClipDataset
from vgan.data.feed import Feed, fits
from vgan.data.manifest import ClipRecord


@pytest.fixture
def dataset():
    """Twenty tiny clips, each of its own number."""
    clips = np.arange(20, dtype=np.uint8)[:, None, None, None, None] * np.ones((2, 3, 3, 3), "u1")
    records = [ClipRecord(f"beach/{i}.mp4", "", "real", "beach", 2, 25.0, 3, 3) for i in range(20)]
    return ClipDataset(clips, records, [])


@pytest.mark.parametrize("resident", [False, True])
@pytest.mark.parametrize(("size", "rows"), [(4, None), (6, slice(2, 4)), (33, None)])
def test_batches_are_those_drawn_one_by_one(dataset, resident, size, rows):
    rng, plain = np.random.default_rng(3), np.random.default_rng(3)
    with Feed(dataset, size, rng, rows, resident=resident) as feed:
        for _ in range(5):
            assert torch.equal(feed.take(), dataset.batch(size, plain, rows))


def test_the_random_state_never_runs_ahead_of_the_batches_taken(dataset):
    rng, plain = np.random.default_rng(3), np.random.default_rng(3)
    with Feed(dataset, 4, rng) as feed:
        for _ in range(3):
            feed.take()
            dataset.batch(4, plain)

            assert rng.bit_generator.state == plain.bit_generator.state


def test_a_random_state_that_was_set_back_is_followed(dataset):
    rng = np.random.default_rng(3)
    state = copy.deepcopy(rng.bit_generator.state)
    with Feed(dataset, 4, rng) as feed:
        first = feed.take().clone()
        rng.bit_generator.state = state

        assert torch.equal(feed.take(), first)


def test_a_batch_is_left_alone_while_the_next_is_gathered(dataset):
    with Feed(dataset, 4, np.random.default_rng(3)) as feed:
        batch = feed.take()
        kept = batch.clone()
        feed._ahead[1].result()

        assert torch.equal(batch, kept)


def test_the_next_batch_is_gathered_before_it_is_asked_for(dataset, monkeypatch):
    with Feed(dataset, 4, np.random.default_rng(3)) as feed:
        feed.take()
        feed._ahead[1].result()
        monkeypatch.setattr(
            feed_module.Feed, "_gather", lambda *_: pytest.fail("gathered when it was asked for")
        )
        ahead = feed._gathered(feed._ahead[0])

    assert torch.equal(ahead, torch.from_numpy(dataset.clips[feed._ahead[0]]))


def test_clips_stay_on_a_gpu_that_has_room_for_them_twice(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 8000))

    assert fits(500, torch.device("cuda"))
    assert not fits(501, torch.device("cuda"))
    assert not fits(1, torch.device("cpu"))


@pytest.mark.parametrize(("on_card", "stays"), [(1, True), (2, True), (3, False)])
def test_clips_stay_on_a_gpu_where_each_process_that_shares_it_has_room(
    dataset, monkeypatch, on_card, stays
):
    free = 4 * dataset.clips.nbytes
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 10 * free))
    monkeypatch.setattr(feed_module, "_copied", lambda clips, device: torch.from_numpy(clips))
    card = torch.device("cuda")

    with Feed(dataset, 4, np.random.default_rng(3), device=card, on_card=on_card) as feed:
        assert (feed.resident is not None) == stays


def test_clips_whose_copy_finds_the_memory_taken_come_from_the_host(dataset, monkeypatch, caplog):
    def copied(clips, device):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 80.00 GiB.")

    monkeypatch.setattr(feed_module, "fits", lambda size, device: True)
    monkeypatch.setattr(feed_module, "_copied", copied)
    caplog.set_level("INFO")
    rng, plain = np.random.default_rng(3), np.random.default_rng(3)
    with Feed(dataset, 4, rng) as feed:
        assert torch.equal(feed.take(), dataset.batch(4, plain))

    assert "batch by batch" in caplog.text
    with pytest.raises(torch.OutOfMemoryError):
        Feed(dataset, 4, rng, resident=True)


def test_a_batch_of_resident_clips_does_not_wait_for_the_gpu(dataset, monkeypatch):
    asked = []

    def to(numbers, device, **how):
        asked.append((device, how))
        return numbers

    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda numbers: asked.append("pin") or numbers)
    rng, plain = np.random.default_rng(3), np.random.default_rng(3)
    with Feed(dataset, 4, rng, resident=True) as feed:
        feed.device = torch.device("cuda")  # whose clips are on the CPU all the same
        monkeypatch.setattr(torch.Tensor, "to", to)

        assert torch.equal(feed.take(), dataset.batch(4, plain))

    assert asked == ["pin", (torch.device("cuda"), {"non_blocking": True})]
