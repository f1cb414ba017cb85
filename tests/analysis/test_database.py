from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image
from sqlalchemy import select

from analysis.exclusions import rules_for
from analysis.load import load_judgments
from analysis.render import render
from analysis.report import main as report_main
from analysis.table import build_table
from analysis.table1 import main
from evaluation.database import open_database
from evaluation.errors import DatabaseError, UsageError
from evaluation.export import export_study
from evaluation.privacy.pseudonyms import database_key, forgotten_id
from evaluation.schema import Worker


def test_database_and_export_give_the_same_table(recorded, tmp_path):
    url = recorded(exclude=("side-bias",))
    with open_database(url) as database:
        export_study(database, None, tmp_path / "out", key=b"k" * 32)
    tables = []
    for source in ({"db": url}, {"file": tmp_path / "out" / "judgments.csv"}):
        judgments = load_judgments(**source)
        tables.append(build_table(judgments, rules_for(judgments, ())))

    assert tables[0] == tables[1]
    assert render(tables[0], "csv") == render(tables[1], "csv")
    assert tables[0].seed == 5
    assert [rule.rule for rule in tables[0].dropped] == ["side-bias:0.001"]


def test_who_came_back_after_being_forgotten_is_one_worker_from_either(recorded, tmp_path):
    url = recorded()
    with open_database(url) as database:
        key = database_key(database)
        with database.write() as unit:
            gone, back = unit.scalars(select(Worker).order_by(Worker.id).limit(2))
            place = (back.crowd, back.environment.value)
            gone.external_id = forgotten_id(key, "worker", *place, back.external_id, row=gone.id)
        export_study(database, None, tmp_path / "out")
    read = load_judgments(db=url)
    exported = load_judgments(file=tmp_path / "out" / "judgments.csv")

    assert read["worker"].nunique() == exported["worker"].nunique() == 5
    assert build_table(read, ()).rows == build_table(exported, ()).rows


def test_reading_makes_no_key_of_the_pseudonyms(recorded, tmp_path):
    load_judgments(db=recorded())

    assert not list(tmp_path.glob("*.key"))


def test_table_from_a_database(recorded):
    result = CliRunner().invoke(main, ["--db", recorded(), "--format", "csv"])

    assert result.exit_code == 0
    assert result.stdout.splitlines()[1].startswith("mine over real,all,")
    assert result.stdout.splitlines()[1].endswith(",144,6")


def test_missing_database_and_unknown_study_are_clear(recorded, tmp_path):
    with pytest.raises(DatabaseError):
        load_judgments(db=f"sqlite:///{tmp_path / 'none.db'}")
    with pytest.raises(UsageError):
        load_judgments(db=recorded(), study="other")


@pytest.mark.usefixtures("no_pdf")
def test_report_from_a_database_shows_example_pairs(recorded, tmp_path):
    url = recorded()
    for i in range(12):
        for source, shade in (("mine", 40), ("real", 200)):
            path = Path(tmp_path / "clips" / source / "all" / f"{i}.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (shade, i, 0)).save(path)
    result = CliRunner().invoke(report_main, ["--db", url, "--out", str(tmp_path / "report")])
    page = (tmp_path / "report" / "report.html").read_text()

    assert result.exit_code == 0, result.output
    assert page.count("data:image/webp;base64,") == 4
    assert "mine over Real, all: 1 of 1" in page
