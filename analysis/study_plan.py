"""What a study file will cost and can tell, as text: `vgan-eval plan`. See docs/planning.md."""

from collections.abc import Sequence

from analysis.errors import AnalysisError, UsageError
from analysis.forecast import Forecast, Pilot, PlannedRow, forecast, pair_use
from analysis.planning import (
    allocate,
    curve,
    design_effect,
    half_width,
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
from evaluation.study import Study

CROWDS = ("local", "link", "mturk", "prolific")
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
        UsageError: the stated workers cannot fill the plan.
    """
    expected = forecast(study, rows, pilot)
    parts = [
        _head(study, expected, pilot),
        _cost_table(study, expected.pair_use, (crowd,) if crowd else CROWDS),
        _precision_table(expected),
        _power_table(expected, difference),
        _curve_table(study, expected, crowd or study.recruit.crowd),
        _allocation_table(expected, pilot),
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
        f"Plan of {study.name}: {len(expected.rows)} rows, {len(expected.rows[0].cells)} "
        f"categories, {expected.judgments:,} test judgments in {sessions:,} sessions of "
        f"{trials}",
        f"{expected.workers:,} workers{stated}, at most {each:,} judgments each",
    ]
    lines += [f"Warning: {text}" for text in short_sessions(use, study.session, study.workers)]
    rho = expected.rho
    values = f"worker {rho.worker:.3f}, clip of A {rho.clip_a:.3f}, clip of B {rho.clip_b:.3f}"
    if pilot is None:
        lines.append(f"Correlations: {values} (typical; a pilot would tell)")
        return "\n".join(lines) + "\n"
    of = f"{pilot.judgments:,} judgments by {pilot.workers:,} workers"
    if pilot.rho is None:
        lines.append(f"Correlations: {values} (typical; the pilot of {of} cannot tell)")
    else:
        lines.append(f"Correlations: {values} (from the pilot of {of})")
    missing = [r.comparison.label for r in expected.rows if r.comparison not in pilot.rates]
    if missing:
        lines.append(f"Not in the pilot, taken as 50 %: {'; '.join(missing)}")
    return "\n".join(lines) + "\n"


def _money(cents: float) -> str:
    return f"{cents / 100:,.2f}"


def _cost_table(study: Study, use: PairUse, crowds: Sequence[str]) -> str:
    header = ("crowd", "rewards", "bonuses", "fees", "total", "an hour", "")
    grid = [_cost_line(study, use, crowd) for crowd in crowds]
    title = f"Cost in {study.pay.currency}, before tax (bonuses: if everybody earns them)"
    return text_grid(title, header, grid) + (
        "The last sessions may be short, at full pay: then a few more are needed.\n"
    )


def _cost_line(study: Study, use: PairUse, crowd: str) -> tuple[str, ...]:
    try:
        check_pay(study.pay, crowd)
    except UsageError as error:
        return (crowd, *(NONE,) * 5, f"refused: {error}")
    cost = _cost(study, use, crowd)
    sums = (cost.reward_cents, cost.bonus_cents, cost.fee_cents, cost.total_cents)
    return (crowd, *map(_money, sums), _money(cost.hourly_cents), "")


def _cost(study: Study, use: PairUse, crowd: str) -> Cost:
    return plan_cost(use, study.session, study.workers, study.pay, crowd)


def _precision_table(expected: Forecast) -> str:
    header = ("row", "expected", "judgments", "design effect", "Mean", "a cell", "cell")
    grid = []
    for row in expected.rows:
        rate, crowd = expected.rate(row), expected.crowd(row.cells)
        widths = [
            half_width(rate, c.judgments, expected.crowd((c,)), expected.rho) for c in row.cells
        ]
        widest = max(range(len(widths)), key=widths.__getitem__)
        grid.append(
            (
                row.comparison.label,
                f"{100 * rate:.1f}",
                f"{row.judgments:,}",
                f"{design_effect(row.judgments, crowd, expected.rho):.2f}",
                f"{half_width(rate, row.judgments, crowd, expected.rho):.1f}",
                f"{row.cells[widest].judgments:,}",
                f"{widths[widest]:.1f}",
            )
        )
    return text_grid("Expected half-widths of 95 % intervals, in points", header, grid)


def _power_table(expected: Forecast, difference: float) -> str:
    rate = 0.5 + difference / 100
    header = ("row", "power", "if independent", "judgments for 80 %")
    grid = []
    for row in expected.rows:
        crowd = expected.crowd(row.cells)
        try:
            needed = f"{judgments_for_power(rate, crowd, expected.rho):,}"
        except AnalysisError:
            needed = "not with so few workers and clips"
        grid.append(
            (
                row.comparison.label,
                f"{100 * power(rate, row.judgments, crowd, expected.rho):.0f} %",
                f"{100 * power(rate, row.judgments, None):.0f} %",
                needed,
            )
        )
    title = f"Power of one test at 5 % to tell {100 * rate:g} % from 50 %"
    return text_grid(title, header, grid)


def _curve_table(study: Study, expected: Forecast, crowd: str) -> str:
    """Half-widths of the first row at 50 %, over multiples of its workers and judgments."""
    row = expected.rows[0]
    workers = [expected.workers * step for step in _STEPS]
    budgets = [row.judgments * step for step in _STEPS]
    people = expected.crowd(row.cells)
    points = curve(workers, budgets, people, expected.rho, planned=row.judgments)
    found = {(p.workers, p.judgments): f"{p.half_width:.2f}" for p in points}
    grid = [(f"{w:,} workers", *(found[w, n] for n in budgets)) for w in workers]
    totals = [_cost(study, pair_use(expected.rows, step), crowd).total_cents for step in _STEPS]
    if any(totals):
        grid.append((f"the study costs ({crowd})", *map(_money, totals)))
    title = f"Half-width of {row.comparison.label} at 50 %: workers against judgments of the row"
    text = text_grid(title, ("", *(f"{n:,}" for n in budgets)), grid)
    more_workers, more_judgments = found[workers[-1], budgets[0]], found[workers[0], budgets[-1]]
    times = _STEPS[-1]
    return text + (
        f"{times} times the workers, same judgments and money: {more_workers} points. "
        f"{times} times the judgments and money, same workers: {more_judgments} points.\n"
    )


def _allocation_table(expected: Forecast, pilot: Pilot | None) -> str:
    if pilot is None or not pilot.rates:
        return (
            "Allocation by p (1 - p), which evens the half-widths out, needs a pilot "
            "(--judgments FILE or --pilot-db URL).\n"
        )
    rates = [expected.rate(row) for row in expected.rows]
    split = allocate(rates, expected.judgments)
    grid = []
    for row, rate, n in zip(expected.rows, rates, split, strict=True):
        crowd = expected.crowd(row.cells)
        now, then = (half_width(rate, k, crowd, expected.rho) for k in (row.judgments, n))
        label, planned = row.comparison.label, f"{row.judgments:,}"
        grid.append((label, f"{100 * rate:.1f}", planned, f"{now:.1f}", f"{n:,}", f"{then:.1f}"))
    header = ("row", "pilot", "planned", "half-width", "by p (1 - p)", "half-width")
    return text_grid("The same judgments, split in proportion to p (1 - p)", header, grid)
