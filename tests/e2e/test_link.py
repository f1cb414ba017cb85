"""A participant of a panel, from its link to its completion address, in a real browser."""

import re

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from evaluation import schema
from evaluation.database import open_database
from evaluation.links import publish_link
from evaluation.study import Link, Recruit
from freezing import freeze_tables

pytestmark = pytest.mark.browser


def publish(server, text):
    """Open the study's link; finished participants go on to the server's own health check."""
    completion = f"{server.url}/healthz?code={{code}}&who={{participant}}"
    link = Link(participant="participantId", completion=completion, quota=1)
    with open_database(server.built.url) as database:
        with database.write() as unit:
            study = unit.scalars(select(schema.Study)).one()
            freeze_tables(study, recruit=Recruit(crowd="link", link=link), text=text)
        plan = publish_link(database, None, schema.Environment.SANDBOX, server.url)
        return plan.address.removeprefix(server.url).replace("=ID", "=P1")


@pytest.mark.parametrize("thanks", [False, True])
def test_a_finished_participant_goes_back_with_the_code(live, rater, page, rating_study, thanks):
    server = live(rating_study.Recipe(trials=1), open_door=False)
    one = rater(server)
    path = publish(server, {"en": {"thanks": "This is what it was about."}} if thanks else {})
    one.begin(path)
    one.wait_ready()
    page.keyboard.press("f")

    if thanks:  # a text of the study's own can be read in peace
        expect(page.locator("#done")).to_contain_text("This is what it was about.")
        page.get_by_role("link", name="Complete the study").click()
    page.wait_for_url(re.compile(r"/healthz\?code=[A-Z2-7]{10}&who=P1$"))
    code = re.search("code=([A-Z2-7]+)", page.url)[1]

    one.open(path.replace("P1", "P2"))
    expect(page.get_by_role("heading")).to_have_text("All places are taken")
    with open_database(server.built.url) as database, database.read() as session:
        assert session.scalars(select(schema.Assignment.completion_code)).all() == [code]
