"""How Table 1 is laid out before it is text, Markdown, LaTeX or HTML: lines of strings."""

from dataclasses import dataclass

from analysis.intervals import THIS_RATER
from analysis.preference import MEAN
from analysis.published import arithmetic, published_percent
from analysis.sensitivity import Sensitivity
from analysis.sequential import SEQUENCE
from analysis.significance import effect
from analysis.table import Table
from analysis.text import BANNER, NONE, Grid, interval_text, p_text, percent_text, share_text
from evaluation.quantities import quantity


@dataclass(frozen=True)
class Line:
    """One printed line: `kind` is random, percent, interval, n or published."""

    kind: str
    label: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """A table ready to print: header, lines, remarks under it, and the banner or nothing."""

    title: str
    header: tuple[str, ...]
    lines: tuple[Line, ...]
    remarks: tuple[str, ...]
    banner: str = ""


def lay_out(table: Table, *, paper: bool = False) -> Layout:
    """Lay a table out for print.

    Args:
        table: from `build_table`.
        paper: put the published row beside ours, and round ours to whole percents as it does.
    """
    columns = (*table.categories, MEAN)
    names = (*map(table.names.heading, table.categories), MEAN)
    bounds = f"{100 * table.level:g} % interval"
    lines = [Line("random", "Random preference", ("50",) * len(columns))]
    for row in table.rows:
        estimates = [row.cells[c] for c in table.categories] + [row.mean]
        digits = 0 if paper else 1
        percents = tuple(percent_text(e.percent, digits) for e in estimates)
        lines += [
            Line("percent", table.names.row(row.comparison), percents),
            Line("interval", bounds, tuple(map(interval_text, estimates))),
            Line("n", "judgments", tuple(f"{e.n:,}" for e in estimates)),
        ]
        if paper:
            printed = [published_percent(row.comparison, column) for column in columns]
            if any(value is not None for value in printed):
                values = tuple(percent_text(value, 0) for value in printed)
                lines.append(Line("published", "published", values))
    title = f"{_measure(table)} ({table.study}, question {table.question})"
    banner = BANNER if table.simulated else ""
    return Layout(title, ("", *names), tuple(lines), tuple(remarks(table, paper=paper)), banner)


def _measure(table: Table) -> str:
    """Say what the numbers are percent of."""
    text = "Percent of judgments that prefer the first"
    if not table.ties:
        return text
    return f"{text}, ties ({share_text(table.ties, table.judgments)}) counting one half"


def remarks(table: Table, *, paper: bool = False) -> list[str]:
    """Say under the table what it rests on: counts, method, exclusions, plan, warnings."""
    out = [
        f"{quantity(table.judgments, 'judgment')} by {quantity(table.workers, 'worker')}",
        _method(table),
    ]
    out.append("Mean: every category counts the same, from unrounded cells")
    if not table.dropped:
        out.append("Exclusions: none")
    for rule in table.dropped:
        text = (
            f"Exclusion {rule.rule}, {rule.says}: "
            f"{quantity(rule.judgments, 'judgment')} of {quantity(rule.workers, 'worker')}"
        )
        out.append(f"{text} ({rule.note})" if rule.note else text)
    if table.dropped:
        out.append(f"Left out in all: {table.left_out.text}{_several(table)}")
    if table.study_hash or table.seed is not None:
        plan = [f"design {table.study_hash[:12]}"] if table.study_hash else []
        plan += [f"seed {table.seed}"] if table.seed is not None else []
        out.append("Plan: " + ", ".join(plan))
    printed = any(published_percent(row.comparison, MEAN) is not None for row in table.rows)
    if paper and printed:
        out.append("Published: Vondrick, Pirsiavash and Torralba, NIPS 2016, Table 1 and text")
        out += arithmetic()
    elif paper:
        out.append("Published: none of these rows is the paper's, by the names of the sources")
    return out + list(table.notes)


def _several(table: Table) -> str:
    """Say why the rules do not add up, where there are several."""
    return " (a worker may break several rules)" if len(table.dropped) > 1 else ""


_METHODS = {
    "multiway": "Korn-Graubard on the multiway jackknife variance (worker, clip of A, clip of B)",
    "pooled ICC": "Korn-Graubard on correlations pooled over the row",
    THIS_RATER: "over clips only, for this one rater",
    SEQUENCE: "Means: confidence sequences, which hold at all looks together",
}


def _method(table: Table) -> str:
    used = {e.method for row in table.rows for e in (*row.cells.values(), row.mean)} - {""}
    if not used:
        return "No intervals"
    named = "; ".join(text for method, text in _METHODS.items() if method in used)
    return f"Intervals: {100 * table.level:g} %, {named}"


def details(table: Table) -> Grid:
    """Return header and rows of the details table: what each interval is made of.

    Ties have a column where the study allows them: wins are percent times n, less half the ties.
    """
    ties = ("ties",) if table.allow_tie else ()
    header = (
        "row", "category", "percent", "interval", "n", *ties, "workers", "effective", "deff", "df",
        "method", "if independent",
    )  # fmt: skip
    rows: list[tuple[str, ...]] = []
    for row in table.rows:
        for category, e in (*row.cells.items(), (MEAN, row.mean)):
            naive = NONE if e.naive is None else "–".join(map(percent_text, e.naive))
            rows.append(
                (
                    table.names.row(row.comparison), table.names.category(category),
                    percent_text(e.percent), interval_text(e),
                    f"{e.n:,}", *(f"{e.ties:,}" for _ in ties), f"{e.workers:,}",
                    _number(e.effective_workers, 0), _number(e.deff, 2), _number(e.df, 0),
                    e.method or NONE, naive,
                )
            )  # fmt: skip
    return header, rows


def tests_and_effects(table: Table) -> Grid:
    """Return header and rows of the table of tests and effect sizes, one row per Mean.

    A row that the study file does not declare primary is marked so; it is adjusted with the cells.
    So is one that a single rater judged: the test says nothing of other people.
    """
    header = ("row", "Mean", "p", "adjusted", "by", "odds", "d'", "JOD")
    rows: list[tuple[str, ...]] = []
    for row in table.rows:
        test = table.tests.get((row.comparison.label, MEAN))
        if row.mean.percent is None:
            continue
        size = effect(row.mean.percent)
        shown = (NONE,) * 3
        if test is not None:
            by = "Holm" if test.primary else "BH, secondary"
            by += f", {THIS_RATER}" if row.mean.method == THIS_RATER else ""
            shown = (p_text(test.p), p_text(test.adjusted), by)
        sizes = (f"{size.odds:.2f}", f"{size.d_prime:.2f}", f"{size.jod:.2f}")
        rows.append(
            (table.names.row(row.comparison), percent_text(row.mean.percent), *shown, *sizes)
        )
    return header, rows


def _number(value: float | None, digits: int) -> str:
    return NONE if value is None else f"{value:.{digits}f}"


def sensitivity_rows(found: Sensitivity) -> Grid:
    """Return header and rows of the sensitivity table: one row per choice of rules."""
    numbered = [f"row {i}" for i in range(1, len(found.rows) + 1)]
    header = ("rule", "workers", "judgments", *numbered, "shift (s.e.)", "tau", "same ranking")
    rows = [
        (
            v.name,
            f"{v.workers:,}",
            f"{v.judgments:,}",
            *map(_starred, v.means, v.decided),
            _number(v.shift, 2),
            _number(v.tau, 2),
            NONE if v.same_ranking is None else ("yes" if v.same_ranking else "no"),
        )
        for v in found.variants
    ]
    stands = tuple(NONE if s is None else f"{100 * s:.0f} %" for s in found.stands)
    rows.append(("claim stands", "", "", *stands, "", "", ""))
    return header, rows


def _starred(mean: float | None, decided: bool) -> str:
    return percent_text(mean) + ("*" if decided else "")


def sensitivity_remarks(found: Sensitivity) -> list[str]:
    """Say what the sensitivity table means, and which rules could not be applied."""
    out = [
        *(f"Row {i}: {label}" for i, label in enumerate(found.titles, 1)),
        f"The Mean of each row under each choice of rules; * where its {100 * found.level:g} % "
        "interval excludes 50",
        "Shift: the largest change of a Mean from the default, in the default's standard errors; "
        "tau: Kendall's, of the order of the rows by their Means; same ranking: whether the "
        "Bradley-Terry order of the sources is the default's",
        "Claim stands: share of the other choices in which the row is on the same side of 50, "
        "decided",
        f"Verdict: {found.verdict}",
    ]
    if found.partial_mean:
        out.append("A Mean is over the categories that have judgments")
    return out + [f"Left out: {why}" for why in found.left_out]
