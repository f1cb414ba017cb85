"""The measures of one run or several, as a table for the terminal and as JSON."""

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tabulate import tabulate

from vgan.metrics.comparison import Estimate, Measure
from vgan.metrics.report import RunMeasures

_INTERVALS = (
    "[low, high]: 95 % interval over clips, on the real side over source videos; none where there "
    "are fewer than 3. It says what other clips of these weights would give, not what another "
    "training run would."
)


def as_text(runs: Sequence[RunMeasures]) -> str:
    """Return the measures as text; runs trained on and compared with the same clips share a table.

    `-` stands where there is nothing to measure; what rows mean, and every warning, is below.
    """
    tables = {run.against: [r for r in runs if r.against == run.against] for run in runs}
    parts = [_table(against, several) for against, several in tables.items()]
    return "\n\n".join([*parts, textwrap.fill(_INTERVALS, 100)])


def to_json(runs: Sequence[RunMeasures]) -> str:
    """Return the measures as JSON, a flat object per run and measure; null where there is none."""
    rows = [_row(run, measure) for run in runs for measure in run.measures]
    return json.dumps(rows, indent=2, ensure_ascii=False)


def _table(against: str, runs: Sequence[RunMeasures]) -> str:
    names = list(dict.fromkeys(measure.name for run in runs for measure in run.measures))
    found = [{measure.name: measure for measure in run.measures} for run in runs]
    rows, legend = [], []
    for name in names:
        have = [measures[name] for measures in found if name in measures]
        cells = [_shown(m[name].generated if name in m else None) for m in found]
        rows.append((name.split(" (", 1)[0], *cells, _shown(have[0].real)))
        legend.append(_wrapped(f"{name}: {have[0].meaning}"))
        noted = {run.name: m[name].note for run, m in zip(runs, found, strict=True) if name in m}
        legend.extend(_wrapped(f"  ! {note}") for note in _notes(noted))
    headers = ("measure", *(run.name for run in runs), "real")
    aligned = ("left", *("right",) * (len(runs) + 1))
    table = tabulate(rows, headers, disable_numparse=True, colalign=aligned)
    captions = [f"{run.name}: {run.caption}" for run in runs]
    return "\n".join([*captions, f"real: {against}", "", table, "", *legend])


def _notes(noted: Mapping[str, str]) -> Iterator[str]:
    """Yield each note once, after the names of its runs where others do not have it."""
    for note in dict.fromkeys(note for note in noted.values() if note):
        names = [name for name, its in noted.items() if its == note]
        yield note if len(names) == len(noted) else f"{', '.join(names)}: {note}"


def _wrapped(line: str) -> str:
    return textwrap.fill(line, 100, subsequent_indent="    ")


def _shown(estimate: Estimate | None) -> str:
    if estimate is None:
        return "-"
    if estimate.interval is None:
        return f"{estimate.value:.4f}"
    return f"{estimate.value:.4f} [{estimate.interval.low:.4f}, {estimate.interval.high:.4f}]"


def _row(run: RunMeasures, measure: Measure) -> dict[str, Any]:
    row: dict[str, Any] = {"run": run.name, "what": run.caption, "against": run.against,
                           "name": measure.name}  # fmt: skip
    for side, estimate in (("generated", measure.generated), ("real", measure.real)):
        bounds = estimate.interval if estimate else None
        row[side] = estimate.value if estimate else None
        row[f"{side}_low"] = bounds.low if bounds else None
        row[f"{side}_high"] = bounds.high if bounds else None
        row[f"{side}_n"] = estimate.n if estimate else 0
    return row | {"meaning": measure.meaning, "note": measure.note}
