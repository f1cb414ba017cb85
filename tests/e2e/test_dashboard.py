"""The dashboard in a real browser: accessible, nothing to scroll sideways, fresh by itself."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from evaluation.database import find_study, open_database
from webapp.dashboard_child import JOBS

pytestmark = pytest.mark.browser

TOKEN = "a-token-of-some-length"


@pytest.fixture(autouse=True)
def _jobs_without_a_process(monkeypatch):
    monkeypatch.setattr("webapp.dashboard.run_child", lambda job, **asked: JOBS[job](**asked))


def width(page) -> int:
    return page.evaluate("document.documentElement.scrollWidth")


# The page's own limit, on the clock that the test runs.
PATIENCE = """AbortSignal.timeout = (ms) => {
  const control = new AbortController();
  setTimeout(() => control.abort(), ms);
  return control.signal;
};"""


def _with_names_of_one_long_word(url) -> None:
    with open_database(url) as database, database.write() as session:
        study = find_study(session, None)
        study.title = "Title" * 20
        study.settings = {**study.settings, "categories": {"beach": "Beach" * 20}}
        for source in study.sources:
            source.display_name = source.name.replace("-", "") + "Method" * 20


def test_the_dashboard_is_accessible_fits_a_phone_and_keeps_itself_fresh(live, browser):
    server = live(dashboard_token=TOKEN)
    _with_names_of_one_long_word(server.built.url)
    home = f"{server.url}/dashboard/{TOKEN}/"
    page = browser.new_page(viewport={"width": 360, "height": 740})
    complaints = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.clock.install()
    page.add_init_script(PATIENCE)
    page.goto(home)

    assert Axe().run(page).violations_count == 0
    assert width(page) == 360
    page.set_viewport_size({"width": 320, "height": 740})
    assert width(page) == 320
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

    # A connection that goes silent is given up, and the next one shows the numbers again.
    lost = page.locator("#lost")
    page.route("**/live", lambda route: None, times=1)
    page.clock.run_for(10_500)
    page.clock.run_for(20_500)
    expect(lost).to_contain_text("The server does not answer")
    page.clock.run_for(10_500)
    expect(lost).to_be_empty()

    page.emulate_media(color_scheme="dark")
    assert Axe().run(page).violations_count == 0
    page.get_by_role("link", name="All 0 workers").click()
    assert Axe().run(page).violations_count == 0
    assert width(page) == 320
    assert complaints == []
    page.close()


def test_many_cells_stand_side_by_side_and_leave_the_charts_small(live, browser, rating_study):
    questions = tuple((f"question-{n}", f"Question {n}?") for n in range(41))
    server = live(rating_study.Recipe(questions=questions), dashboard_token=TOKEN)
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(f"{server.url}/dashboard/{TOKEN}/")
    cells = page.locator("section", has=page.locator("#h-cells"))
    boxes = [row.bounding_box() for row in cells.locator(".cells").all()]
    charts = [
        page.locator("section", has=page.locator(h)).bounding_box() for h in ("#h-time", "#h-speed")
    ]

    assert len(boxes) == 41
    assert boxes[0]["y"] == boxes[1]["y"]
    assert max(chart["height"] for chart in charts) < 300
    page.close()
