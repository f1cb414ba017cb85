"""What a study file will cost and can tell, as text: `vgan-eval plan`. See docs/planning.md."""

from analysis.errors import AnalysisError, UsageError
from analysis.forecast import Forecast, Pilot, PlannedRow, forecast, pair_use
from analysis.intervals import LEAST_WORKERS, too_few
from analysis.planning import (
    Crowd,
    Width,
    allocate,
    curve,
    design_effect,
    half_width,
    half_width_at_all_looks,
    judgments_for_power,
    power,
)
from analysis.text import BANNER, NONE, text_grid
from evaluation.budget import (
    Cost,
    PairUse,
    check_pay,
    filling,
    plan_cost,
    short_sessions,
    worker_trials,
)
from evaluation.crowd.open import check_study
from evaluation.crowd.terms import TERMS
from evaluation.planning.exclusions import check_exclusions
from evaluation.planning.unmatched import unmatched_text
from evaluation.quantities import quantity
from evaluation.study import Study

_STEPS = (1, 2, 4)  # of the curve: times the workers, times the judgments


def plan_text(
    study: Study,
    rows: tuple[PlannedRow, ...],
    *,
    crowd: str | None = None,
    difference: float = 5.0,
    pilot: Pilot | None = None,
) -> str:
    """Return the plan of a study as text tables.

    Args:
        study: from `load_study`.
        rows: from `forecast.planned_rows`.
        crowd: cost on this crowd only; None: on all.
        difference: true distance from 50 % that should be told, in points, in (0, 50).
        pilot: from `forecast.read_pilot`.

    Raises:
        UsageError: the stated workers cannot fill the plan, or nobody can be judged by an
            exclusion rule.
    """
    expected = forecast(study, rows, pilot)
    parts = [
        _head(study, expected, pilot),
        _cost_table(study, expected.pair_use, crowd),
        _precision_table(study, expected),
        _power_table(study, expected, difference),
        _curve_table(study, expected, crowd or study.recruit.crowd),
        _allocation_table(study, expected, pilot),
    ]
    if pilot and pilot.simulated:
        parts = [f"{BANNER} (the pilot)\n", *parts, f"{BANNER} (the pilot)\n"]
    return "\n".join(parts)


def _head(study: Study, expected: Forecast, pilot: Pilot | None) -> str:
    use, allowed = expected.pair_use, study.workers.sessions_per_worker
    each = worker_trials(use, study.session.trials, allowed)
    sessions, trials = filling(use, study.session.trials, allowed)
    stated = "" if study.workers.workers else " at least ([workers] workers is not set)"
    lines = [
        f"Plan of {study.name}: {quantity(len(expected.rows), 'row')}, "
        f"{quantity(len(expected.rows[0].cells), 'category', 'categories')}, "
        f"{quantity(expected.judgments, 'test judgment')} in "
        f"{quantity(sessions, 'session')} of {trials}",
        f"{quantity(expected.workers, 'worker')}{stated}, at most "
        f"{quantity(each, 'judgment')} each",
    ]
    weak = (*check_exclusions(study), *short_sessions(use, study.session, study.workers))
    unmatched = unmatched_text(cell for row in expected.rows for cell in row.unmatched)
    lines += [f"Warning: {text}" for text in (*weak, unmatched) if text]
    rho = expected.rho
    values = f"worker {rho.worker:.3f}, clip of A {rho.clip_a:.3f}, clip of B {rho.clip_b:.3f}"
    if pilot is None:
        lines.append(f"Correlations: {values} (typical; a pilot would tell)")
        return "\n".join(lines) + "\n"
    of = f"{quantity(pilot.judgments, 'judgment')} by {quantity(pilot.workers, 'worker')}"
    if pilot.rho is None:
        lines.append(f"Correlations: {values} (typical; the pilot of {of} cannot tell)")
    else:
        untold = f"; typical for {' and '.join(pilot.untold)}, which never came twice"
        lines.append(
            f"Correlations: {values} (from the pilot of {of}{untold if pilot.untold else ''})"
        )
    if expected.ties:
        seen = (f"{row.label} {100 * share:.1f} %" for row, share in expected.ties.items())
        lines.append(f"Ties (from the pilot): {', '.join(seen)}")
    missing = [r.comparison.label for r in expected.rows if r.comparison not in pilot.rates]
    if missing:
        lines.append(f"Not in the pilot, taken as 50 %: {'; '.join(missing)}")
    return "\n".join(lines) + "\n"


def _money(cents: float) -> str:
    return f"{cents / 100:,.2f}"


def _cost_table(study: Study, use: PairUse, only: str | None) -> str:
    header = ("crowd", "rewards", "bonuses", "fees", "total", "an hour", "")
    chosen = only or study.recruit.crowd
    grid = [_cost_line(study, use, crowd, chosen) for crowd in ((only,) if only else TERMS)]
    title = f"Cost in {study.pay.currency}, before tax (bonuses: if everybody earns them)"
    return text_grid(title, header, grid) + (
        "The last sessions may be short, at full pay: then a few more are needed.\n"
    )


def _cost_line(study: Study, use: PairUse, crowd: str, chosen: str) -> tuple[str, ...]:
    try:
        if chosen in (crowd, "local"):  # which is also a study whose crowd is not chosen yet
            check_study(study, crowd)
        else:
            check_pay(study.pay, crowd)
    except UsageError as error:
        return (crowd, *(NONE,) * 5, f"refused: {error}")
    cost = _cost(study, use, crowd)
    sums = (cost.reward_cents, cost.bonus_cents, cost.fee_cents, cost.total_cents)
    return (crowd, *map(_money, sums), _money(cost.hourly_cents), "")


def _cost(study: Study, use: PairUse, crowd: str) -> Cost:
    return plan_cost(use, study.session, study.workers, study.pay, crowd)


def _width(study: Study) -> Width:
    """The half-width of the intervals that Means will have."""
    return half_width_at_all_looks if study.analysis.stop_when else half_width


def _at_all_looks(study: Study) -> str:
    return " at all looks together" if study.analysis.stop_when else ""


def _points(width: Width, row: PlannedRow, n: int, crowd: Crowd, expected: Forecast) -> str:
    """A half-width, or a dash where the table will have no interval over people."""
    if expected.workers < LEAST_WORKERS:
        return NONE
    rate, ties = expected.rate(row), expected.tie_share(row)
    return f"{width(rate, n, crowd, expected.rho, ties):.1f}"


def _unknown(workers: int) -> str:
    """Why there are dashes; empty where there are none."""
    if workers >= LEAST_WORKERS:
        return ""
    if workers == 1:
        return f"{NONE} 1 worker: the interval will be over clips, not over people\n"
    return f"{NONE} {too_few(workers)}\n"


def _precision_table(study: Study, expected: Forecast) -> str:
    header = ("row", "expected", "judgments", "design effect", "Mean", "a cell", "cell")
    grid = []
    for row in expected.rows:
        rate, crowd = expected.rate(row), expected.crowd(row.cells)
        widths = [
            half_width(rate, c.judgments, expected.crowd((c,)), expected.rho) for c in row.cells
        ]
        widest = row.cells[max(range(len(widths)), key=widths.__getitem__)]
        grid.append(
            (
                row.comparison.label,
                f"{100 * rate:.1f}",
                f"{row.judgments:,}",
                f"{design_effect(row.judgments, crowd, expected.rho):.2f}",
                _points(_width(study), row, row.judgments, crowd, expected),
                f"{widest.judgments:,}",
                _points(half_width, row, widest.judgments, expected.crowd((widest,)), expected),
            )
        )
    title = "Expected half-widths of 95 % intervals, in points"
    if study.analysis.stop_when:
        title += f" (of Means{_at_all_looks(study)}, of cells for one look)"
    return text_grid(title, header, grid) + _unknown(expected.workers)


def _power_table(study: Study, expected: Forecast, difference: float) -> str:
    """Whether 50 % will be told from the truth, at the look that has all planned judgments."""
    rate, stop_when = 0.5 + difference / 100, study.analysis.stop_when
    header = ("row", "decided" if stop_when else "power", "if independent", "judgments for 80 %")
    grid = [
        (row.comparison.label, *_power_line(row, expected, rate, _width(study)))
        for row in expected.rows
    ]
    title = f"Power of one test at 5 % to tell {100 * rate:g} % from 50 %"
    if stop_when:
        title = (
            f"Chance that a row of {100 * rate:g} % is decided at its planned judgments: 50 % is "
            "outside the interval at all looks"
        )
    return text_grid(title, header, grid) + _unknown(expected.workers)


def _power_line(row: PlannedRow, expected: Forecast, rate: float, width: Width) -> list[str]:
    if expected.workers < LEAST_WORKERS:
        return [NONE] * 3
    crowd, rho, ties = expected.crowd(row.cells), expected.rho, expected.tie_share(row)
    try:
        needed = f"{judgments_for_power(rate, crowd, rho, width=width, ties=ties):,}"
    except AnalysisError:
        needed = "not with so few workers and clips"
    chances = [
        power(rate, row.judgments, people, rho, width=width, ties=ties) for people in (crowd, None)
    ]
    return [*(f"{100 * chance:.0f} %" for chance in chances), needed]


def _curve_table(study: Study, expected: Forecast, crowd: str) -> str:
    """Half-widths of the first row at 50 %, over multiples of its workers and judgments."""
    row = expected.rows[0]
    workers = [expected.workers * step for step in _STEPS]
    budgets = [row.judgments * step for step in _STEPS]
    people = expected.crowd(row.cells)
    points = curve(
        workers,
        budgets,
        people,
        expected.rho,
        planned=row.judgments,
        width=_width(study),
        ties=expected.tie_share(row),
    )
    found = {
        (p.workers, p.judgments): f"{p.half_width:.2f}" if p.workers >= LEAST_WORKERS else NONE
        for p in points
    }
    grid = [(f"{w:,} workers", *(found[w, n] for n in budgets)) for w in workers]
    totals = [_cost(study, pair_use(expected.rows, step), crowd).total_cents for step in _STEPS]
    if any(totals):
        grid.append((f"the study costs ({crowd})", *map(_money, totals)))
    title = (
        f"Half-width of {row.comparison.label} at 50 %{_at_all_looks(study)}: workers against "
        "judgments of the row"
    )
    text = text_grid(title, ("", *(f"{n:,}" for n in budgets)), grid)
    more_workers, more_judgments = found[workers[-1], budgets[0]], found[workers[0], budgets[-1]]
    times = _STEPS[-1]
    if NONE in (more_workers, more_judgments):
        return text + _unknown(expected.workers)
    return text + (
        f"{times} times the workers, same judgments and money: {more_workers} points. "
        f"{times} times the judgments and money, same workers: {more_judgments} points.\n"
    )


def _allocation_table(study: Study, expected: Forecast, pilot: Pilot | None) -> str:
    if pilot is None or not pilot.rates:
        return (
            "Allocation by p (1 - p), which evens the half-widths out, needs a pilot "
            "(--judgments FILE or --pilot-db URL).\n"
        )
    rates = [expected.rate(row) for row in expected.rows]
    split = allocate(rates, expected.judgments, list(map(expected.tie_share, expected.rows)))
    grid = []
    for row, rate, n in zip(expected.rows, rates, split, strict=True):
        crowd = expected.crowd(row.cells)
        now, then = (_points(_width(study), row, k, crowd, expected) for k in (row.judgments, n))
        label, planned = row.comparison.label, f"{row.judgments:,}"
        grid.append((label, f"{100 * rate:.1f}", planned, now, f"{n:,}", then))
    header = ("row", "pilot", "planned", "half-width", "by p (1 - p)", "half-width")
    return text_grid("The same judgments, split in proportion to p (1 - p)", header, grid)
