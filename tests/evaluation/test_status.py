"""What `vgan-eval status` says of links, and of several questions."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from evaluation.cli import main
from evaluation.database import find_study
from evaluation.errors import StudyPaused
from evaluation.schema import CallState, Environment, Event, Hit
from evaluation.status import status_lines, study_status

NOW = datetime(2026, 5, 1, 9, 0, tzinfo=UTC)


def test_a_link_is_said_to_be_a_link_with_places(database, plan_study):
    study = plan_study(database)
    with database.write() as unit:
        for n, (crowd, environment) in enumerate(
            [("link", "sandbox"), ("link", "production"), ("mturk", "sandbox")]
        ):
            unit.add(
                Hit(
                    study_id=study.id, crowd=crowd, environment=Environment(environment),
                    token=f"t{n}", external_id=f"e{n}", state=CallState.DONE, created_at=NOW,
                    max_assignments=3 + n, expires_at=NOW + timedelta(hours=1 - 2 * n),
                )
            )  # fmt: skip
        unit.flush()
        lines = list(status_lines(study_status(unit, study, NOW)))

    assert "link (sandbox): 1 link with 3 places, open" in lines
    assert "link (production): 1 link with 4 places, over" in lines
    assert "mturk (sandbox): 1 HIT of 5 assignments, over" in lines


def test_a_study_is_paused_and_resumed_and_status_says_so(database, plan_study, begin, capsys):
    study = plan_study(database)

    def said(*command):
        assert main([*command, "--db", database.url]) == 0
        return capsys.readouterr().out

    assert said("pause") == f"{study.name} is paused: nobody new is let in\n"
    assert said("pause") == f"{study.name} was already paused: nobody new is let in\n"
    assert "  paused: nobody new is let in until `vgan-eval resume`\n" in said("status")
    with database.write() as unit, pytest.raises(StudyPaused):
        begin(unit, find_study(unit, None), "ann")

    assert said("resume") == f"{study.name} is running: people are let in\n"
    assert "paused" not in said("status")
    with database.write() as unit:
        assert begin(unit, find_study(unit, None), "ann") is not None
    with database.read() as unit:
        assert list(unit.scalars(select(Event.kind)))[-2:] == ["paused", "resumed"]


@pytest.mark.parametrize("questions", [("realism",), ("realism", "motion")])
def test_a_stopping_rule_is_shown_for_every_question(
    database, plan_study, begin, answer_all, capsys, questions
):
    study = plan_study(database, questions=questions)
    with database.write() as unit:
        answer_all(unit, begin(unit, study, "ann"))
    code = main(["status", "--db", database.url, "--stop-when", "decided"])
    shown = capsys.readouterr()
    heads = [line for line in shown.out.splitlines() if line.startswith("question ")]

    assert (code, shown.err) == (0, "")
    assert shown.out.count("confidence sequences, stop when decided") == len(questions)
    assert heads == ([f"question {name}" for name in questions] if len(questions) > 1 else [])
