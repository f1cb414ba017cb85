"""The data and a script for R, for the models that R fits better than Python does.

The script fits a crossed logistic mixed model (lme4), a design-based interval (survey) and
Bradley-Terry (BradleyTerry2), and skips a package that is not installed.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from analysis.preference import table_preferences
from evaluation.files import write_atomic

COLUMNS = (
    "judgment", "worker", "row", "category", "source_a", "source_b", "clip_a", "clip_b", "side",
    "rt_ms", "kind", "y",
)  # fmt: skip

SCRIPT = """\
# Re-analysis of one study in R. Run: Rscript analysis.R   (reads judgments_long.csv beside it)
# y is 1 where source_a was preferred; ties (0.5) are left out of the models.
d <- read.csv("judgments_long.csv", stringsAsFactors = TRUE)
d <- subset(d, y %in% c(0, 1))
d$row <- droplevels(d$row)
has <- function(package) {
  found <- requireNamespace(package, quietly = TRUE)
  if (!found) message("skipped: install.packages(\\"", package, "\\")")
  found
}

# 1. Crossed random effects: workers, and the clips of either side.
if (has("lme4")) {
  cells <- interaction(d$row, d$category, drop = TRUE)
  d$cell <- cells
  terms <- "(1 | worker) + (1 | clip_a) + (1 | clip_b)"
  fixed <- if (nlevels(cells) > 1) "y ~ 0 + cell" else "y ~ 1"
  model <- lme4::glmer(as.formula(paste(fixed, "+", terms)), data = d, family = binomial,
                       control = lme4::glmerControl(optimizer = "bobyqa"))
  print(summary(model))
}

# 2. Design-based intervals of each row, clustered by worker, in the Korn-Graubard form.
if (has("survey")) {
  for (r in levels(d$row)) {
    design <- survey::svydesign(ids = ~worker, weights = ~1, data = subset(d, row == r))
    cat("\\n", r, "\\n")
    print(survey::svyciprop(~y, design, method = "beta"))
  }
}

# 3. Bradley-Terry strengths.
if (has("BradleyTerry2")) {
  sources <- sort(unique(c(as.character(d$source_a), as.character(d$source_b))))
  counts <- aggregate(cbind(win = y, lose = 1 - y) ~ source_a + source_b, data = d, FUN = sum)
  counts$source_a <- factor(counts$source_a, levels = sources)
  counts$source_b <- factor(counts$source_b, levels = sources)
  print(summary(BradleyTerry2::BTm(cbind(win, lose), source_a, source_b, data = counts)))
}
"""


def long_table(judgments: pd.DataFrame) -> pd.DataFrame:
    """Return one line per counted test judgment, A and B named whatever side they were on.

    Args:
        judgments: from `load_judgments`, after exclusions.
    """
    preferences = table_preferences(judgments)
    a_left = preferences["a"] == preferences["left_source"]
    ours = {"trial": "judgment", "a": "source_a", "b": "source_b", "trial_kind": "kind"}
    # Those of the study's own order go: here they are as the row has them.
    renamed = preferences.drop(columns=["source_a", "source_b"]).rename(columns=ours)
    return renamed.assign(side=np.where(a_left, "left", "right"))[list(COLUMNS)]


def write_r(judgments: pd.DataFrame, out: Path) -> None:
    """Write `judgments_long.csv` and `analysis.R` into a folder, made if needed.

    Raises:
        EvaluationError: a file cannot be written.
    """
    text = long_table(judgments).to_csv(index=False, lineterminator="\n")
    write_atomic(out / "judgments_long.csv", text.encode())
    write_atomic(out / "analysis.R", SCRIPT.encode())
