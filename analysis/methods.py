"""The methods paragraph of a paper, every number filled in, and the works it cites."""

from collections.abc import Sequence, Set

from analysis.intervals import FEW_CLIPS, LEAST_CLIPS, LEAST_WORKERS, ONE_CLIP, THIS_RATER, Estimate
from analysis.preference import MEAN
from analysis.ranking import Ranking
from analysis.sequential import SEQUENCE
from analysis.table import Table
from analysis.text import percent_text, share_text
from evaluation.quantities import quantity

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


def methods(
    table: Table, ranking: Ranking | None, sides_left: float, wording: str | None = None
) -> list[str]:
    """Return the paragraphs.

    Args:
        table: the printed table.
        ranking: the leaderboard, where there is one.
        sides_left: share of test judgments with the row's first source on the left, 0..1.
        wording: of the question, where it is known.
    """
    people = "simulated rater" if table.simulated else "worker"
    program = " (a program, not people)" if table.simulated else ""
    cells = [e for row in table.rows for e in row.cells.values() if e.n]
    sizes = sorted(e.n for e in cells)
    compared = sum(row.judged for row in table.rows)
    each = f"{sizes[0]:,} to " if sizes[0] != sizes[-1] else ""
    each += quantity(sizes[-1], "judgment")
    design = (
        f"{quantity(table.workers, people)}{program} compared {quantity(compared, 'pair')} of "
        f"sources in {quantity(len(table.categories), 'category', 'categories')} "
        f"({', '.join(map(table.names.category, table.categories))}) in {_choices(table)}, "
        f"{each} per cell and {table.judgments:,} in all. The first source was "
        f"on the left in {percent_text(100 * sides_left)} % of them."
    )
    if wording:
        design += f' The question was: "{wording}"'
    if table.study_hash:
        design += f" The design was fixed beforehand (hash {table.study_hash[:16]}"
        design += f", seed {table.seed})." if table.seed is not None else ")."
    if table.unmatched:
        design += f" {table.unmatched}."
    return [design, _exclusion_text(table), _interval_text(table), _test_text(table, ranking)]


def _choices(table: Table) -> str:
    """Say what could be answered."""
    if not table.allow_tie:
        return "two-alternative forced choices"
    ties = f"ties, {share_text(table.ties, table.judgments)} of all, count one half"
    return f"three choices (left, right, no difference; {ties})"


def _exclusion_text(table: Table) -> str:
    if not table.dropped:
        return "No judgments were excluded."
    parts = [
        f"{rule.says} ({quantity(rule.judgments, 'judgment')} of "
        f"{quantity(rule.workers, 'worker')})"
        for rule in table.dropped
    ]
    text = f"We left out {'; '.join(parts)}. In all, that was {table.left_out.text}"
    text += ", as a worker may break several rules. " if len(parts) > 1 else ". "
    text += "Nobody's payment depended on it."
    notes = [rule.note for rule in table.dropped if rule.note]
    return text + (f" Note: {'; '.join(notes)}." if notes else "")


def _interval_text(table: Table) -> str:
    """Say what the intervals cover, and how; only of the methods that the table used."""
    estimates = [e for row in table.rows for e in (*row.cells.values(), row.mean) if e.n]
    used = {e.method for e in estimates}
    if used == {""}:
        return (
            f"No intervals are given: it takes at least {LEAST_WORKERS} workers to tell how much "
            "people differ, or several judgments of one to tell how much clips do."
        )
    given = [e for e in estimates if e.method]
    clips = "on these clips" if all(ONE_CLIP in e.note for e in given) else "and new clips"
    people = used & {"multiway", "pooled ICC"}
    parts = [_people_text(table.level, used, clips)] if people else []
    if THIS_RATER in used:
        where = "Where a single rater judged, intervals" if parts else "Intervals"
        parts.append(
            f"{where} have a nominal coverage of {100 * table.level:g} % for new clips judged by "
            "this one rater, and say nothing of other people: their variance clusters judgments "
            "by clip (or item, or source video) of either source only [cluster, jackknife]."
        )
    parts += _clips_text(given)
    if "" in used:
        unknown = ", or where it is not known how many judgments were planned"
        where = unknown if table.stop_when else ""
        parts.append(f"No interval is given where too few workers judged{where}.")
    parts.append(
        "The variance enters the Korn-Graubard interval [korn]. The Mean weighs categories "
        "equally, workers spanning them."
    )
    if SEQUENCE in used:
        parts.append(
            "As the study may be stopped early, the intervals of Means are confidence sequences "
            "instead, which hold at all looks together (beta-binomial mixture of Howard, Ramdas, "
            "McAuliffe and Sekhon, Annals of Statistics 49, 2021, on the larger of the clustered "
            "and the pooled variance); those of cells hold for one look only, and are not "
            "protected against stopping early."
        )
    return " ".join([*parts, *_effect_text(table)])


def _clips_text(given: Sequence[Estimate]) -> list[str]:
    """Say of which clips intervals say nothing, or too little."""
    text = []
    if any(ONE_CLIP in e.note for e in given):
        text.append(
            "Where a source has one clip in a category, intervals say nothing of its others."
        )
    if any(FEW_CLIPS in e.note for e in given):
        few = f"Where a source has under {LEAST_CLIPS} clips, items or videos"
        text.append(f"{few}, intervals may be too short.")
    return text


def _people_text(level: float, used: Set[str], clips: str) -> str:
    """Say how intervals that hold for new workers, and for which clips, come about."""
    text = f"Intervals have a nominal coverage of {100 * level:g} % for new workers {clips}."
    jackknife = (
        "by worker, by clip (or item, or source video) of the first source and by clip of the "
        "second, each by a delete-one-cluster jackknife, combined by inclusion and exclusion and "
        "floored at the one-way worker and independent variances [cluster, jackknife]"
    )
    if "multiway" in used:
        text += f" Their variance clusters judgments {jackknife}."
    if "pooled ICC" not in used:
        return text
    pooled = "the variance rests on intraclass correlations pooled over the row"
    where = "fewer than 20 workers were effective, or a cell was unanimous"
    if "multiway" in used:
        return f"{text} Where {where}, {pooled}."
    return (
        f"{text} As {where}, {pooled}; in a Mean, on judgments clustered {jackknife}, where that "
        "is larger."
    )


def _effect_text(table: Table) -> list[str]:
    """Give the range of the design effects and of the effective numbers of workers."""
    effects = [e.deff for row in table.rows for e in (*row.cells.values(), row.mean) if e.deff]
    effective = [row.mean.effective_workers for row in table.rows if row.mean.effective_workers]
    if not effects:
        return []
    text = f"Design effects were {min(effects):.1f} to {max(effects):.1f}"
    if effective:
        text += f", the effective number of workers [kish] {min(effective):.0f}"
        if round(max(effective)) > round(min(effective)):
            text += f" to {max(effective):.0f}"
        text += " per row"
    return [f"{text}."]


def _test_text(table: Table, ranking: Ranking | None) -> str:
    if table.stop_when:
        return _untested_text(table) + _ranking_text(ranking, one_look=True)
    tests = [(row, table.tests.get((row.comparison.label, MEAN))) for row in table.rows]
    made = [(row, test) for row, test in tests if test is not None]
    told = [table.names.row(row.comparison) for row, test in made if test.adjusted < 0.05]
    secondary = sum(not test.primary for _, test in made)
    primary = quantity(len(made) - secondary, "primary row" if secondary else "row")
    others = f"the other {secondary} with the cells" if secondary else "cells"
    which = "Each Mean" if len(made) == len(tests) else "Each Mean that has an interval"
    text = (
        f"{which} was tested against 50 %, its p-value being 1 minus the level at which its "
        f"interval touches 50 %, adjusted by Holm [holm] over {primary}, {others} by "
        "Benjamini and Hochberg [bh]; "
        f"{len(told)} of {quantity(len(made), 'row')} {'differs' if len(made) == 1 else 'differ'} "
        "from 50 % at the 5 % level"
    )
    one_rater = [row for row, _ in made if row.mean.method == THIS_RATER]
    text += " for this rater" if len(one_rater) == len(made) else ""
    text += f" ({'; '.join(told)})." if told else "."
    if 0 < len(one_rater) < len(made):
        names = "; ".join(table.names.row(row.comparison) for row in one_rater)
        text += f" Where a single rater judged ({names}), the test is of that rater only."
    if not made:
        text = "No Mean was tested against 50 %, as none has an interval."
    if table.undeclared:
        text += f" {table.undeclared}."
    return text + _ranking_text(ranking, one_look=False)


def _untested_text(table: Table) -> str:
    """Say what takes the place of tests where the study may be stopped early."""
    given = [row for row in table.rows if row.mean.half_width is not None]
    told = [table.names.row(row.comparison) for row in given if row.mean.decided]
    text = (
        f"The study could be stopped at any look ({table.stop_when}), so no Mean was tested "
        f"against 50 %; {len(told)} of {len(given)} confidence sequences exclude it"
    )
    text += f" ({'; '.join(told)})" if told else ""
    return (
        f"{text}. Cells were tested by their intervals as if there were one look, adjusted by "
        "Benjamini and Hochberg [bh]."
    )


def _ranking_text(ranking: Ranking | None, *, one_look: bool) -> str:
    """Say how strengths are estimated and how well they fit; empty where there are none."""
    if ranking is None:
        return ""
    text = " Strengths are maximum-likelihood Bradley-Terry estimates [bt]"
    if ranking.df is None:
        return f"{text}, without intervals, rank ranges or a test of their fit ({ranking.note})."
    text += ", their covariance clustered by "
    if ranking.one_rater:
        text += "any shared clip [dyadic], so that it says nothing of other people than this rater"
    else:
        text += "worker and by any shared clip [dyadic]"
    fit = ranking.fit
    if fit is not None and fit.p is not None:
        text += (
            f"; one strength per source fits the rows with deviance {fit.deviance:.1f} on "
            f"{quantity(fit.df, 'degree')} of freedom, {fit.scaled:.1f} after the mean design "
            f"effect of {ranking.design_effect:.1f} (p = {fit.p:.2f})"
        )
    if one_look:
        text += (
            "; their intervals, rank ranges and fit hold for one look only, and are not protected "
            "against stopping early"
        )
    return text + "."
