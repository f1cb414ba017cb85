"""Table 1 as text, Markdown, LaTeX, HTML, CSV or JSON.

CSV and JSON keep unrounded numbers and slugs; the others print names (`names.py`).
"""

import html
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import NamedTuple

from analysis.data import to_csv, to_dict
from analysis.layout import (
    Layout,
    Line,
    details,
    lay_out,
    sensitivity_remarks,
    sensitivity_rows,
    tests_and_effects,
)
from analysis.sensitivity import Sensitivity
from analysis.table import Table
from analysis.text import BANNER, csv_text, text_grid


def render(table: Table, form: str, *, paper: bool = False, more: bool = False) -> str:
    """Render a table.

    Args:
        table: from `build_table`.
        form: one of `FORMS`, `csv` or `json`.
        paper: with the published values beside ours.
        more: with the details of each interval, tests and effect sizes (always in JSON).
    """
    if form == "csv":
        return to_csv(table, paper=paper)
    if form == "json":
        return json.dumps(to_dict(table, paper=paper), indent=2, allow_nan=False) + "\n"
    text = FORMS[form].table(lay_out(table, paper=paper))
    if more:
        extra = FORMS[form].grid
        sizes = "Tests of each Mean against 50, and effect sizes"
        text += "\n" + extra(sizes, *tests_and_effects(table))
        text += "\n" + extra("What each interval is made of", *details(table))
    return text


def render_sensitivity(found: Sensitivity, form: str, simulated: bool) -> str:
    """Render the table under every exclusion rule.

    Args:
        found: from `sensitivity`.
        form: as in `render`.
        simulated: whether any judgment is simulated.
    """
    if form == "json":
        values = {"simulated": simulated, **asdict(found), "verdict": found.verdict}
        return json.dumps(values, indent=2, allow_nan=False) + "\n"
    header, rows = sensitivity_rows(found)
    if form == "csv":
        return csv_text([header, *rows])
    banner = f"{BANNER}. " if simulated else ""
    text = FORMS[form].grid(f"{banner}Means under every exclusion rule", header, rows)
    return text + "\n" + FORMS[form].remarks(sensitivity_remarks(found))


# --- text


def to_text(layout: Layout) -> str:
    """Render for a terminal: percent, interval and count of a cell under each other."""
    indent = {"interval": "  ", "n": "  ", "published": "  "}
    labels = [indent.get(line.kind, "") + line.label for line in layout.lines]
    grid = [list(layout.header[1:])] + [list(line.values) for line in layout.lines]
    widths = [max(len(row[i]) for row in grid) for i in range(len(grid[0]))]
    first = max(map(len, labels))

    def line(label: str, values: Sequence[str]) -> str:
        cells = (v.rjust(w) for v, w in zip(values, widths, strict=True))
        return (label.ljust(first) + "   " + "   ".join(cells)).rstrip()

    rule = "-" * len(line("", grid[0]))
    out = [layout.title, rule, line("", grid[0]), rule]
    for label, printed in zip(labels, layout.lines, strict=True):
        if printed.kind == "percent":
            out.append("")
        out.append(line(label, printed.values))
    out += [rule, *(f"* {_sentence(remark)}" for remark in layout.remarks)]
    if layout.banner:
        out = [layout.banner, *out, layout.banner]
    return "\n".join(out) + "\n"


def _sentence(text: str) -> str:
    return text + "."


# --- Markdown


def to_markdown(layout: Layout) -> str:
    """Render as GitHub Markdown, one table row per comparison."""
    out = [f"**{layout.banner}**\n"] if layout.banner else []
    out.append(f"{layout.title}\n")
    out.append(_markdown_line((*layout.header, "n")))
    out.append("|:---" + "|---:" * len(layout.header) + "|")
    for kind, label, values in _merged(layout.lines):
        name = f"*{label}*" if kind == "published" else label
        out.append(_markdown_line((name, *values)))
    out.append("")
    out += [f"- {_sentence(remark)}" for remark in layout.remarks]
    return "\n".join(out) + "\n"


def _markdown_line(cells: Sequence[str]) -> str:
    """One line of a table; a bar in a name must not end its cell, nor a backslash escape it."""
    escaped = (cell.replace("\\", r"\\").replace("|", r"\|") for cell in cells)
    return "| " + " | ".join(escaped) + " |"


def _merged(lines: Sequence[Line]) -> list[tuple[str, str, tuple[str, ...]]]:
    """One entry per table row: percent with its interval in brackets, and the row's count."""
    out = []
    for i, line in enumerate(lines):
        if line.kind == "percent":
            bounds, counts = lines[i + 1].values, lines[i + 2].values
            cells = tuple(
                f"{p} [{b.replace('–', ', ')}]" if len(b) > 1 else p
                for p, b in zip(line.values, bounds, strict=True)
            )
            out.append((line.kind, line.label, (*cells, counts[-1])))
        elif line.kind in ("random", "published"):
            out.append((line.kind, line.label, (*line.values, "")))
    return out


def markdown_grid(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Render a plain table as Markdown."""
    out = [f"{title}\n", _markdown_line(header), "|" + "---|" * len(header)]
    out += map(_markdown_line, rows)
    return "\n".join(out) + "\n"


# --- LaTeX

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "–": "--", "<": r"$<$", ">": r"$>$",
}  # fmt: skip


def latex_text(text: str) -> str:
    """Escape text for LaTeX."""
    return "".join(_LATEX.get(c, c) for c in text)


def to_latex(layout: Layout) -> str:
    """Render as a booktabs table, intervals small under the percents."""
    out = [f"% {layout.banner}"] if layout.banner else []
    columns = len(layout.header) - 1
    banner = rf"\textbf{{{latex_text(layout.banner)}.}} " if layout.banner else ""
    out += [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{banner}{latex_text(_sentence(layout.title))}}}",
        rf"\begin{{tabular}}{{l{'r' * columns}}}",
        r"\toprule",
        _latex_line("", layout.header[1:]),
        r"\midrule",
    ]
    for line in layout.lines:
        if line.kind == "interval":
            small = [rf"{{\scriptsize {latex_text(v)}}}" for v in line.values]
            out.append(" & ".join(("", *small)) + r" \\[2pt]")
        elif line.kind == "published":
            italic = [rf"\textit{{{latex_text(v)}}}" for v in line.values]
            out.append(" & ".join((r"\quad\textit{published}", *italic)) + r" \\[2pt]")
        elif line.kind != "n":
            out.append(_latex_line(line.label, line.values))
    out += [r"\bottomrule", r"\end{tabular}", r"\par\footnotesize\raggedright"]
    out += [latex_text(_sentence(remark)) for remark in layout.remarks]
    return "\n".join([*out, r"\end{table}"]) + "\n"


def _latex_line(label: str, values: Sequence[str]) -> str:
    return " & ".join(map(latex_text, (label, *values))) + r" \\"


def latex_grid(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Render a plain table with booktabs."""
    out = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{latex_text(_sentence(title))}}}",
        rf"\begin{{tabular}}{{{'l' + 'r' * (len(header) - 1)}}}",
        r"\toprule",
        _latex_line(header[0], header[1:]),
        r"\midrule",
        *(_latex_line(row[0], row[1:]) for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(out) + "\n"


# --- HTML


def to_html(layout: Layout) -> str:
    """Render as a table with its caption and remarks, without style of its own."""
    escape = html.escape
    out = [f'<p class="banner">{escape(layout.banner)}</p>'] if layout.banner else []
    header = (*layout.header[1:], "n")  # the first column has no name
    out += ['<table class="preferences">', f"<caption>{escape(layout.title)}</caption>", "<thead>"]
    heads = "<td></td>" + "".join(f'<th scope="col">{escape(h)}</th>' for h in header)
    out += [f"<tr>{heads}</tr>", "</thead>", "<tbody>"]
    for kind, label, values in _merged(layout.lines):
        cells = "".join(f"<td>{_html_cell(v)}</td>" for v in values)
        out.append(f'<tr class="{kind}"><th scope="row">{escape(label)}</th>{cells}</tr>')
    out += ["</tbody>", "</table>", '<ul class="remarks">']
    out += [f"<li>{escape(_sentence(remark))}</li>" for remark in layout.remarks]
    return "\n".join([*out, "</ul>"]) + "\n"


def _html_cell(value: str) -> str:
    percent, bracket, bounds = value.partition(" [")
    small = f" <small>[{html.escape(bounds)}</small>" if bracket else ""
    return html.escape(percent) + small


def html_grid(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Render a plain table as HTML."""
    escape = html.escape
    heads = "".join(f'<th scope="col">{escape(h)}</th>' for h in header)
    cells = ("".join(f"<td>{escape(v)}</td>" for v in row) for row in rows)
    body = "\n".join(f"<tr>{row}</tr>" for row in cells)
    return (
        f"<table>\n<caption>{escape(title)}</caption>\n<thead><tr>{heads}</tr></thead>\n"
        f"<tbody>\n{body}\n</tbody>\n</table>\n"
    )


class Form(NamedTuple):
    """How a format writes a layout, a plain table under its title, and remarks."""

    table: Callable[[Layout], str]
    grid: Callable[[str, Sequence[str], Sequence[Sequence[str]]], str]
    remarks: Callable[[Sequence[str]], str]


FORMS = {
    "text": Form(
        to_text, text_grid, lambda remarks: "".join(f"* {_sentence(r)}\n" for r in remarks)
    ),
    "markdown": Form(
        to_markdown, markdown_grid, lambda remarks: "".join(f"- {_sentence(r)}\n" for r in remarks)
    ),
    "latex": Form(to_latex, latex_grid, lambda remarks: "".join(f"% {r}\n" for r in remarks)),
    "html": Form(
        to_html,
        html_grid,
        lambda remarks: "".join(f"<p>{html.escape(_sentence(r))}</p>\n" for r in remarks),
    ),
}
