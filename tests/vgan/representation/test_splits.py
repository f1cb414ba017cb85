import pytest

from vgan.data.actions import ActionSplit
from vgan.errors import UsageError
from vgan.representation.splits import group_folds, take_share

COUNTS = {
    "bend": {"ann": 2, "bob": 1, "cat": 3, "dan": 1, "eve": 2},
    "jump": {"ann": 1, "bob": 4, "cat": 1, "dan": 2, "eve": 2},
}


@pytest.mark.parametrize("folds", [2, 3, 5])
def test_no_group_is_on_both_sides_of_any_fold(named_set, folds):
    for split in group_folds(named_set(COUNTS), folds, seed=4):
        assert not {v.group for v in split.train} & {v.group for v in split.test}


def test_every_video_is_tested_in_exactly_one_fold(named_set):
    actions = named_set(COUNTS)
    tested = [video.name for split in group_folds(actions, 3) for video in split.test]

    assert sorted(tested) == sorted(video.name for video in actions.videos)


def test_folds_are_of_nearly_equal_size(named_set):
    sizes = [len(split.test) for split in group_folds(named_set(COUNTS), 2)]

    assert max(sizes) - min(sizes) <= 3


def test_a_class_with_fewer_groups_than_folds_is_named(named_set):
    actions = named_set({"bend": {"ann": 3, "bob": 1}, "jump": {"ann": 2}})

    with pytest.raises(UsageError, match="class 'jump' has only 1 group;"):
        group_folds(actions, 2)


@pytest.mark.parametrize("seed", range(5))
def test_every_class_is_in_every_fold(named_set, seed):
    # Largest groups first, both of those that jump would come into one fold.
    counts = {"bend": {"ann": 1, "bob": 3, "dan": 1}, "jump": {"ann": 2, "dan": 1}}

    for split in group_folds(named_set(counts), 2, seed):
        for side in (split.train, split.test):
            assert {video.label for video in side} == {"bend", "jump"}


def test_classes_that_cannot_all_be_in_every_fold_are_refused(named_set):
    # Of three groups two come into one fold, and each two share a class that is nowhere else.
    shared = {"bend": ("ann", "bob"), "jump": ("bob", "cat"), "run": ("ann", "cat")}
    counts = {label: dict.fromkeys(groups, 1) for label, groups in shared.items()}

    with pytest.raises(UsageError, match="in too few folds"):
        group_folds(named_set(counts), 2)


def test_one_fold_is_refused(named_set):
    with pytest.raises(UsageError, match="at least 2"):
        group_folds(named_set(COUNTS), 1)


def split_of(actions) -> ActionSplit:
    return ActionSplit("1", actions.videos, ())


def test_a_smaller_share_is_part_of_a_larger_one(named_set):
    split = split_of(named_set({"bend": {"g": 32}, "jump": {"g": 32}}))
    shares = [{v.name for v in take_share(split, s, seed=7)} for s in (1 / 16, 1 / 4, 1 / 2, 1)]

    assert [len(share) for share in shares] == [4, 16, 32, 64]
    assert shares[0] < shares[1] < shares[2] < shares[3]


def test_a_share_keeps_the_classes_in_proportion_and_never_loses_one(named_set):
    split = split_of(named_set({"bend": {"g": 16}, "jump": {"g": 8}, "run": {"g": 1}}))
    taken = [video.label for video in take_share(split, 1 / 8, seed=0)]

    assert {label: taken.count(label) for label in set(taken)} == {"bend": 2, "jump": 1, "run": 1}


@pytest.mark.parametrize(("videos", "taken"), [(99, 7), (100, 7), (101, 8)])
def test_a_share_is_rounded_up_to_whole_videos_and_no_further(named_set, videos, taken):
    split = split_of(named_set({"bend": {"g": videos}}))

    # 6.93, 7, which is a little more in floating point, and 7.07.
    assert len(take_share(split, 0.07, seed=0)) == taken


def test_another_seed_takes_other_videos(named_set):
    split = split_of(named_set({"bend": {"g": 40}}))

    assert take_share(split, 1 / 8, seed=0) != take_share(split, 1 / 8, seed=1)


@pytest.mark.parametrize("share", [0, -0.5, 1.5])
def test_a_share_outside_its_range_is_refused(named_set, share):
    with pytest.raises(UsageError, match="above 0, up to 1"):
        take_share(split_of(named_set(COUNTS)), share, seed=0)
