"""The data and a script for R, for the models that R fits better than Python does.

The script fits a crossed logistic mixed model (lme4), a design-based interval (survey) and
Bradley-Terry (BradleyTerry2), and skips a package that is not installed.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from analysis.preference import table_preferences
from analysis.text import BANNER
from evaluation.files import write_atomic

COLUMNS = (
    "judgment", "worker", "row", "category", "source_a", "source_b", "clip_a", "clip_b", "side",
    "rt_ms", "kind", "y",
)  # fmt: skip

SCRIPT = """\
# Re-analysis of one study in R. Run: Rscript analysis.R   (reads judgments_long.csv beside it)
# y is 1 where source_a was preferred, 0 where source_b was, 0.5 for a tie.
d <- read.csv("judgments_long.csv", stringsAsFactors = TRUE)
part <- function(package, work) {  # one that fails leaves the others to be done
  if (requireNamespace(package, quietly = TRUE)) {
    try(work)
  } else {
    message("skipped: install.packages(\\"", package, "\\")")
  }
}

# 1. Crossed random effects of workers and of the clips of either side, without ties. A worker has
# an effect in every row, as "the first source" is not the same liking in two of them. A cell that
# is all one way has no finite estimate. One worker, or one clip, shows no spread of others.
part("lme4", {
  choices <- droplevels(subset(d, y %in% c(0, 1)))
  choices$cell <- interaction(choices$row, choices$category, drop = TRUE)
  terms <- c(worker = "(1 | row:worker)", clip_a = "(1 | clip_a)", clip_b = "(1 | clip_b)")
  terms <- terms[sapply(names(terms), function(name) nlevels(choices[[name]]) > 1)]
  fixed <- if (nlevels(choices$cell) > 1) "y ~ 0 + cell" else "y ~ 1"
  model <- lme4::glmer(as.formula(paste(c(fixed, terms), collapse = " + ")), data = choices,
                       family = binomial, control = lme4::glmerControl(optimizer = "bobyqa"))
  print(summary(model), correlation = FALSE)
})

# 2. The Mean of each row, every category counting the same, with a design-based interval in the
# Korn-Graubard form. It is clustered by worker only, so it is too short where clips differ.
part("survey", if (nlevels(d$worker) > 1) {
  d$weight <- 1 / ave(d$y, d$row, d$category, FUN = length)
  for (r in levels(d$row)) {
    design <- survey::svydesign(ids = ~worker, weights = ~weight, data = d[d$row == r, ])
    cat("\\n", r, "\\n")
    print(survey::svyciprop(~y, design, method = "beta"))
  }
})

# 3. Bradley-Terry strengths, a tie half a win for either. The standard errors are those of
# independent judgments.
part("BradleyTerry2", {
  sources <- sort(unique(c(as.character(d$source_a), as.character(d$source_b))))
  counts <- aggregate(cbind(win = y, lose = 1 - y) ~ source_a + source_b, data = d, FUN = sum)
  counts$source_a <- factor(counts$source_a, levels = sources)
  counts$source_b <- factor(counts$source_b, levels = sources)
  print(summary(BradleyTerry2::BTm(cbind(win, lose), source_a, source_b, data = counts)))
})
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
    banner = f'cat("{BANNER}\\n")\n' if judgments.attrs["simulated"] else ""
    write_atomic(out / "analysis.R", f"{banner}{SCRIPT}".encode())
