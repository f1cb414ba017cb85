"""The errors a user of the analysis can cause; each is one line and an exit code."""

from evaluation.errors import EvaluationError, UsageError

__all__ = [
    "AnalysisError",
    "ConvergenceError",
    "EvaluationError",
    "JudgmentsError",
    "NothingLeft",
    "UsageError",
]


class AnalysisError(EvaluationError):
    """The data cannot carry the analysis that was asked for. Exit code 1."""


class JudgmentsError(AnalysisError):
    """A table of judgments breaks the contract; the message names the file, line and column."""


class NothingLeft(AnalysisError):
    """The exclusion rules leave no judgments. Exit code 1."""


class ConvergenceError(AnalysisError):
    """An estimate does not exist, or was not reached; the message says why."""
