"""The errors a user of `vgan-eval` can cause; `evaluation.cli` turns them into exit codes."""


class EvaluationError(Exception):
    """Something failed; the message is one line that says what to do. Exit code 1."""

    exit_code = 1


class UsageError(EvaluationError):
    """The command was asked for something that cannot be. Exit code 2."""

    exit_code = 2


class StudyFileError(UsageError):
    """The study file is wrong; the message names the file, the line and the key."""


class ClipError(EvaluationError):
    """A clip folder, clip or manifest cannot be used; the message names the file."""


class DesignChanged(EvaluationError):
    """The study file no longer matches the design that was frozen in the database."""


class DatabaseError(EvaluationError):
    """The database is missing, older or newer than this program, or not ours."""


class DatabaseOlder(DatabaseError):
    """The database is of an earlier version; `vgan-eval upgrade` brings it up to date.

    Args:
        message: one line.
        revision: of its schema.
    """

    def __init__(self, message: str, revision: str) -> None:
        super().__init__(message)
        self.revision = revision


class NothingLeft(EvaluationError):
    """No trial is left for this worker: every planned judgment is given or being given."""


class SessionClosed(EvaluationError):
    """The assignment was returned, withdrawn or already submitted; it takes no more judgments."""


class StudyPaused(NothingLeft):
    """The study takes nobody new for now; who has started may finish."""


class SessionLimit(NothingLeft):
    """The worker has done as many sessions as the study allows."""


class SessionIncomplete(EvaluationError):
    """A session cannot be finished yet; the message names the showings without an answer."""


class TokenError(EvaluationError):
    """A page's token is forged, damaged, for another study, or too old."""
