"""The pages of the report and of figures in a real browser."""

import pytest
from axe_playwright_python.sync_playwright import Axe

from analysis.load import load_judgments
from analysis.report import report
from evaluation.database import open_database
from evaluation.simulate import simulate
from vgan.figures.pages import Section, html_page

pytestmark = pytest.mark.browser


def test_the_report_is_accessible_and_fits_a_phone(make_study, browser, tmp_path):
    url = make_study().url
    with open_database(url) as database:
        simulate(database, None)
    made = report(load_judgments(url), tmp_path)
    page = browser.new_page(viewport={"width": 360, "height": 740})
    page.goto(made.as_uri())

    assert [found["id"] for found in Axe().run(page).response["violations"]] == []
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    for caption in page.locator("caption:not(:empty)").all():
        box = caption.bounding_box()
        assert box["x"] + box["width"] <= 360
    figures = page.get_by_role("img", name="Left answers by worker")
    assert figures.count() == 1


def test_a_page_of_figures_is_accessible(browser):
    table = "measure  two-stream\n" + "stillness  0.25  " * 40
    page = browser.new_page(viewport={"width": 360, "height": 740})
    page.set_content(
        html_page("Gallery", "Made by `vgan`.", [Section("Measures", table=table)]).decode()
    )

    assert [found["id"] for found in Axe().run(page).response["violations"]] == []
    assert page.get_by_text("Made by vgan.").count() == 1
