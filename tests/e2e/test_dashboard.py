"""The dashboard in a real browser: accessible, nothing to scroll sideways, fresh by itself."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from webapp.dashboard_child import JOBS

pytestmark = pytest.mark.browser

TOKEN = "a-token-of-some-length"


@pytest.fixture(autouse=True)
def _jobs_without_a_process(monkeypatch):
    monkeypatch.setattr("webapp.dashboard.run_child", lambda job, **asked: JOBS[job](**asked))


def width(page) -> int:
    return page.evaluate("document.documentElement.scrollWidth")


def test_the_dashboard_is_accessible_fits_a_phone_and_keeps_itself_fresh(live, browser):
    server = live(dashboard_token=TOKEN)
    home = f"{server.url}/dashboard/{TOKEN}/"
    page = browser.new_page(viewport={"width": 360, "height": 740})
    complaints = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.clock.install()
    page.goto(home)

    assert Axe().run(page).violations_count == 0
    assert width(page) == 360
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Pause")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    rater = browser.new_page()
    rater.goto(f"{server.url}/local?rater=ann")
    expect(rater.get_by_role("heading", name="This study is taking a break")).to_be_visible()
    rater.close()

    # Somebody else resumes: the open page shows it without a reload, and the focus stays.
    page.get_by_role("button", name="Resume").focus()
    page.request.post(f"{home}resume", form={"token": TOKEN}, max_redirects=0)
    page.clock.run_for(10_500)
    expect(page.get_by_role("button", name="Pause")).to_be_focused()

    page.emulate_media(color_scheme="dark")
    assert Axe().run(page).violations_count == 0
    page.get_by_role("link", name="All 0 workers").click()
    assert Axe().run(page).violations_count == 0
    assert width(page) == 360
    assert complaints == []
    page.close()
