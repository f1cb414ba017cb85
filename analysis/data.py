"""Table 1 as data: the contract's CSV, and JSON with all that is printed. Nothing is rounded."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from analysis.intervals import Estimate
from analysis.preference import MEAN
from analysis.published import published_percent
from analysis.significance import effect
from analysis.table import Row, Table
from analysis.text import BANNER, csv_text

CSV_COLUMNS = ("row", "category", "percent", "low", "high", "n", "workers")


def to_csv(table: Table, *, paper: bool = False) -> str:
    """Render as the contract's CSV: one line per cell and one per Mean, percents not rounded.

    With `paper`, one more column, `published`.
    """
    lines: list[Sequence[object]] = [(*CSV_COLUMNS, "published") if paper else CSV_COLUMNS]
    for row in table.rows:
        for category, e in (*row.cells.items(), (MEAN, row.mean)):
            values = [_field(v) for v in (e.percent, e.low, e.high)]
            line = [row.comparison.label, category, *values, e.n, e.workers]
            if paper:
                line.append(_field(published_percent(row.comparison, category)))
            lines.append(line)
    return csv_text(lines)


def _field(value: float | None) -> str:
    return "" if value is None else repr(float(value))


def to_dict(table: Table, *, paper: bool = False) -> dict[str, Any]:
    """Return the table as JSON values; missing numbers are null."""
    return {
        "study": table.study,
        "question": table.question,
        "study_hash": table.study_hash,
        "seed": table.seed,
        "simulated": table.simulated,
        "banner": BANNER if table.simulated else "",
        "level": table.level,
        "stop_when": table.stop_when,
        "judgments": table.judgments,
        "workers": table.workers,
        "categories": list(table.categories),
        "allow_tie": table.allow_tie,
        "ties": table.ties,
        "exclusions": [asdict(rule) for rule in table.dropped],
        "left_out": asdict(table.left_out),
        "notes": list(table.notes),
        "rows": [_row_dict(table, row, paper) for row in table.rows],
    }


def _row_dict(table: Table, row: Row, paper: bool) -> dict[str, Any]:
    columns = {**row.cells, MEAN: row.mean}
    return {
        "row": row.comparison.label,
        "source_a": row.comparison.source_a,
        "source_b": row.comparison.source_b,
        "pooled": row.pooled,
        "averaged": list(row.averaged),
        "cells": {
            category: _estimate_dict(table, row, category, estimate, paper)
            for category, estimate in columns.items()
        },
    }


def _estimate_dict(
    table: Table, row: Row, category: str, estimate: Estimate, paper: bool
) -> dict[str, Any]:
    test = table.tests.get((row.comparison.label, category))
    out: dict[str, Any] = {**asdict(estimate), "test": asdict(test) if test else None}
    if estimate.percent is not None:
        sizes = asdict(effect(estimate.percent))
        out["effect"] = {k: v if abs(v) < float("inf") else None for k, v in sizes.items()}
    if paper:
        out["published"] = published_percent(row.comparison, category)
    return out
