"""The commands that the dashboard names, whole: as they can be copied to any terminal."""

import shlex

from evaluation.engine import typed
from evaluation.locations import DATABASE_URL
from webapp.dashboard_snapshot import Snapshot

_PUBLISHING = ("publish", "top-up")
_ON_A_CROWD = (*_PUBLISHING, "review", "pay")
_SEND_ROUND = (
    "For what the plan still lacks, send round the link that vgan-eval serve printed; or name a "
    "crowd under [recruit] in the study file, run vgan-eval init again, then vgan-eval publish."
)


def next_commands(found: Snapshot, *, paused: bool) -> list[tuple[str, str]]:
    """Return what to run next, and what for; a command may be empty, then nothing is to be run."""
    out = []
    if any(money.owed for money in found.money) and not found.simulated:
        out.append(("vgan-eval review", "approves who finished, which pays them"))
    if found.pace.left and not paused and not found.simulated:
        top_up = ("vgan-eval top-up", "publishes what the plan still lacks")
        out.append(top_up if found.for_a_crowd else ("", _SEND_ROUND))
    out.append(("vgan-eval status", "these numbers as text"))
    out.append(("vgan-eval report --out report", "the report: figures, tables, files for R"))
    if not found.pace.left:
        out.append(("vgan-eval export --out out", "the data as files, under pseudonyms"))
    return out


def study_words(database_url: str, study: str) -> str:
    """Return the options by which a command finds the study, wherever it is copied to.

    >>> study_words("sqlite:///vgan-eval.db", "golf"), study_words("sqlite:///my study.db", "golf")
    ('--study golf', "--db 'sqlite:///my study.db' --study golf")
    """
    db = typed(database_url)
    named = f"--study {study}"
    return named if db == DATABASE_URL else f"--db {shlex.quote(db)} {named}"


def whole_command(command: str, database_url: str, found: Snapshot) -> str:
    """Return a command with all the options that it needs for this study.

    Args:
        command: `vgan-eval` and its name.
        database_url: of the study.
        found: of the study; what it has in production is looked for there.
    """
    words = [command, study_words(database_url, found.name)]
    name = command.split()[1]
    if found.address is not None and name in _ON_A_CROWD:
        words.append("--production")
        if found.address and name in _PUBLISHING:
            words.append(f"--url {shlex.quote(found.address)}")
    return " ".join(words)
