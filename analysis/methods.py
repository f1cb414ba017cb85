"""The methods paragraph of a paper, every number filled in, and the works it cites."""

from analysis.exclusions import RULES
from analysis.layout import row_title
from analysis.ranking import Ranking
from analysis.table import Table

CITATIONS = {
    "paper": "Vondrick, Pirsiavash, Torralba. Generating Videos with Scene Dynamics. NIPS 2016.",
    "cluster": "Cameron, Gelbach, Miller. Robust Inference with Multiway Clustering. Journal of "
    "Business & Economic Statistics 29 (2011).",
    "jackknife": "MacKinnon, Nielsen, Webb. Fast and Reliable Jackknife and Bootstrap Methods for "
    "Cluster-Robust Inference. Journal of Applied Econometrics 38 (2023).",
    "korn": "Korn, Graubard. Confidence Intervals for Proportions with Small Expected Number of "
    "Positive Counts Estimated from Survey Data. Survey Methodology 24 (1998).",
    "kish": "Kish. Survey Sampling. Wiley, 1965.",
    "holm": "Holm. A Simple Sequentially Rejective Multiple Test Procedure. Scandinavian Journal "
    "of Statistics 6 (1979).",
    "bh": "Benjamini, Hochberg. Controlling the False Discovery Rate. Journal of the Royal "
    "Statistical Society B 57 (1995).",
    "bt": "Bradley, Terry. Rank Analysis of Incomplete Block Designs. Biometrika 39 (1952).",
    "dyadic": "Aronow, Samii, Assenova. Cluster-Robust Variance Estimation for Dyadic Data. "
    "Political Analysis 23 (2015).",
}


def methods(table: Table, ranking: Ranking | None, sides_left: float) -> list[str]:
    """Return the paragraphs.

    Args:
        table: the printed table.
        ranking: the leaderboard, where there is one.
        sides_left: share of test judgments with the row's first source on the left, 0..1.
    """
    people = "simulated raters (a program, not people)" if table.simulated else "workers"
    cells = [e for row in table.rows for e in row.cells.values() if e.n]
    sizes = sorted(e.n for e in cells)
    each = f"{sizes[0]:,}" if sizes[0] == sizes[-1] else f"{sizes[0]:,} to {sizes[-1]:,}"
    design = (
        f"{table.workers:,} {people} compared {len(table.rows)} pairs of sources in "
        f"{len(table.categories)} {'category' if len(table.categories) == 1 else 'categories'} "
        f"({', '.join(table.categories)}) in two-alternative forced choices, {each} judgments per "
        f"cell and {table.judgments:,} in all. The first source was on the left in "
        f"{100 * sides_left:.1f} % of them."
    )
    if table.study_hash:
        design += f" The design was fixed beforehand (hash {table.study_hash[:16]}"
        design += f", seed {table.seed})." if table.seed is not None else ")."
    return [design, _exclusion_text(table), _interval_text(table), _test_text(table, ranking)]


def _exclusion_text(table: Table) -> str:
    if not table.dropped:
        return "No judgments were excluded."
    parts = [
        f"{RULES[rule.rule.partition(':')[0]].says.format(float(rule.rule.partition(':')[2]))} "
        f"({rule.judgments:,} judgments of {rule.workers:,} workers)"
        for rule in table.dropped
    ]
    text = f"We left out {'; '.join(parts)}. Nobody's payment depended on it."
    notes = [rule.note for rule in table.dropped if rule.note]
    return text + (f" Note: {'; '.join(notes)}." if notes else "")


def _interval_text(table: Table) -> str:
    effects = [e.deff for row in table.rows for e in (*row.cells.values(), row.mean) if e.deff]
    effective = [row.mean.effective_workers for row in table.rows if row.mean.effective_workers]
    text = (
        f"Intervals have a nominal coverage of {100 * table.level:g} % for new workers and new "
        "clips. Their variance clusters judgments by worker, by clip (or item, or source video) "
        "of the first source and by clip of the second, each by a delete-one-cluster jackknife, "
        "combined by inclusion and exclusion and floored at the one-way worker and independent "
        "variances [cluster, jackknife]; it enters the Korn-Graubard interval [korn]. The Mean "
        "weighs categories equally, workers spanning them."
    )
    if effects:
        text += f" Design effects were {min(effects):.1f} to {max(effects):.1f}"
        if effective:
            text += f", the effective number of workers [kish] {min(effective):.0f}"
            if round(max(effective)) > round(min(effective)):
                text += f" to {max(effective):.0f}"
            text += " per row"
        text += "."
    if any(e.method == "pooled ICC" for r in table.rows for e in (*r.cells.values(), r.mean)):
        text += (
            " Where fewer than 20 workers were effective, or a cell was unanimous, the variance "
            "rests on intraclass correlations pooled over the row."
        )
    return text


def _test_text(table: Table, ranking: Ranking | None) -> str:
    tests = [(row, table.tests.get((row.comparison.label, "Mean"))) for row in table.rows]
    told = [row_title(row) for row, test in tests if test and test.adjusted < 0.05]
    secondary = sum(test is not None and not test.primary for _, test in tests)
    primary = f"{len(table.rows) - secondary} primary" if secondary else f"{len(table.rows)}"
    others = f"the other {secondary} with the cells" if secondary else "cells"
    text = (
        "Each Mean was tested against 50 % by a t test on the same variance, adjusted by Holm "
        f"[holm] over {primary} rows, {others} by Benjamini and Hochberg [bh]; "
        f"{len(told)} of {len(table.rows)} rows differ from 50 % at the 5 % level"
    )
    text += f" ({'; '.join(told)})." if told else "."
    if ranking is not None:
        fit = ranking.fit
        text += (
            " Strengths are maximum-likelihood Bradley-Terry estimates [bt], their covariance "
            "clustered by worker and by any shared clip [dyadic]"
        )
        if fit.p is not None:
            text += (
                f"; one strength per source fits the rows with deviance {fit.deviance:.1f} on "
                f"{fit.df} degrees of freedom, {fit.scaled:.1f} after the mean design effect of "
                f"{ranking.design_effect:.1f} (p = {fit.p:.2f})"
            )
        text += "."
    return text
