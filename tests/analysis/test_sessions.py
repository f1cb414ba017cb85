"""Sessions are counted, from a database and from the export's file alike."""

import pandas as pd
import pytest
from sqlalchemy import select

from analysis.errors import JudgmentsError
from analysis.load import load_judgments
from analysis.report import report
from analysis.sessions import devices, read_sessions, session_funnel, survey_answers
from evaluation.database import find_study, open_database
from evaluation.schema import Assignment
from evaluation.study import SurveyQuestion
from freezing import freeze_tables


def sessions(**changes):
    columns = {
        "study": ["paper"] * 4,
        "status": ["approved", "submitted", "accepted", "returned"],
        "seconds": ["120", "240", "", ""],
        "trials": ["10"] * 4,
        "judgments": ["10", "10", "4", "0"],
        "answered": ["10", "10", "4", "0"],
        "device": ["desktop", "desktop", "tablet", ""],
        "screen": ["1920x1080", "1920x1080", "", ""],
        "refresh_hz": [""] * 4,
        "survey": ['{"age": "under 30"}', '{"age": "over 50"}', "", ""],
    }
    return pd.DataFrame({**columns, **changes}, dtype=str)


def test_the_funnel_counts_who_left_on_the_way():
    header, rows = session_funnel(sessions())

    assert header == ("sessions", "number", "percent")
    assert rows == [
        ("started", "4", "100"),
        ("gave an answer", "3", "75"),
        ("answered every trial", "2", "50"),
        ("handed in", "2", "50"),
        ("now accepted", "1", "25"),
        ("now approved", "1", "25"),
        ("now returned", "1", "25"),
        ("now submitted", "1", "25"),
        ("minutes, median", "3.0", ""),
    ]


def test_a_trial_with_several_questions_is_one_trial():
    # Twice as many answers as trials is everything; as many may be half of it.
    found = sessions(judgments=["20", "20", "10", "0"], answered=["10", "10", "5", "0"])

    assert ("answered every trial", "2", "50") in session_funnel(found)[1]


def test_an_older_file_does_not_say_who_answered_every_trial(tmp_path):
    sessions().drop(columns="answered").to_csv(tmp_path / "sessions.csv", index=False)
    rows = session_funnel(read_sessions(None, tmp_path / "judgments.csv", "paper"))[1]

    assert [name for name, *_ in rows[:3]] == ["started", "gave an answer", "handed in"]


def test_devices_are_counted_where_any_is_known():
    rows = devices(sessions())[1]

    assert rows[:3] == [
        ("device", "desktop", "2", "50"),
        ("device", "tablet", "1", "25"),
        ("device", "not known", "1", "25"),
    ]
    assert not any(row[0] == "Hz" for row in rows)


def test_only_declared_choices_are_printed():
    texts = [f'{{"age": "{age}", "say": "I am Ann", "new": "Ann"}}' for age in ("30", "30", "Ann")]
    found = sessions(survey=[*texts, ""])
    found.attrs["choices"] = {"age": ("18", "30"), "say": ()}

    assert survey_answers(found)[1] == [
        ("age", "18", "0", "0"),
        ("age", "30", "2", "67"),
        ("age", "an answer that is not among the choices, not printed", "1", "33"),
        ("say", "free text, not printed", "3", "100"),
        ("new", "not printed: no study file declares its choices", "3", "100"),
    ]


def test_the_study_file_beside_the_sessions_says_which_answers_may_be_printed(tmp_path):
    sessions().to_csv(tmp_path / "sessions.csv", index=False)
    study = tmp_path / "study.toml"

    def answers():
        return [row[:2] for row in survey_answers(read(tmp_path))[1]]

    def read(folder):
        return read_sessions(None, folder / "judgments.csv", "paper")

    hidden = [("age", "not printed: no study file declares its choices")]
    assert answers() == hidden
    study.write_text('[study]\nname = "paper"\n[[survey]]\nid = "age"\ntext = "Age?"\n')
    assert answers() == [("age", "free text, not printed")]
    study.write_text(study.read_text() + 'choices = ["under 30", "over 50"]\n')
    assert answers() == [("age", "under 30"), ("age", "over 50")]
    study.write_text(study.read_text().replace("paper", "another"))
    assert answers() == hidden


def test_a_survey_that_is_no_object_names_its_line():
    with pytest.raises(JudgmentsError, match=r"sessions\.csv:3: column `survey`"):
        survey_answers(sessions(survey=["", "[1]", "", ""]))


@pytest.mark.usefixtures("no_pdf")
def test_sessions_beside_the_judgments_are_in_the_report(judgments_text, write_judgments, tmp_path):
    path = write_judgments(judgments_text(per_cell=10))
    assert read_sessions(None, path, "paper") is None
    sessions().to_csv(tmp_path / "sessions.csv", index=False)
    found = read_sessions(None, path, "paper")

    page = report(load_judgments(file=path), tmp_path / "out", sessions=found).read_text()

    assert "answered every trial" in page
    assert "1920x1080" in page
    assert (tmp_path / "out" / "tables" / "survey.tex").is_file()
    assert read_sessions(None, path, "another").empty


def test_a_database_gives_its_sessions(recorded):
    found = read_sessions(recorded(workers=6), None, "lab")

    assert session_funnel(found)[1][0] == ("started", "6", "100")
    assert survey_answers(found)[1] == []


def test_a_database_knows_the_choices(recorded):
    url = recorded(workers=6)
    with open_database(url) as database, database.write() as session:
        study = find_study(session, None)
        age = SurveyQuestion("age", "Age?", ("18", "30"))
        freeze_tables(study, survey=(age, SurveyQuestion("say", "What else?")))
        for assignment in session.scalars(select(Assignment)):
            assignment.survey = {"age": "30", "say": "Ann"}

    assert survey_answers(read_sessions(url, None, "lab", survey=True))[1] == [
        ("age", "18", "0", "0"),
        ("age", "30", "6", "100"),
        ("say", "free text, not printed", "6", "100"),
    ]


def test_a_file_that_is_no_sessions_file_is_refused(tmp_path):
    (tmp_path / "sessions.csv").write_text("study,status\npaper,approved\n")

    with pytest.raises(JudgmentsError, match="missing required columns: seconds"):
        read_sessions(None, tmp_path / "judgments.csv", "paper")
