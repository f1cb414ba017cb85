import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.errors import AnalysisError
from analysis.load import check_judgments
from analysis.planning import (
    Crowd,
    allocate,
    curve,
    design_effect,
    half_width,
    half_width_at_all_looks,
    judgments_for_power,
    pilot_correlations,
    power,
)
from analysis.preference import table_preferences
from analysis.sequential import bounds_at_all_looks
from analysis.synthetic import Setting, draw_row
from analysis.variance import Correlations

SEEN = Correlations(0.046, 0.046, 0.046)  # of effects with sd 0.5 on the logit scale


def test_independent_judgments_need_the_textbook_number():
    # (1.96 * 0.5 + 0.8416 * sqrt(0.53 * 0.47))^2 / 0.03^2
    assert judgments_for_power(0.53, None) == 2178
    assert power(0.53, 2178, None) == pytest.approx(0.8, abs=1e-3)


@pytest.mark.parametrize(
    ("workers", "each", "seen"),
    [(6, 40, 26), (8, 20, 26), (12, 40, 54), (20, 20, 65), (20, 10, 57), (40, 20, 89)],
)
def test_power_is_that_of_simulated_studies_however_few_the_workers(workers, each, seen):
    # Of 400 drawn rows at 60 %, pairs by 60 items, how many intervals were above 50 (s.e. 2.5).
    assert 100 * power(0.6, workers * each, Crowd(workers, 60, 60, cap=1)) == pytest.approx(
        seen, abs=7.5
    )


def test_an_interval_at_all_looks_is_the_published_bound_and_is_seldomer_above_50():
    low, high = bounds_at_all_looks(0.5, 800, 800)
    crowd = Crowd(40, 60, 60, cap=1)

    assert half_width_at_all_looks(0.5, 800, None) == pytest.approx(50 * (high - low))
    assert half_width(0.5, 800, crowd) == pytest.approx(6.2, abs=0.05)
    # 150 drawn rows had 9.5 on average, and 63 % (s.e. 4) were decided, where one look decided 91.
    assert half_width_at_all_looks(0.5, 800, crowd) == pytest.approx(9.5, rel=0.06)
    assert 0.4 < power(0.6, 800, crowd, width=half_width_at_all_looks) < 0.65


def test_ties_of_a_pilot_narrow_what_is_planned():
    # Of 400 judgments three quarters are ties: a judgment varies by a quarter of p (1 - p).
    assert half_width(0.5, 400, None, ties=0.75) == pytest.approx(half_width(0.5, 1600, None))
    assert half_width_at_all_looks(0.5, 400, None, ties=0.75) == pytest.approx(
        half_width_at_all_looks(0.5, 1600, None)
    )
    # (1.96 * sqrt(0.25 - 0.15) + 0.8416 * sqrt(0.2475 - 0.15))^2 / 0.05^2
    assert judgments_for_power(0.55, None, ties=0.6) == 312
    # At 70 % no more than 60 % can be ties, all others being wins.
    assert half_width(0.7, 100, None, ties=0.9) == pytest.approx(
        half_width(0.7, 100, None, ties=0.6)
    )
    # Variances of 0.25 - 0.2 and of 0.25.
    assert allocate([0.5, 0.5], 600, [0.8, 0.0]) == [100, 500]


def test_half_widths_of_a_row_like_the_papers():
    n = 2164
    assert half_width(0.5, n, Crowd(150), SEEN) == pytest.approx(3.9, abs=0.15)
    assert half_width(0.5, n, Crowd(150, cap=3), SEEN) == pytest.approx(3.3, abs=0.15)
    assert half_width(0.5, n, Crowd(150, activity=0), SEEN) == pytest.approx(2.85, abs=0.1)
    assert half_width(0.5, n, Crowd(600), SEEN) == pytest.approx(2.9, abs=0.15)


def test_more_workers_beat_more_judgments():
    points = {
        (p.workers, p.judgments): p.half_width
        for p in curve([150, 600], [2164, 4 * 2164], Crowd(150), SEEN, planned=2164)
    }

    assert points[600, 2164] < points[150, 4 * 2164] < points[150, 2164]
    assert points[150, 4 * 2164] == pytest.approx(3.5, abs=0.15)


def test_the_curve_promises_what_a_plan_of_so_many_workers_and_judgments_does():
    places, total = 88, 13_000  # of a worker, and of the six rows

    def planned(workers, times=1):
        return Crowd(workers, cap=max(places * workers / (times * total), 1))

    points = curve([150, 600], [2164, 4 * 2164], planned(150), SEEN, planned=2164)
    found = {(p.workers, p.judgments): p.half_width for p in points}

    for workers, times in ((150, 1), (600, 1), (600, 4)):
        expected = half_width(0.5, times * 2164, planned(workers, times), SEEN)
        assert found[workers, times * 2164] == pytest.approx(expected)
    # More than the same workers may give: all of them give the same.
    assert found[150, 4 * 2164] == pytest.approx(half_width(0.5, 4 * 2164, planned(150, 4), SEEN))


def test_planned_standard_error_is_what_simulated_studies_show():
    setting = Setting(rate=0.5, workers=100, activity=0.6, clips=100, per_cell=300)
    rng = np.random.default_rng(8)
    means = [draw_row(setting, rng).mean for _ in range(250)]
    planned = half_width(0.5, 1200, Crowd(100, 400, 400, 0.6), SEEN) / 1.96

    assert 100 * np.std(means) == pytest.approx(planned, rel=0.12)


def test_equal_shares_are_all_effective_and_a_cap_of_one_makes_shares_equal():
    assert Crowd(80, activity=0).effective_workers == pytest.approx(80)
    assert Crowd(80, cap=1).effective_workers == pytest.approx(80, rel=1e-3)
    assert 35 < Crowd(150).effective_workers < 50


def test_more_correlation_needs_more_judgments():
    crowd = Crowd(400, activity=0.5)
    few = judgments_for_power(0.55, crowd, Correlations(0.02, 0.02, 0.02))
    many = judgments_for_power(0.55, crowd, SEEN)

    assert judgments_for_power(0.55, None) < few < many
    assert power(0.55, many, crowd, SEEN) >= 0.8 > power(0.55, many - 1, crowd, SEEN)


def test_what_no_budget_can_reach_is_said():
    with pytest.raises(AnalysisError, match="no number of judgments gives 80% power"):
        judgments_for_power(0.51, Crowd(10), SEEN)


def test_allocation_by_p_times_1_minus_p_saves_43_percent_on_the_papers_rows():
    rates = [0.82, 0.83, 0.53, 0.18, 0.16, 0.03]
    split = allocate(rates, 13_000)
    spread = [r * (1 - r) for r in rates]

    assert sum(split) == 13_000
    widths = [s / n for s, n in zip(spread, split, strict=True)]
    assert max(widths) == pytest.approx(min(widths), rel=0.01)
    equal = 13_000 / 6
    needed = sum(s / (max(spread) / equal) for s in spread)
    assert 1 - needed / 13_000 == pytest.approx(0.43, abs=0.01)


def test_the_largest_remainders_get_what_rounding_down_leaves_over():
    # p (1 - p) is 0.25, 0.16 and 0.16: of ten, 4.39, 2.81 and 2.81; of nine, 3.95, 2.53 and 2.53.
    assert allocate([0.5, 0.2, 0.8], 10) == [4, 3, 3]
    assert allocate([0.5, 0.2, 0.8], 9) == [4, 3, 2]


def test_no_clustering_is_a_design_effect_of_one():
    assert design_effect(100, Crowd(200), Correlations(0, 0, 0)) == 1
    assert design_effect(10, Crowd(200)) == 1


def test_pilot_finds_who_differs(judgments_text):
    clustered = judgments_text(per_cell=400, workers=40, clips=40, sd=1.0)
    rho = pilot_correlations(table_preferences(check_judgments(clustered)))
    lone = judgments_text(per_cell=400, workers=40, clips=40, sd=0.0)
    none = pilot_correlations(table_preferences(check_judgments(lone)))

    assert min(rho.worker, rho.clip_a, rho.clip_b) > 0.05
    assert max(none.worker, none.clip_a, none.clip_b) < 0.02


def test_a_larger_row_of_a_pilot_weighs_more():
    def row(name, answers):
        """Judgments of clips that are shown once; `answers` are those of each worker in turn."""
        y = np.concatenate(answers)
        worker = np.repeat(np.arange(len(answers)), [len(own) for own in answers])
        clip = [f"{name}{i}" for i in range(len(y))]
        columns = {"row": name, "category": "all", "worker": worker, "y": y}
        return pd.DataFrame(columns | {"cluster_a": clip, "cluster_b": clip})

    small = row("x over y", [[1.0] * 4, [1.0, 0.0] * 2, [1.0, 0.0] * 2, [0.0] * 4])
    large = row("x over z", [[1.0, 0.0]] * 24)
    rho = pilot_correlations(pd.concat([small, large]))

    # 0.504 in 16 judgments (derived in test_variance.py), none in 48, where nobody agrees.
    assert rho.worker == pytest.approx(0.504 / 4, abs=5e-4)


def test_a_pilot_of_one_judgment_is_refused(judgments_text):
    frame = judgments_text({("x", "y"): 0.5}, per_cell=1, categories=("all",))

    with pytest.raises(AnalysisError, match="the pilot cannot tell"):
        pilot_correlations(table_preferences(check_judgments(frame)))


@pytest.mark.parametrize(("items", "t"), [(8, 2.3646), (2, 2.7764)])  # of 7; of 4 at least
def test_few_items_make_the_planned_interval_wider_as_table_1_has_it(items, t):
    many, few = (half_width(0.7, 800, Crowd(400, clips, clips)) for clips in (400, items))

    independent = half_width(0.7, 800, None)
    effect = design_effect(800, Crowd(400, items, items))
    assert few == pytest.approx(independent * effect**0.5 * t / 1.96, rel=1e-4)
    assert many < few


def test_few_workers_of_unequal_activity_leave_the_degrees_of_freedom_of_kishs_number():
    crowd = Crowd(12, activity=1.2)
    effect, df = design_effect(480, crowd), crowd.effective_workers - 1

    assert df < 6
    assert half_width(0.5, 480, crowd) == pytest.approx(
        100 * stats.t.ppf(0.975, df) * (0.25 * effect / 480) ** 0.5
    )
