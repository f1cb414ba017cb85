"""What the rows of the table are called, in results and on the command line."""

METHODS = (
    "stip",
    "stip-64",
    "coherence-drlim",
    "coherence-l1",
    "shuffle-and-learn",
    "vgan-random",
    "vgan-random-converged",
    "vgan-logistic",
    "vgan-finetune",
    "imagenet",
)
BUDGETS = ("small", "full")
