"""The page in German, from right to left, and with the keyboard alone."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from sqlalchemy import select

from evaluation import schema
from evaluation.languages import built_in
from evaluation.secret import page_key
from evaluation.study import Consent, SurveyQuestion

pytestmark = pytest.mark.browser

GERMAN = built_in("de")
ARABIC = {
    "trial.left": "اليسار", "trial.right": "اليمين", "trial.locked": "شاهد المقطعين مرة واحدة.",
    "trial.open": "يمكنك الإجابة الآن.", "start.button": "ابدأ", "trial.keys_on": "المفاتيح تعمل",
    "questions.realism": "أي فيديو أكثر واقعية؟", "title": "مقارنة مقاطع قصيرة",
}  # fmt: skip
ENGLISH = re.compile(
    r"\b(the|you|this|please|your|both|watch|answer|thank|practice|left|right|needed)\b", re.I
)


def violations(page):
    return [found["id"] for found in Axe().run(page).response["violations"]]


def focused(page):
    return page.evaluate("document.activeElement.tagName + ' ' + document.activeElement.innerText")


def focused_control(page):
    return page.evaluate("document.activeElement.dataset.choice ?? document.activeElement.id")


def press_button(page, name):
    """Tab to a button and press Enter."""
    button = page.get_by_role("button", name=name, exact=True)
    for _ in range(12):
        page.keyboard.press("Tab")
        if button.evaluate("one => one === document.activeElement"):
            page.keyboard.press("Enter")
            return
    raise AssertionError(f"{name} cannot be reached by Tab")


def test_a_german_session_by_keyboard_alone(live, rater, page, stored, rating_study):
    text = {
        "de": {
            "consent": "Ich bin volljährig.", "title": "Kurze Clips", "choices.laptop": "Laptop!",
            "survey.screen": "Welcher Bildschirm?",
        }
    }  # fmt: skip
    survey = (SurveyQuestion("screen", "Which screen?", ("laptop", "monitor"), required=True),)
    recipe = rating_study.Recipe(
        trials=1, practice=1, survey=survey, text=text, consent=Consent("I am of age.")
    )
    one = rater(live(recipe))
    shown, broken = {}, {}

    def look(name, heading):
        expect(page.locator(f"#{name} h1")).to_be_visible()
        expect(page.locator(f"#{name} h1")).to_have_text(heading)
        assert focused(page) == f"H1 {heading}"
        shown[name] = page.locator(f"#{name}").inner_text()
        broken[name] = violations(page)

    one.open()
    look("consent", GERMAN["agreement.heading"])
    press_button(page, "Ich stimme zu")
    look("instructions", "Kurze Clips")
    press_button(page, "Start")
    one.wait_ready()
    look("trial", GERMAN["trial.question"])
    assert [(page.keyboard.press("Tab"), focused_control(page))[1] for _ in range(5)] == [
        "pause", "keys", "left", "right", "replay",
    ]  # fmt: skip
    expect(page.locator("#hint[role=status]")).to_have_text(GERMAN["trial.open"])
    expect(page.get_by_role("img", name="Linker Clip")).to_be_visible()
    expect(page.get_by_role("progressbar", name="Fortschritt")).to_have_attribute(
        "aria-valuetext", "0 von 1 erledigt"
    )
    page.keyboard.press("f")
    look("between", GERMAN["between.heading"])
    press_button(page, "Weiter")
    one.wait_ready()
    page.keyboard.press("ArrowRight")
    look("survey", "Zum Schluss noch ein paar Fragen")
    press_button(page, "Fertig")
    missing = page.get_by_role("alert")
    expect(missing).to_contain_text("Pflichtfrage")
    group = page.get_by_role("radiogroup", name="Welcher Bildschirm?")
    expect(group).to_have_attribute("aria-invalid", "true")
    expect(group).to_have_accessible_description(missing.inner_text())
    expect(group.get_by_label("Laptop!")).to_be_focused()
    broken["survey with a gap"] = violations(page)
    said = missing.evaluate_handle("one => one.firstChild")
    press_button(page, "Fertig")
    assert missing.evaluate("(one, said) => one.firstChild !== said", said)  # it is said again
    expect(group.get_by_label("Laptop!")).to_be_focused()
    page.keyboard.press("Space")
    press_button(page, "Fertig")
    look("done", "Vielen Dank")

    assert page.evaluate("document.documentElement.lang") == "de"
    assert {name: words for name, said in shown.items() if (words := ENGLISH.findall(said))} == {}
    assert {name: found for name, found in broken.items() if found} == {}
    assert len(shown) == 6
    [assignment] = stored(select(schema.Assignment))
    assert assignment.survey in ({"screen": "laptop"}, {"screen": "monitor"})
    assert len(stored(select(schema.Consent))) == 1


def test_a_page_from_right_to_left_keeps_left_left(live, rater, page, stored, rating_study):
    one = rater(live(rating_study.Recipe(trials=2, allow_tie=True, text={"ar": ARABIC})))
    one.open()
    page.get_by_role("button", name="ابدأ").click()
    page.wait_for_selector("#stage [role=img]")
    expect(page.locator("#question")).to_have_text("أي فيديو أكثر واقعية؟")

    def left_of(selector):
        return page.locator(selector).bounding_box()["x"]

    assert page.evaluate("document.documentElement.dir") == "rtl"
    assert left_of("[data-side=left] canvas") < left_of("[data-side=right] canvas")
    assert left_of("button[data-choice=left]") < left_of("button[data-choice=right]")
    # What reads in order is mirrored: the count leads on the right, the keys end on the left.
    assert left_of("#keys") < left_of("#pause") < left_of("#count")
    assert left_of("#hint") < left_of("#replay")
    bar = page.locator("#progress").bounding_box()
    one.wait_ready()
    assert violations(page) == []
    page.keyboard.press("f")
    expect(page.locator("#count")).to_have_text("2 of 2")
    done = page.locator("#progress span").bounding_box()
    assert done["x"] + done["width"] == pytest.approx(bar["x"] + bar["width"], abs=1)
    one.wait_ready()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#done")).to_be_visible()

    chosen = stored(select(schema.Judgment.choice).order_by(schema.Judgment.id))
    assert chosen == ["left", "right"]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_choices_of_a_page_from_right_to_left_stand_in_one_column(live, rater, page, rating_study):
    survey = (SurveyQuestion("age", "العمر", ("18–29", "٣٠ فأكثر")),)
    one = rater(live(rating_study.Recipe(trials=1, survey=survey, text={"ar": ARABIC})))
    one.open()
    page.get_by_role("button", name="ابدأ").click()
    one.wait_ready()
    page.keyboard.press("f")
    expect(page.locator("#survey")).to_be_visible()

    digits, arabic = (radio.bounding_box()["x"] for radio in page.get_by_role("radio").all())
    assert digits == pytest.approx(arabic, abs=1)


@pytest.mark.parametrize("language", ["en", "de"])
def test_previews_and_notices_pass_axe(live, rater, page, stored, rating_study, language):
    server = live(rating_study.Recipe(trials=1, practice=1))
    one = rater(server)
    key = page_key(stored(select(schema.Study))[0].secret)
    broken, headings = {}, set()
    preview = f"/mturk/{key}?assignmentId=ASSIGNMENT_ID_NOT_AVAILABLE&hitId=H"
    for path in (preview, f"/mturk/{key}?hitId=H", "/link/none?participantId=P"):
        one.open(f"{path}{'&' if '?' in path else '?'}lang={language}")
        headings.add(page.locator("h1").inner_text())
        expect(page.locator("#unfit:visible")).to_have_count(0)
        broken[path] = violations(page)
        assert page.evaluate("document.documentElement.lang") == language

    page.set_viewport_size({"width": 390, "height": 700})
    one.open(f"{preview}&lang={language}")
    note = page.locator("#unfit")
    expect(note).to_contain_text(built_in(language)["mturk.decline"])
    expect(note).to_contain_text("390 × 700")
    expect(page.get_by_text(built_in(language)["mturk.accept"])).to_be_hidden()
    broken["small"] = violations(page)

    assert {path: found for path, found in broken.items() if found} == {}
    assert len(headings) == 3


def test_reduced_motion_is_explained_in_the_language(live, rater, browser, rating_study):
    page = browser.new_page(reduced_motion="reduce", locale="de-DE")
    one = rater(live(rating_study.Recipe(trials=1, text={"en": {}, "de": {}})), on=page)
    one.open()
    page.get_by_role("button", name="Start").click()

    expect(page.locator("#cover")).to_contain_text("Ihr Gerät wünscht weniger Bewegung")
    assert focused(page) == "BUTTON Abspielen"
    page.keyboard.press("Enter")
    one.wait_ready()
    page.close()
