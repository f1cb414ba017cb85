import pytest
import torch
from sklearn.cluster import KMeans

from vgan.models.k_means import k_means, lloyd, plus_plus_centres


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def clusters(sizes, numbers=20, seed=0):
    """Codes around far centres, so many around each, in groups one after the other."""
    centres = 10 * torch.randn(len(sizes), numbers, generator=seeded(seed))
    codes = centres.repeat_interleave(torch.tensor(sizes), dim=0)
    return (codes + torch.randn(codes.shape, generator=seeded(seed + 1))).double()


def inertia(codes, groups):
    members = (codes[groups == group] for group in groups.unique())
    return sum(float((rows - rows.mean(dim=0)).square().sum()) for rows in members)


def test_k_means_plus_plus_takes_one_centre_from_each_far_cluster():
    centres = torch.tensor([[0.0, 0.0], [100.0, 0.0], [0.0, 100.0]])
    codes = centres.repeat_interleave(50, dim=0)

    chosen = plus_plus_centres(codes, 3, seeded(0))

    assert {tuple(row) for row in chosen.tolist()} == {tuple(row) for row in centres.tolist()}


def test_lloyd_groups_near_codes_together_though_a_centre_is_empty():
    codes = torch.tensor([[0.0], [0.1], [9.0], [9.1]])

    centres, groups = lloyd(codes, torch.tensor([[1.0], [8.0], [100.0]]), 20)

    assert groups.tolist() == [0, 0, 1, 1]
    assert torch.allclose(centres, torch.tensor([[0.05], [9.05], [100.0]]))


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_k_means_finds_far_clusters_of_unequal_sizes(offset):
    sizes = [300, 20, 100, 50, 200, 30, 80, 10]
    codes = clusters(sizes) + offset

    groups = k_means(codes, len(sizes), seed=0)

    parts = torch.split(groups, sizes)
    assert all(len(part.unique()) == 1 for part in parts)
    assert len(groups.unique()) == len(sizes)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_k_means_has_a_lower_inertia_than_sklearn_where_optima_are_many(seed):
    codes = clusters([20] * 60, numbers=30, seed=seed)
    oracle = KMeans(16, n_init=1, random_state=seed).fit(codes.numpy())

    groups = k_means(codes, 16, seed)

    assert inertia(codes, groups) < oracle.inertia_


def test_k_means_with_the_same_seed_is_the_same():
    codes = clusters([20] * 30)

    first, second, other = (k_means(codes, 8, seed) for seed in (3, 3, 4))

    assert torch.equal(first, second)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("distinct", [1, 3])
def test_more_groups_than_distinct_codes_leave_groups_empty(distinct):
    codes = torch.eye(distinct, 4, dtype=torch.float64).repeat(10, 1)

    groups = k_means(codes, 9, seed=0)

    assert len(groups.unique()) >= distinct
    assert all(len(groups[i::distinct].unique()) == 1 for i in range(distinct))


def test_every_code_can_be_a_group():
    codes = clusters([1] * 6)

    assert len(k_means(codes, 6, seed=0).unique()) == 6
