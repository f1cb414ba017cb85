"""What takes the analysis or the whole data, in a process of its own: `python -m` this module.

Table 1 and an export keep Python busy for as long as they take. In the server's process every
rater would feel that; a child at low priority leaves the server its core, and gives its memory
back. The request comes on standard input, because it may hold a database password; the reply is
one JSON object on standard output.
"""

import contextlib
import json
import os
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from evaluation.errors import EvaluationError

_LONGEST_S = 1800
_NICE = 10


def run_child(job: str, **request: Any) -> Any:
    """Run a job of `JOBS` in a child process and return what it returns.

    Raises:
        EvaluationError: the job refused, crashed, or ran for half an hour.
    """
    command = [sys.executable, "-m", "webapp.dashboard_child"]
    asked = json.dumps({"job": job, **request})
    here = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(  # noqa: S603 (our own module; the request is not in the command)
            command,
            input=asked,
            capture_output=True,
            text=True,
            timeout=_LONGEST_S,
            check=False,
            env=here,
        )
    except subprocess.TimeoutExpired:
        raise EvaluationError(f"{job}: not done after {_LONGEST_S // 60} minutes") from None
    try:
        reply = json.loads(done.stdout)
    except ValueError:
        said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        raise EvaluationError(f"{job}: the process ended with {done.returncode} ({said})") from None
    if "error" in reply:
        raise EvaluationError(reply["error"])
    return reply["result"]


def tables(db: str, study: str) -> dict[str, Any]:
    """Return Table 1 of every question as JSON values.

    Args:
        db: database URL.
        study: its name.

    Returns:
        `tables`, each as `analysis.data.to_dict` with `done` (by row, whether it may stop) where a
        stopping rule is declared; `rule`, that rule as text; `empty`, questions without judgments.
    """
    from evaluation import frozen
    from evaluation.database import find_study, open_database
    from evaluation.planning.progress import study_progress

    with open_database(db) as database, database.read() as session:
        found = find_study(session, study)
        counted: Counter[str] = Counter()
        for cell in study_progress(session, found):
            counted[cell.question] += cell.counted
        rule = frozen.analysis(found).stop_when
    made = [_table(db, study, question, rule) for question, n in counted.items() if n]
    return {"tables": made, "rule": rule or "", "empty": [q for q, n in counted.items() if not n]}


def _table(db: str, study: str, question: str, rule: str | None) -> dict[str, Any]:
    from analysis.data import to_dict
    from analysis.exclusions import rules_for
    from analysis.load import load_judgments
    from analysis.sequential import is_done
    from analysis.table import build_table
    from evaluation.study_file.stop_rule import parse_stop

    judgments = load_judgments(db, study=study, question=question)
    table = build_table(judgments, rules_for(judgments, ()))
    made = to_dict(table)
    if rule:
        stop = parse_stop(rule)
        made["done"] = {row.comparison.label: is_done(row.mean, stop) for row in table.rows}
    return made


def export(db: str, study: str, out: str) -> dict[str, int]:
    """Write a study's export as one zip file; returns how many judgments it has.

    Args:
        db: database URL.
        study: its name.
        out: the file, which must not be there yet.
    """
    from evaluation.database import open_database
    from evaluation.export import export_study

    with open_database(db) as database, TemporaryDirectory(dir=Path(out).parent) as folder:
        report = export_study(database, study, Path(folder) / study)
        with zipfile.ZipFile(out, "x", zipfile.ZIP_DEFLATED) as packed:
            for file in sorted(report.folder.iterdir()):
                packed.write(file, f"{study}/{file.name}")
    return {"judgments": report.judgments}


JOBS: dict[str, Callable[..., Any]] = {"tables": tables, "export": export}


def main() -> None:
    """Do the job that standard input asks for."""
    with contextlib.suppress(OSError):  # not allowed, or no such thing here: then as it is
        os.nice(_NICE)
    request = json.load(sys.stdin)
    try:
        reply = {"result": JOBS[request.pop("job")](**request)}
    except EvaluationError as error:
        reply = {"error": str(error)}
    json.dump(reply, sys.stdout)


if __name__ == "__main__":
    main()
