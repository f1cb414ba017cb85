"""The plan's promises, on every small case and on random ones."""

from collections import Counter
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.errors import UsageError
from evaluation.plan import (
    CellSteps,
    PlannedClip,
    PlannedPair,
    check_partners,
    partners,
    plan_more,
    plan_trials,
)
from evaluation.planning.drawing import balance_sides, draw_pairs
from evaluation.planning.pools import identical_pairs, split_pool
from evaluation.planning.unmatched import unmatched_text
from evaluation.schema import TrialKind
from evaluation.study import Comparison, Design

ROWS = (Comparison("a", "b"), Comparison("a", "c"))
DESIGN = Design(comparisons=ROWS, categories=("golf", "beach"), judgments_per_cell=10)


def _clips(n=5, sources="abc", categories=("golf", "beach"), items=False):
    return {
        (s, c): [PlannedClip(f"{s}/{c}/{i}", str(i) if items else "") for i in range(n)]
        for s in sources
        for c in categories
    }


def _spread(values, n):
    counts = np.bincount(values, minlength=n)
    return int(counts.max() - counts.min())


@pytest.mark.parametrize(("n_a", "n_b"), list(product(range(1, 7), repeat=2)))
def test_drawn_pairs_use_clips_evenly_and_repeat_none_too_early(n_a, n_b):
    for n in range(2, 2 * n_a * n_b + 3, 2):
        a, b = draw_pairs(n_a, n_b, n, np.random.default_rng(n))
        most = Counter(zip(a.tolist(), b.tolist(), strict=True)).most_common(1)[0][1]

        assert _spread(a, n_a) <= 1
        assert _spread(b, n_b) <= 1
        assert most == -(-n // (n_a * n_b))


@given(
    pairs=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=60),
    seed=st.integers(0, 99),
)
def test_sides_balance_exactly_overall_and_within_one_per_clip(pairs, seed):
    a, b = np.array(pairs[: len(pairs) // 2 * 2]).T
    left = balance_sides(a, b, np.random.default_rng(seed))

    signs = np.where(left, 1, -1)
    assert signs.sum() == 0
    for clips in (a, b):
        assert np.abs(np.bincount(clips, weights=signs)).max() <= 1


def test_the_first_side_of_a_trial_is_a_coin_flip():
    a, b = np.array([0, 1, 2, 3]), np.array([0, 1, 2, 3])
    lefts = [balance_sides(a, b, np.random.default_rng(s)) for s in range(400)]

    assert 160 < sum(bool(left[0]) for left in lefts) < 240


def test_every_cell_has_its_count_and_its_own_clips():
    plan = plan_trials(DESIGN, _clips(), seed=1)
    cells = Counter(plan.pairs[t.pair][:3] for t in plan.trials)

    assert cells == {(r.source_a, r.source_b, c): 10 for r in ROWS for c in DESIGN.categories}
    for pair in plan.pairs:
        assert pair.clip_a.startswith(f"{pair.source_a}/{pair.category}/")
        assert pair.clip_b.startswith(f"{pair.source_b}/{pair.category}/")


def test_sides_are_balanced_in_every_cell_of_the_plan():
    plan = plan_trials(DESIGN, _clips(), seed=1)
    lefts = Counter(plan.pairs[t.pair][:3] for t in plan.trials if t.a_is_left)

    assert set(lefts.values()) == {5}


def test_each_round_takes_one_trial_of_every_cell():
    plan = plan_trials(DESIGN, _clips(), seed=1)
    cells = [plan.pairs[t.pair][:3] for t in plan.trials]

    assert all(len(set(cells[i : i + 4])) == 4 for i in range(0, len(cells), 4))


def test_the_seed_decides_the_plan():
    assert plan_trials(DESIGN, _clips(), 1) == plan_trials(DESIGN, _clips(), 1)
    assert plan_trials(DESIGN, _clips(), 1) != plan_trials(DESIGN, _clips(), 2)


def test_another_comparison_leaves_the_pairs_of_the_first_alone():
    one = plan_trials(replace(DESIGN, comparisons=ROWS[:1]), _clips(), 1)
    two = plan_trials(DESIGN, _clips(), 1)

    assert set(one.pairs) == {p for p in two.pairs if p.source_b == "b"}


def test_pairing_by_item_shows_partners_only_and_evenly():
    design = replace(DESIGN, pairing="item", judgments_per_cell=12)
    plan = plan_trials(design, _clips(items=True), seed=1)
    counts = Counter(plan.pairs[t.pair] for t in plan.trials)

    assert all(p.clip_a[-1] == p.clip_b[-1] == p.item for p in plan.pairs)
    assert len(counts) == 20
    assert set(counts.values()) == {2, 3}


def test_judgments_per_pair_counts_each_item():
    design = replace(DESIGN, pairing="item", judgments_per_cell=None, judgments_per_pair=3)
    plan = plan_trials(design, _clips(n=4, items=True), seed=1)

    assert set(Counter(t.pair for t in plan.trials).values()) == {3}
    assert 2 * sum(t.a_is_left for t in plan.trials) == len(plan.trials) == 48


def test_an_odd_cell_by_item_is_refused():
    design = replace(DESIGN, pairing="item", judgments_per_cell=None, judgments_per_pair=3)

    with pytest.raises(UsageError, match="5 items times judgments_per_pair 3 is odd"):
        plan_trials(design, _clips(n=5, items=True), seed=1)


def test_what_every_source_lacks_is_named_at_once():
    design = replace(DESIGN, pairing="item")
    clips = _clips(n=13, items=True)
    clips["b", "beach"] = clips["b", "beach"][:12]
    clips["c", "golf"] = clips["c", "golf"][:1]
    words = (
        "b lacks '12' \\(category beach\\); c lacks '1', '10', .*, '7' and 2 more "
        "\\(category golf\\); make these clips, take their items out of the other folders, or "
        'leave them out by unmatched = "leave-out"'
    )

    with pytest.raises(UsageError, match=words):
        plan_trials(design, clips, seed=1)


def test_items_that_a_source_lacks_are_left_out_of_its_own_rows_only():
    design = replace(
        DESIGN, pairing="item", unmatched="leave-out", judgments_per_cell=None, judgments_per_pair=2
    )
    clips = _clips(items=True)
    clips["b", "golf"] = clips["b", "golf"][:3]  # without 3 and 4
    clips["a", "beach"] = clips["a", "beach"][1:]  # without 0
    plan = plan_trials(design, clips, seed=1)
    shown: dict[tuple[str, str], set[str]] = {}
    for pair in plan.pairs:
        shown.setdefault((pair.source_b, pair.category), set()).add(pair.item)

    assert shown == {
        ("b", "golf"): {"0", "1", "2"},
        ("c", "golf"): {"0", "1", "2", "3", "4"},
        ("b", "beach"): {"1", "2", "3", "4"},
        ("c", "beach"): {"1", "2", "3", "4"},
    }
    assert len(plan.trials) == 2 * (3 + 5 + 4 + 4)
    assert unmatched_text(check_partners(design, clips), str.upper) == (
        "Items that one of two sources lacks are left out of their comparison, which flatters a "
        "source that failed to make them: A over B 3 of 10 (A lacks 1 and B lacks 2); "
        "A over C 1 of 10 (A lacks 1)"
    )


def test_a_later_batch_goes_on_with_the_items_that_both_sources_have():
    clips = _clips(items=True)
    clips["b", "golf"] = clips["b", "golf"][1:]
    plan = plan_more([CellSteps(ROWS[0], "golf", 4, 8)], "item", clips, seed=1, batch=2)

    assert Counter(plan.pairs[t.pair].item for t in plan.trials) == dict.fromkeys("1234", 2)


@pytest.mark.parametrize("unmatched", ["refuse", "leave-out"])
def test_sources_without_any_item_in_common_are_told_how_items_are_named(unmatched):
    design = replace(DESIGN, pairing="item", unmatched=unmatched)
    clips = _clips(items=True)
    clips["c", "beach"] = [PlannedClip("c/beach/0_c", "0_c")]
    words = (
        "a over c: .*no item is in both sources: a lacks '0_c' .*; c lacks '0', .*; give clips of "
        "one item equal file names"
    )

    with pytest.raises(UsageError, match=words):
        plan_trials(design, clips, seed=1)


def test_sources_that_are_not_compared_may_have_other_items():
    design = replace(DESIGN, pairing="item", comparisons=ROWS[:1])
    clips = _clips(items=True)
    clips["c", "golf"] = []

    assert len(plan_trials(design, clips, seed=1).trials) == 20


def accented(source, *items):
    return [PlannedClip(f"{source}/{item}.mp4", item) for item in items]


def test_items_pair_whichever_way_their_accents_are_written():
    composed, apart = "caf\u00e9", "cafe\u0301"  # of Linux, of macOS
    clips = {
        ("a", "golf"): accented("a", "tea", apart),
        ("b", "golf"): accented("b", "tea", composed),
    }

    assert partners(ROWS[0], "golf", clips) == [
        (PlannedClip(f"a/{apart}.mp4", apart), PlannedClip(f"b/{composed}.mp4", composed)),
        (PlannedClip("a/tea.mp4", "tea"), PlannedClip("b/tea.mp4", "tea")),
    ]


def test_an_item_twice_in_a_source_by_two_ways_to_write_an_accent_is_named():
    clips = {("a", "golf"): accented("a", "caf\u00e9", "cafe\u0301"), ("b", "golf"): []}

    with pytest.raises(UsageError, match=r"a/.*\.mp4 and a/.*\.mp4 are both item"):
        partners(ROWS[0], "golf", clips)


def test_an_item_twice_in_a_source_is_named():
    design = replace(DESIGN, pairing="item")
    clips = _clips(items=True)
    clips["b", "golf"][1] = PlannedClip("b/golf/1", "0")

    with pytest.raises(UsageError, match="b/golf/0 and b/golf/1 are both item '0'"):
        plan_trials(design, clips, seed=1)


def test_a_pool_is_shared_out_by_need():
    pairs = [PlannedPair("g", "s", "golf", f"g{i}", f"s{i}") for i in range(12)]
    needs = {TrialKind.GOLD: 4, TrialKind.PRACTICE: 2}
    pool = split_pool(pairs, needs, seed=1, where="[gold] folder")

    assert Counter(kind for kind, _ in pool) == {TrialKind.GOLD: 8, TrialKind.PRACTICE: 4}
    assert len({pair for _, pair in pool}) == 12


def test_a_pool_too_small_for_one_worker_names_the_counts():
    pairs = [PlannedPair("g", "s", "golf", f"g{i}", f"s{i}") for i in range(3)]

    with pytest.raises(UsageError, match=r"gives 3 pairs, .* may need 6 \(4 gold \+ 2 practice"):
        split_pool(pairs, {TrialKind.GOLD: 4, TrialKind.PRACTICE: 2}, 1, "[gold] folder")


def test_identical_pairs_are_drawn_evenly_over_cells():
    pairs = identical_pairs(_clips(), ["a", "b"], need=3, seed=1)
    cells = Counter((p.source_a, p.category) for p in pairs)

    assert len(pairs) == len({p.clip_a for p in pairs}) == 12
    assert all(p.clip_a == p.clip_b for p in pairs)
    assert set(cells.values()) == {3}


def test_too_few_clips_for_identical_pairs_is_refused():
    with pytest.raises(UsageError, match=r"one worker may need 11 clips .* the study has 10"):
        identical_pairs(_clips(categories=("golf",)), ["a", "b"], need=11, seed=1)
