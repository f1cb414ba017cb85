"""The whole loop on the fake of Prolific: publish, take part, come back by the code, pay, table."""

import csv
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from analysis import table1
from evaluation import schema
from evaluation.cli import main
from evaluation.database import open_database
from evaluation.prolific_sandbox import create_service
from evaluation.storage import LocalStore
from evaluation.study import Consent, Display, Pay, Recruit
from freezing import freeze_tables
from webapp import create_app

pytestmark = pytest.mark.browser


@pytest.fixture
def loop(running, rating_study, study_template, tmp_path, monkeypatch):
    """Both servers for a study of two workers with two pairs each; yields both addresses."""
    recipe = rating_study.Recipe(
        frames=4, trials=2, raters=2, sessions=1, consent=Consent(text="You may stop."),
        display=Display(box=192),
    )  # fmt: skip
    made, _ = study_template(recipe)
    shutil.copy(made / "study.db", tmp_path / "study.db")
    shutil.copytree(made / "media", tmp_path / "media")
    url = f"sqlite:///{tmp_path / 'study.db'}"
    with open_database(url) as database, database.write() as session:
        study = session.scalars(select(schema.Study)).one()
        freeze_tables(
            study, pay=Pay(reward_cents=40, bonus_cents=5, expected_minutes=2),
            recruit=Recruit(crowd="prolific", hit_title="Which clip looks real?"),
        )  # fmt: skip
    monkeypatch.setenv("VGAN_EVAL_DB", url)
    service = create_service(f"sqlite:///{tmp_path / 'service.db'}")
    with running(service) as site_port:
        monkeypatch.setenv("PROLIFIC_API_URL", f"http://127.0.0.1:{site_port}/api/v1/")
        app = create_app(url, LocalStore(tmp_path / "media"))
        with running(app) as port:
            yield f"http://127.0.0.1:{site_port}", f"http://localhost:{port}"
        app.extensions["vgan_eval"].database.close()
    service.extensions["prolific_sandbox"].close()


def _take_part(page: Page, site: str, name: str) -> None:
    page.goto(site)
    page.get_by_label("Participant's name").fill(name)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Take part").click()
    page.get_by_role("button", name="Open the study").click()
    page.get_by_role("button", name="I agree").click()
    page.get_by_role("button", name="Start").click()
    for number in (1, 2):
        expect(page.locator("#count")).to_have_text(f"{number} of 2")
        expect(page.locator("#trial.ready")).to_be_visible()
        page.locator("button.answer[data-choice=left]").click()


def test_from_publishing_to_table_1(page: Page, loop, tmp_path: Path, capsys) -> None:
    site, pages = loop
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    # The study file names the crowd, so no command has to.
    assert main(["publish", "--url", pages, "--yes"]) == 0
    # Two sessions of 40 cents and a fee of 14 each; three paid screen-outs of 20 and 7.
    assert "In all 1.89 USD on prolific, sandbox." in capsys.readouterr().out

    _take_part(page, site, "ann")

    expect(page.get_by_role("status")).to_contain_text("Awaiting review")
    assert page.url.startswith(f"{site}/participant/submissions/")

    for command in (["review"], ["review"], ["pay", "--yes"], ["status"]):
        assert main(command) == 0
    shown = capsys.readouterr().out
    assert "2 of 4 judgments" in shown
    assert "reward done: 0.40 USD in 1 payment" in shown
    assert "bonus done: 0.05 USD in 1 payment" in shown
    page.goto(site)
    expect(page.get_by_role("row", name="Which clip looks real?")).to_contain_text("Approved")

    assert main(["export", "--out", str(tmp_path / "out")]) == 0
    judgments = tmp_path / "out" / "judgments.csv"
    with judgments.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {(row["crowd"], row["environment"]) for row in rows} == {("prolific", "sandbox")}
    capsys.readouterr()
    table1.main(["--judgments", str(judgments), "--format", "csv"], standalone_mode=False)
    table = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    beach = next(row for row in table if row["category"] == "beach")
    real = sum(row["label"].startswith("real/") for row in rows)
    assert (beach["n"], float(beach["percent"])) == ("2", 100 * real / 2)
    assert errors == []
