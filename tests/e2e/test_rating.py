"""A session in a real browser: what is painted, when answers count, and what survives a fault."""

import io
import math
import re
import time

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import expect
from sqlalchemy import select

from evaluation import schema
from evaluation.database import open_database
from evaluation.study import Consent, Display, SurveyQuestion
from freezing import freeze_tables

pytestmark = pytest.mark.browser

LOOP_MS = 500  # of the study's clips: 6 frames at 12 per second
# What a page is told that the browser kept while its rater was elsewhere.
COME_BACK = "window.dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))"

# Notes every drawImage with the animation tick it happened in.
RECORD_DRAWS = """
window.draws = []; window.tick = 0;
const request = window.requestAnimationFrame.bind(window);
window.requestAnimationFrame = (call) => request((now) => { window.tick = now; call(now); });
const draw = CanvasRenderingContext2D.prototype.drawImage;
CanvasRenderingContext2D.prototype.drawImage = function (image, x, y, ...rest) {
  window.draws.push([window.tick, this.canvas.getAttribute('aria-label'), x, y]);
  return draw.call(this, image, x, y, ...rest);
};
"""
PIXELS = """canvas => Array.from(
  canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data)"""


def painted(canvas) -> np.ndarray:
    """The canvas's own pixels, (H, W, 3)."""
    size = canvas.evaluate("canvas => [canvas.height, canvas.width]")
    return np.array(canvas.evaluate(PIXELS), np.uint8).reshape(*size, 4)[..., :3]


def is_on_screen(canvas, expected: np.ndarray, ratio: float) -> bool:
    """Whether the screen shows exactly these pixels (H, W, 3) where the canvas is.

    The browser puts a canvas that lies between two of the screen's pixels on either of them.
    """
    screen = np.asarray(Image.open(io.BytesIO(canvas.page.screenshot())).convert("RGB"))
    box = canvas.bounding_box()
    height, width, _ = expected.shape
    tops, lefts = ([math.floor(box[side] * ratio) + i for i in (0, 1)] for side in ("y", "x"))
    return any(
        np.array_equal(screen[top : top + height, left : left + width], expected)
        for top in tops
        for left in lefts
    )


def judgments(stored):
    return stored(select(schema.Judgment).order_by(schema.Judgment.id))


STEP_MS = 50
PATIENCE_S = 30  # real time: as long as Playwright's own waits


def run_until(page, there) -> None:
    """Run the page's clock in steps; what the server does meanwhile takes real time."""
    end = time.monotonic() + PATIENCE_S
    while not there():
        assert time.monotonic() < end, "it never came"
        page.clock.run_for(STEP_MS)


def run_until_pair(page, number: int) -> None:
    """Run the clock until a pair is on screen, at most STEP_MS after its first frame."""
    text = re.compile(rf"^{number} of")
    shown = page.locator("#count").filter(has_text=text)
    clips = page.locator("#stage [role=img]")
    # The canvases are there up to one refresh before their first frame, where the time starts.
    run_until(page, lambda: shown.count() and clips.count() and painted(clips.first).any())


@pytest.fixture
def frozen(live, rater, page):
    """Begin a session under a clock that stands still unless the test runs it."""

    def begin(recipe=None):
        one = rater(live(recipe))
        page.clock.install()
        one.open()
        page.get_by_role("button", name="Start").wait_for()
        # It stops at a moment still to come, and a busy machine's next call may be seconds away.
        page.clock.pause_at(page.evaluate("Date.now()") / 1000 + 60)
        one.press_start()
        run_until_pair(page, 1)
        return one

    return begin


@pytest.mark.parametrize("ratio", [1, 2])
def test_source_pixels_reach_the_screen_with_error_zero(live, rater, browser, ratio):
    page = browser.new_page(device_scale_factor=ratio, viewport={"width": 1001, "height": 701})
    one = rater(live(), on=page)
    one.begin()
    page.get_by_role("button", name="Pause").click()

    for side in ("left", "right"):
        drawn = painted(one.canvas(side))
        frames = one.frames(side)
        scale = one.state["showing"][side]["layout"]["scale"] * ratio
        index = ((np.arange(int(64 * scale)) + 0.5) / scale).astype(int)

        assert [np.array_equal(drawn, frame) for frame in frames].count(True) == 1
        assert is_on_screen(one.canvas(side), drawn[index][:, index], ratio)
    page.close()


def test_frame_k_is_drawn_at_its_time_and_both_sides_together(live, rater, page):
    one = rater(live())
    page.clock.install()
    page.add_init_script(RECORD_DRAWS)
    one.begin()
    page.clock.run_for(4 * LOOP_MS)
    draws = page.evaluate("window.draws.filter(([tick]) => tick > 0)")
    columns = one.state["showing"]["left"]["layout"]["columns"]
    ticks: dict[float, dict[str, int]] = {}
    for tick, label, x, y in draws:
        ticks.setdefault(tick, {})[label] = y // 64 * columns + x // 64
    order = [shown["Left clip"] for shown in ticks.values()]
    start = min(ticks)

    assert all(shown["Left clip"] == shown["Right clip"] for shown in ticks.values())
    assert order[:18] == list(range(6)) * 3
    for tick, shown in ticks.items():
        # Half a tick of the screen ahead, whose length the page has measured.
        near = {int((tick - start + ahead) * 12 / 1000) % 6 for ahead in (0, 17)}
        assert shown["Left clip"] in near


def test_answers_are_locked_until_both_clips_played_once(frozen, page, stored):
    one = frozen()
    left = page.get_by_role("button", name="Left F")

    page.clock.run_for(LOOP_MS - 2 * STEP_MS)
    page.keyboard.press("f")
    page.keyboard.press("ArrowRight")
    left.click(force=True)
    expect(left).to_have_attribute("aria-disabled", "true")
    page.clock.run_for(3 * STEP_MS)
    expect(left).to_have_attribute("aria-disabled", "false")
    page.keyboard.press("j")
    run_until_pair(page, 2)
    page.clock.run_for(2 * LOOP_MS)
    page.keyboard.press("f")
    run_until_pair(page, 3)

    judgment, following = judgments(stored)
    assert judgment.choice == "right"
    assert [one.details["early_presses"] for one in (judgment, following)] == [3, 0]
    assert judgment.details["input"] == "key"
    assert one.errors == []


def test_response_time_runs_from_the_first_frame_to_the_key(frozen, page, stored):
    frozen()
    page.clock.run_for(1234)

    page.keyboard.press("ArrowLeft")
    run_until_pair(page, 2)

    [judgment] = judgments(stored)
    assert 1234 <= judgment.rt_ms <= 1234 + STEP_MS
    assert judgment.rt_ms - 20 <= judgment.clip_ms <= judgment.rt_ms
    assert judgment.details["loops"] == pytest.approx(judgment.clip_ms / LOOP_MS, abs=0.02)
    assert judgment.details["frames_drawn"] == 2 * (1 + int(judgment.clip_ms * 12 / 1000 + 0.1))
    assert 15 < judgment.details["largest_gap_ms"] < 20  # of a display at 60 Hz


def test_a_replay_starts_both_clips_again_and_is_counted(frozen, page, stored):
    one = frozen()
    page.clock.run_for(250)

    page.keyboard.press("Space")
    page.clock.run_for(20)

    assert np.array_equal(painted(one.canvas("left")), one.frames("left")[0])
    page.clock.run_for(LOOP_MS - 2 * STEP_MS)  # the pass that was broken off does not count
    expect(page.get_by_role("button", name="Left F")).to_have_attribute("aria-disabled", "true")
    page.clock.run_for(3 * STEP_MS)
    page.keyboard.press("f")
    run_until_pair(page, 2)
    [judgment] = judgments(stored)
    assert judgment.details["replays"] == 1
    assert 1 <= judgment.details["loops"] < 1.2
    assert judgment.rt_ms >= 250 + LOOP_MS


def test_each_key_answers_for_its_side(frozen, page, stored, rating_study):
    keys = ("f", "j", "ArrowLeft", "ArrowRight")
    frozen(rating_study.Recipe(trials=5))
    for number, key in enumerate(keys, start=1):
        run_until_pair(page, number)
        page.clock.run_for(2 * LOOP_MS)
        page.keyboard.press(key)
    run_until_pair(page, 5)

    assert [j.choice for j in judgments(stored)] == ["left", "right", "left", "right"]


def test_combinations_and_other_keys_answer_nothing(frozen, page, stored):
    frozen()
    page.clock.run_for(2 * LOOP_MS)

    for keys in ("Control+f", "Alt+j", "Shift+ArrowLeft", "g", "a", "Enter"):
        page.keyboard.press(keys)
    page.clock.run_for(400)

    expect(page.locator("#count")).to_have_text("1 of 3")
    assert judgments(stored) == []


def test_a_held_key_answers_one_pair_only(frozen, page, stored):
    frozen()
    page.clock.run_for(2 * LOOP_MS)
    page.keyboard.down("f")
    run_until_pair(page, 2)
    page.clock.run_for(2 * LOOP_MS)
    page.keyboard.down("f")  # a second `down` of a held key is a repeat
    page.clock.run_for(400)

    assert len(judgments(stored)) == 1


def test_a_double_click_answers_once(live, rater, page, stored):
    one = rater(live())
    one.begin()
    one.wait_ready()

    page.locator(".side[data-side=right] .frame").dblclick()

    expect(page.locator("#count")).to_have_text("2 of 3")
    [judgment] = judgments(stored)
    assert (judgment.choice, judgment.details["input"]) == ("right", "click")


def second_click(page, selector):
    """Press what the system takes for the second half of a double click."""
    page.locator(selector).hover()
    page.mouse.down(click_count=2)
    page.mouse.up(click_count=2)


def test_a_second_press_answers_no_question_that_nobody_can_have_read(
    frozen, page, stored, rating_study
):
    questions = (("realism", "Which is more real?"), ("motion", "Which moves better?"))
    frozen(rating_study.Recipe(trials=1, questions=questions))
    page.clock.run_for(2 * LOOP_MS)
    page.locator(".side[data-side=right] .frame").click()
    expect(page.locator("#question")).to_have_text("Which moves better?")
    page.clock.run_for(250)
    page.keyboard.press("f")
    page.clock.run_for(150)
    second_click(page, ".side[data-side=left] .frame")  # slower than most, and still a double one
    page.clock.run_for(150)
    second_click(page, ".side[data-side=right] .frame")
    run_until(page, page.locator("#done").is_visible)

    assert [(j.choice, round(j.rt_ms, -1)) for j in judgments(stored)][1:] == [("right", 550)]
    assert len(judgments(stored)) == 2


def test_keys_can_be_switched_off(live, rater, page, stored):
    one = rater(live())
    one.begin()
    one.wait_ready()
    page.get_by_role("button", name="Keys on").click()
    page.locator("#question").focus()
    page.keyboard.press("f")
    page.get_by_role("button", name="Keys off").click()
    page.locator("#question").focus()
    page.keyboard.press("j")

    expect(page.locator("#count")).to_have_text("2 of 3")
    assert [j.choice for j in judgments(stored)] == ["right"]


HIDE = """hidden => {
    Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
}"""


def test_a_hidden_tab_pauses_and_comes_back_with_a_replay(frozen, page, stored):
    frozen()
    page.clock.run_for(LOOP_MS // 2)
    page.evaluate(HIDE, True)
    expect(page.get_by_text("Paused while you were away.")).to_be_visible()
    page.clock.run_for(5000)
    page.locator("#pause").click()
    page.keyboard.press("f")
    expect(page.locator("#hint")).to_have_text("Paused while you were away.")
    page.evaluate(HIDE, False)
    expect(page.get_by_text("Paused while you were away.")).to_be_hidden()
    page.evaluate(HIDE, True)
    page.clock.run_for(1000)
    page.evaluate("window.dispatchEvent(new Event('focus'))")  # still hidden
    page.clock.run_for(1000)
    page.evaluate("document.hasFocus = () => false")
    page.evaluate(HIDE, False)  # beside the window that is worked in
    page.clock.run_for(1000)
    page.evaluate("window.dispatchEvent(new Event('focus'))")
    page.clock.run_for(2 * LOOP_MS)
    page.keyboard.press("f")
    run_until_pair(page, 2)

    [judgment] = judgments(stored)
    assert 8000 <= judgment.details["hidden_ms"] < 8200
    assert judgment.details["early_presses"] == 1
    assert judgment.clip_ms < 2500
    whole = judgment.clip_ms - LOOP_MS / 2  # without the pass that was broken off
    assert judgment.details["loops"] == pytest.approx(whole / LOOP_MS, abs=0.1)


def test_reduced_motion_waits_for_the_rater(live, rater, page, stored):
    page.emulate_media(reduced_motion="reduce")
    one = rater(live())
    one.begin()
    play = page.locator("#cover").get_by_role("button", name="Play")
    expect(play).to_be_focused()
    for hidden in (page.locator(".answer").first, page.locator("#replay")):
        hidden.focus()  # which the cover may hide
        expect(play).to_be_focused()
    for side in ("left", "right"):
        assert np.array_equal(painted(one.canvas(side)), one.frames(side)[0])

    asked = page.evaluate("performance.now()")
    play.click()
    one.wait_ready()
    page.evaluate("for (const kind of ['blur', 'focus']) window.dispatchEvent(new Event(kind))")
    page.keyboard.press("f")
    expect(page.locator("#hint")).to_have_text(page.locator("#cover p").inner_text())
    play.dblclick(position={"x": 5, "y": 5})  # its second half falls on the left clip
    expect(page.locator("#hint")).to_have_text("You can answer now.")
    page.keyboard.press("f")
    answered = page.evaluate("performance.now()")

    expect(page.locator("#count")).to_have_text("2 of 3")
    [judgment] = judgments(stored)
    assert judgment.rt_ms <= answered - asked  # without the picture that stood before
    assert judgment.details["blurs"] == 1
    assert judgment.details["reduced_motion"] is True
    assert judgment.details["early_presses"] == 0  # answers were open all the while
    assert judgment.details["input"] == "key"


def test_pause_stops_the_clips_and_play_goes_on(frozen, page):
    one = frozen()
    page.clock.run_for(100)
    page.get_by_role("button", name="Pause").click()
    still = painted(one.canvas("left"))
    page.clock.run_for(1000)

    assert np.array_equal(painted(one.canvas("left")), still)

    page.locator("#pause").click()
    page.clock.run_for(250)

    assert not np.array_equal(painted(one.canvas("left")), still)


def test_a_whole_session_in_real_time_ends_with_a_code(live, rater, page, stored, rating_study):
    survey = (SurveyQuestion("notes", "Anything else?"),)
    recipe = rating_study.Recipe(
        trials=2, practice=1, gold=1, survey=survey, consent=Consent("I am of age.")
    )
    one = rater(live(recipe))
    one.open()
    page.get_by_role("button", name="I agree").click()
    # The second half of a double click on the screen before.
    page.get_by_role("button", name="Start").dispatch_event("click", {"detail": 2})
    one.press_start()
    expect(page.locator("#count")).to_have_text("Practice 1 of 1")
    one.wait_ready()
    page.keyboard.press("f")
    expect(page.locator("#hint")).to_have_text(re.compile("the one|the other one"))
    page.get_by_role("button", name="Continue").click()
    for number in (1, 2, 3):
        expect(page.locator("#count")).to_have_text(f"{number} of 3")
        one.wait_ready()
        page.keyboard.press("j")
    page.get_by_label("Anything else?").fill("no")
    page.get_by_role("button", name="Finish").dblclick()

    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    [assignment] = stored(select(schema.Assignment))
    assert page.locator("#code").text_content() == assignment.completion_code
    assert assignment.survey == {"notes": "no"}
    assert assignment.environment_details["viewport"] == [1280, 720]
    assert len(judgments(stored)) == 4
    assert all(LOOP_MS <= j.rt_ms < 10_000 for j in judgments(stored))
    assert page.context.cookies() == []
    assert page.evaluate("localStorage.length + sessionStorage.length") == 0


def test_a_reload_resumes_at_the_first_unanswered_pair(live, rater, page, stored):
    one = rater(live())
    one.begin()
    one.wait_ready()
    page.keyboard.press("f")
    expect(page.locator("#count")).to_have_text("2 of 3")

    page.reload()

    expect(page.locator("#count")).to_have_text("2 of 3")
    one.wait_ready()
    page.keyboard.press("f")
    expect(page.locator("#count")).to_have_text("3 of 3")
    assert len(judgments(stored)) == 2


def test_a_finished_session_stays_finished_on_reload(live, rater, page, rating_study):
    one = rater(live(rating_study.Recipe(trials=1)))
    one.begin()
    one.wait_ready()
    page.keyboard.press("f")
    code = page.locator("#code")
    expect(code).to_have_text(re.compile("[A-Z2-7]{10}"))
    before = code.text_content()

    with page.expect_navigation():
        page.evaluate(COME_BACK)  # the page may be older than the database: it is loaded anew

    expect(code).to_have_text(before)


def test_a_lost_judgment_is_sent_again_and_stored_once(frozen, page, stored):
    one = frozen()
    page.clock.run_for(2 * LOOP_MS)
    page.route("**/api/judgment", lambda route: None, times=1)  # a connection that went silent
    one.server.faults["/api/judgment"] = ["lost"]  # and then a lost reply

    page.keyboard.press("f")
    page.clock.fast_forward(1600)
    expect(page.locator("#hint")).to_have_text("Saving…")
    page.clock.fast_forward(18_500)
    expect(page.locator("#hint")).to_have_text("Saving… no reply yet, trying again.")
    run_until_pair(page, 2)

    assert one.server.seen.count("/api/judgment") == 2
    [judgment] = judgments(stored)
    assert judgment.rt_ms < 2 * LOOP_MS + 2 * STEP_MS


def test_an_answer_outlives_a_connection_that_stays_away(frozen, page, stored):
    one = frozen()
    page.clock.run_for(2 * LOOP_MS)
    one.server.faults["/api/judgment"] = [429, 503, 503, 503, 503, 503]
    page.keyboard.press("j")
    retry = page.get_by_role("button", name="Try again")
    run_until(page, retry.is_visible)
    expect(page.locator("#notice h1")).to_have_text("No connection")
    page.evaluate("window.answering = true")

    retry.click()
    run_until_pair(page, 2)

    assert page.evaluate("window.answering")  # it was not loaded anew, answer and all
    [judgment] = judgments(stored)
    assert judgment.choice == "right"
    assert judgment.rt_ms < 2 * LOOP_MS + 2 * STEP_MS


def test_slow_clips_are_waited_for_and_silent_ones_are_fetched_again(live, page):
    page.clock.install()
    page.goto(live().url + "/join/nothing")
    page.clock.pause_at(page.evaluate("Date.now()") / 1000 + 60)
    page.evaluate("""async () => {
        const styles = document.querySelector('link[rel=stylesheet]').href;
        const { Pairs } = await import(new URL('media.js', styles));
        let bodies = [];
        window.fetch = async (url, { signal }) => new Response(new ReadableStream({
            start(body) {
                bodies.push(body);
                signal.addEventListener('abort', () => {
                    body.error(signal.reason);
                    bodies = bodies.filter((one) => one !== body);
                });
            },
        }));
        window.send = () => bodies.forEach((body) => body.enqueue(new Uint8Array(4)));
        window.end = () => { bodies.forEach((body) => body.close()); bodies = []; };
        const clip = { url: '', bytes: 12, layout: { kind: 'video' } };
        window.ask = (position) => {
            window.outcome = 'waiting';
            const pair = new Pairs().fetch(
                { position, left: clip, right: clip }, () => { window.outcome = 'again'; },
            );
            pair.then(({ retries }) => { window.outcome = retries; });
        };
    }""")

    def hear(*waits: int) -> None:
        for wait in waits:
            page.clock.run_for(wait)
            page.evaluate("send()")

    page.evaluate("ask(1)")
    hear(19_900, 19_900, 19_900)
    page.evaluate("end()")
    page.wait_for_function("outcome === 0")

    page.evaluate("ask(2)")
    hear(19_900)
    page.clock.run_for(19_900)
    assert page.evaluate("outcome") == "waiting"
    page.clock.run_for(200)
    assert page.evaluate("outcome") == "again"

    page.evaluate("ask(3)")
    hear(50, 50)
    page.evaluate("end()")  # a third too soon
    page.wait_for_function("outcome !== 'waiting'")
    assert page.evaluate("outcome") == "again"


def test_slow_media_show_no_side_alone(live, rater, page):
    server = live()
    one = rater(server)
    server.hold.clear()
    one.open()
    one.press_start()
    expect(page.locator("#hint")).to_have_text("Loading…")
    assert page.locator("#stage [role=img]").count() == 0

    server.hold.set()

    expect(page.locator("#stage [role=img]")).to_have_count(2)


@pytest.mark.parametrize(
    ("status", "heading"), [(404, "A clip is missing"), (503, "No connection")]
)
def test_a_clip_that_stays_away_offers_to_try_again(live, rater, page, status, heading):
    server = live()
    one = rater(server)
    page.clock.install()
    server.faults["/media/"] = [status] * 12
    one.open()
    one.press_start()
    retry = page.get_by_role("button", name="Try again")
    while not retry.is_visible():
        assert page.locator("#stage [role=img]").count() == 0
        page.clock.run_for(1000)
    expect(page.locator("#notice h1")).to_have_text(heading)
    server.faults.clear()

    retry.click()

    expect(page.locator("#stage [role=img]")).to_have_count(2)


def seconds_until(page, there) -> int:
    """Run the page's clock until something is so; returns how many of its seconds that took."""
    start, end = page.evaluate("performance.now()"), time.monotonic() + PATIENCE_S
    while not there():
        assert time.monotonic() < end, "it never came"
        page.clock.run_for(500)
    return round((page.evaluate("performance.now()") - start) / 1000)


def test_a_page_that_nobody_is_at_goes_on_by_itself_after_an_outage(frozen, page, stored):
    one = frozen()
    page.clock.run_for(2 * LOOP_MS)
    one.server.faults["/api/judgment"] = [503] * 18
    notice = page.get_by_role("heading", name="No connection")
    pauses = []

    page.keyboard.press("f")
    for _ in range(3):
        seconds_until(page, notice.is_visible)
        pauses.append(seconds_until(page, notice.is_hidden))

    run_until_pair(page, 2)
    assert pauses == [pytest.approx(seconds, abs=1) for seconds in (10, 20, 40)]
    assert [judgment.choice for judgment in judgments(stored)] == ["left"]


def test_a_survey_that_was_handed_in_before_an_outage_is_not_asked_for_again(
    live, rater, page, stored, rating_study
):
    survey = (SurveyQuestion("notes", "Anything else?"),)
    one = rater(live(rating_study.Recipe(trials=1, survey=survey)))
    one.begin()
    one.wait_ready()
    page.keyboard.press("f")
    page.get_by_label("Anything else?").fill("a long remark")
    one.server.faults["/api/finish"] = [503] * 6
    page.clock.install()
    page.get_by_role("button", name="Finish").click()

    seconds_until(page, page.get_by_role("heading", name="Thank you").is_visible)

    assert stored(select(schema.Assignment))[0].survey == {"notes": "a long remark"}


def test_a_script_that_does_not_come_is_told_of(live, rater, page):
    server = live()
    one = rater(server)
    page.route("**/sprites.js", lambda route: route.abort())
    one.open()
    expect(page.get_by_role("heading", name="This page did not load")).to_be_visible()
    expect(page.locator("#loading")).to_be_hidden()
    page.unroute("**/sprites.js")

    page.get_by_role("button", name="Reload").click()

    expect(page.get_by_role("button", name="Start")).to_be_visible()


def test_a_script_that_never_comes_is_told_of_and_may_still_come(live, rater, page):
    server = live()
    rater(server)
    late = []
    page.clock.install()
    page.route("**/sprites.js", lambda route: late.append(route))
    page.goto(server.url + "/local?rater=ann", wait_until="commit")
    heading = page.get_by_role("heading", name="This page did not load")
    run_until(page, heading.is_visible)
    assert page.evaluate("performance.now()") >= 15_000

    for route in late:
        route.continue_()

    expect(page.get_by_role("button", name="Start")).to_be_visible()
    expect(heading).to_be_hidden()


def test_the_next_pair_is_fetched_while_this_one_plays(live, rater, page):
    server = live()
    one = rater(server)
    one.begin()

    expect(page.locator("#count")).to_have_text("1 of 3")
    entries = "performance.getEntriesByType('resource').map((entry) => entry.name)"
    page.wait_for_function(f"{entries}.filter((name) => name.includes('/media/')).length === 4")
    before = len([path for path in server.seen if path.startswith("/media/")])
    one.wait_ready()
    server.hold.clear()
    page.keyboard.press("f")

    expect(page.locator("#count")).to_have_text("2 of 3")
    expect(page.locator("#stage [role=img]")).to_have_count(2)
    assert before == 4


@pytest.mark.parametrize(
    ("size", "touch", "words"),
    [((390, 844), True, "a computer"), ((800, 560), False, "larger screen")],
)
def test_a_screen_that_will_not_do_is_refused_before_the_first_trial(
    live, rater, browser, stored, size, touch, words
):
    width, height = size
    page = browser.new_page(
        viewport={"width": width, "height": height},
        screen={"width": width, "height": height},
        has_touch=touch,
        is_mobile=touch,
    )
    one = rater(live(), on=page)
    one.open()

    expect(page.locator("#refused")).to_contain_text(words)
    assert stored(select(schema.Assignment)) == []
    page.close()


def test_a_small_window_is_asked_to_grow(live, rater, browser):
    page = browser.new_page(
        viewport={"width": 700, "height": 500}, screen={"width": 1280, "height": 800}
    )
    one = rater(live(), on=page)
    one.open()
    start = page.get_by_role("button", name="Start")
    looks = "one => { const { cursor, color } = getComputedStyle(one); return [cursor, color]; }"
    expect(start).to_be_disabled()
    expect(page.locator("#device-note")).to_contain_text("enlarge this window")
    expect(page.locator("#device-note")).to_contain_text("zoom out")
    disabled = start.evaluate(looks)

    page.set_viewport_size({"width": 900, "height": 620})

    expect(start).to_be_enabled()
    assert (disabled[0], start.evaluate(looks)[0]) == ("default", "pointer")
    assert disabled[1] != start.evaluate(looks)[1]
    page.close()


def test_a_tablet_held_upright_is_asked_to_be_turned_before_and_while_rating(
    live, rater, browser, rating_study
):
    upright, turned = {"width": 820, "height": 1106}, {"width": 1180, "height": 746}
    # An iPad tells this size of its screen, however it is held.
    screen = {"width": 820, "height": 1180}
    page = browser.new_page(viewport=upright, screen=screen, has_touch=True, is_mobile=True)
    one = rater(live(rating_study.Recipe(devices=("tablet",))), on=page)
    one.open()
    start = page.get_by_role("button", name="Start")
    expect(start).to_be_disabled()
    expect(page.locator("#device-note")).to_contain_text("turn your device")
    expect(page.locator(".keys")).to_be_hidden()

    page.set_viewport_size(turned)
    start.tap()
    one.wait_ready()
    page.set_viewport_size(upright)
    expect(page.locator("#cover")).to_contain_text("turn your device")
    page.set_viewport_size(turned)

    expect(page.locator("#cover")).to_be_hidden()
    page.reload()
    expect(page.locator("#stage [role=img]")).to_have_count(2)
    page.close()


def test_a_window_that_shrinks_while_rating_stops_and_locks_the_pair(
    live, rater, page, stored, rating_study
):
    one = rater(live(rating_study.Recipe(trials=2, allow_tie=True)))
    one.begin()
    one.wait_ready()
    page.set_viewport_size({"width": 640, "height": 400})  # a zoom of 200 %
    cover = page.locator("#cover")
    expect(cover).to_contain_text("enlarge this window")
    expect(cover).to_contain_text("640 × 400")
    expect(cover.get_by_role("button")).to_be_hidden()
    expect(page.locator("#pause")).to_have_text("Play")
    for key in ("f", "Space", "ArrowDown"):
        page.keyboard.press(key)
    page.locator("#pause").click()
    expect(cover.locator("p")).to_be_in_viewport(ratio=1)
    page.evaluate("scrollTo(0, 0)")
    assert page.locator(".frame").first.bounding_box()["x"] >= 0

    page.set_viewport_size({"width": 900, "height": 620})
    expect(cover).to_be_hidden()
    page.keyboard.press("j")
    expect(page.locator("#count")).to_have_text("2 of 2")
    assert [j.choice for j in judgments(stored)] == ["right"]


def test_a_device_that_will_not_do_goes_on_with_no_session_either(live, rater, page, browser):
    one = rater(live())
    one.begin()
    size = {"width": 390, "height": 844}
    phone = browser.new_page(viewport=size, screen=size, has_touch=True, is_mobile=True)
    phone.goto(page.url)

    expect(phone.locator("#refused")).to_contain_text("a computer")
    expect(phone.locator("#refused")).to_contain_text("the same link goes on from there")
    phone.close()


def test_the_trial_fits_900_by_620_without_scrolling(live, rater, page, rating_study):
    page.set_viewport_size({"width": 900, "height": 620})
    one = rater(live(rating_study.Recipe(allow_tie=True, show_prompt=True)))
    one.begin()

    room = page.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
    )

    assert room[0] <= 900
    assert room[1] <= 620


FITS = "box => box.scrollHeight <= box.clientHeight"


def test_a_long_prompt_is_shown_whole_and_arrows_scroll_the_page(
    live, rater, page, stored, rating_study
):
    page.set_viewport_size({"width": 900, "height": 620})
    one = rater(live(rating_study.Recipe(trials=2, allow_tie=True, show_prompt=True)))
    one.begin()
    one.wait_ready()
    prompt = page.locator("#prompt")
    prompt.evaluate("one => { one.textContent = 'A wave rolls in. '.repeat(60); }")

    page.keyboard.press("ArrowDown")
    page.wait_for_function("() => scrollY > 0")
    assert prompt.evaluate(FITS)
    page.keyboard.press("ArrowRight")  # nothing scrolls sideways
    expect(page.locator("#count")).to_have_text("2 of 2")
    one.wait_ready()

    assert page.evaluate("scrollY") == 0
    assert [j.choice for j in judgments(stored)] == ["right"]


OUTSIDE = """() => [...document.querySelectorAll('#trial *')].filter((one) => {
  const { left, right } = one.getBoundingClientRect();
  return left < 0 || right > innerWidth;
}).map((one) => one.id || one.className)"""
CENTRES = """() => [...document.querySelectorAll('.side .frame, .side .answer')].map((one) => {
  const { left, width } = one.getBoundingClientRect();
  return left + width / 2;
})"""


@pytest.mark.parametrize("width", [320, 1280])
def test_small_clips_are_whole_and_stand_over_their_buttons(
    live, rater, browser, rating_study, stored, width
):
    phone = width < 600
    page = browser.new_page(
        viewport={"width": width, "height": 568},
        has_touch=phone,
        is_mobile=phone,
        locale="de-DE",
    )
    recipe = rating_study.Recipe(
        trials=1, allow_tie=True, display=Display(box=128), devices=("desktop", "phone")
    )
    one = rater(live(recipe), on=page)
    one.begin()

    left, left_button, right, right_button = page.evaluate(CENTRES)

    assert page.evaluate(OUTSIDE) == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert (left, right) == pytest.approx((left_button, right_button), abs=0.5)
    assert page.locator("#trial kbd").first.is_visible() is not phone
    one.wait_ready()
    button = page.locator("button[data-choice=right]")
    (button.tap if phone else button.click)()
    expect(page.locator("#done")).to_be_visible()
    [judgment] = judgments(stored)
    assert judgment.details["input"] == ("touch" if phone else "click")
    page.close()


def test_several_questions_are_asked_of_one_pair(frozen, page, stored, rating_study):
    questions = (("realism", "Which is more real?"), ("motion", "Which moves better?"))
    frozen(rating_study.Recipe(trials=1, questions=questions, allow_tie=True))
    page.clock.run_for(2 * LOOP_MS)
    expect(page.locator("#question")).to_have_text("Which is more real?")
    page.keyboard.press("f")
    expect(page.locator("#question")).to_have_text("Which moves better?")
    page.clock.run_for(400)
    page.keyboard.press("g")
    run_until(page, page.locator("#done").is_visible)

    first, second = judgments(stored)
    assert (first.choice, second.choice) == ("left", "tie")
    assert 400 <= second.rt_ms < first.rt_ms


def test_disagreeing_records_nothing(live, rater, page, stored, rating_study):
    one = rater(live(rating_study.Recipe(consent=Consent("I am of age."))))
    one.open()
    page.get_by_role("button", name="I do not agree").click()

    expect(page.locator("#notice")).to_contain_text("Nothing has been recorded.")
    assert stored(select(schema.Worker)) == []


COLOURS = """() => {
  const style = (name) => getComputedStyle(document.querySelector(`#trial ${name}`));
  const answer = document.querySelector('#trial .answer').cloneNode(true);
  answer.setAttribute('aria-disabled', 'true'); // the others may be open by now
  document.querySelector('#trial').prepend(answer);
  const colours = [style('#progress').backgroundColor, style('#progress span').backgroundColor,
    getComputedStyle(answer).color, style('h1').color];
  answer.remove();
  return colours;
}"""


def test_every_page_passes_axe(live, rater, page, rating_study):
    axe = Axe()
    found = {}

    def check(name):
        found[name] = [v["id"] for v in axe.run(page).response["violations"]]

    survey = (SurveyQuestion("screen", "Which screen?", ("laptop", "monitor")),)
    recipe = rating_study.Recipe(
        trials=1, practice=1, survey=survey, allow_tie=True, show_prompt=True,
        consent=Consent("I am of age. " * 400, contact="lab@example.org", irb_id="12-3"),
    )  # fmt: skip
    one = rater(live(recipe))
    one.open("/join/nothing")
    check("closed")
    one.open()
    expect(page.locator("#consent")).to_be_visible()
    check("consent")
    assert page.locator("#consent .prose").evaluate(FITS)  # only the page scrolls
    page.get_by_role("button", name="I agree").click()
    check("instructions")
    assert page.evaluate("scrollY") == 0
    one.press_start()
    expect(page.locator("#stage [role=img]")).to_have_count(2)
    check("locked trial")
    page.emulate_media(forced_colors="active")
    bar, done, locked, text = page.evaluate(COLOURS)
    page.emulate_media(forced_colors="none")
    assert bar != done
    assert locked != text
    one.wait_ready()
    check("open trial")
    page.keyboard.press("f")
    expect(page.locator("#between")).to_be_visible()
    check("between")
    page.get_by_role("button", name="Continue").click()
    one.wait_ready()
    page.keyboard.press("f")
    expect(page.locator("#survey")).to_be_visible()
    check("survey")
    page.get_by_role("button", name="Finish").click()
    expect(page.locator("#done")).to_be_visible()
    check("done")

    assert {name: broken for name, broken in found.items() if broken} == {}
    assert len(found) == 8


# The feedback on a practice pair, the colours of its chosen answer, and those of another one.
FEEDBACK = """() => {
  const hint = document.getElementById('hint');
  if (!hint.classList.contains('strong')) return null;
  const [chosen, other] = ['tie', 'left'].map((choice) => {
    const style = getComputedStyle(document.querySelector(`button[data-choice=${choice}]`));
    return [style.color, style.backgroundColor];
  });
  return [hint.textContent, chosen, other];
}"""


def test_the_chosen_answer_is_seen_under_the_mouse_and_in_the_systems_colours(
    live, rater, page, rating_study
):
    one = rater(live(rating_study.Recipe(trials=1, practice=2, allow_tie=True)))
    one.begin()
    seen = []
    for colours in ("none", "active"):
        page.emulate_media(forced_colors=colours)
        one.wait_ready()
        page.locator("button[data-choice=tie]").click()
        seen.append(page.wait_for_function(FEEDBACK).json_value())
        expect(page.locator("#trial.ready")).to_have_count(0)
    plain, forced = seen

    assert plain[:2] == [
        "No, there is a difference.", ["rgb(255, 255, 255)", "rgb(29, 29, 29)"],
    ]  # fmt: skip
    assert forced[1][0] != forced[1][1]
    assert forced[1][1] != forced[2][1]


# A browser that plays nothing unless it is asked to.
REFUSE_TO_PLAY = """
const play = HTMLMediaElement.prototype.play;
HTMLMediaElement.prototype.play = function () {
  const refusal = new DOMException('', 'NotAllowedError');
  return window.asked ? play.call(this) : Promise.reject(refusal);
};
"""


def test_larger_clips_play_as_video_together_once_the_browser_lets_them(
    live, rater, page, stored, rating_study
):
    recipe = rating_study.Recipe(trials=1, size=(640, 360), frames=14, fps=24)
    one = rater(live(recipe))
    page.add_init_script(REFUSE_TO_PLAY)
    one.begin()
    start = page.locator("#cover").get_by_role("button", name="Play")
    expect(start).to_be_focused()
    expect(page.locator("#cover p")).to_contain_text("Your browser plays nothing by itself")
    page.evaluate("window.asked = true")
    asked = time.monotonic()
    start.click()
    one.wait_ready()
    assert one.state["showing"]["left"]["layout"]["kind"] == "video"
    expect(page.locator("#pause")).to_have_text("Pause")
    offset = page.evaluate("""() => {
        const [left, right] = document.querySelectorAll('#stage video');
        return Math.abs(left.currentTime - right.currentTime) * 1000;
    }""")
    page.keyboard.press("j")
    waited_ms = 1000 * (time.monotonic() - asked)
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()

    [judgment] = judgments(stored)
    assert judgment.clip_ms <= judgment.rt_ms + 20 <= waited_ms + 20
    assert offset < 100
    assert abs(judgment.details["start_offset_ms"]) < 100
    assert judgment.details["displayed"] == [400, 225]
    assert judgment.details["loops"] >= 1
    assert judgment.details["frames_drawn"] > 0


def test_videos_of_unequal_length_loop_each_on_its_own(live, rater, page, stored, rating_study):
    display = Display(duration="loop-each")
    recipe = rating_study.Recipe(
        trials=1, size=(640, 360), frames=12, longer=36, fps=24, display=display
    )
    one = rater(live(recipe))
    one.begin()
    page.wait_for_function("() => document.querySelectorAll('#stage video').length === 2")
    page.evaluate("""() => {
        window.passes = new Map();
        for (const video of document.querySelectorAll('#stage video')) {
            video.addEventListener('seeked', () => {
                const seconds = Math.round(10 * video.duration) / 10;
                window.passes.set(seconds, (window.passes.get(seconds) ?? 0) + 1);
            });
        }
    }""")
    more = "() => (window.passes.get(0.5) ?? 0) - (window.passes.get(2) ?? 0) >= 3"
    page.wait_for_function(more)
    one.wait_ready()
    page.keyboard.press("f")
    expect(page.locator("#done")).to_be_visible()

    [judgment] = judgments(stored)
    assert judgment.rt_ms >= 2000
    assert judgment.details["loops"] >= 1


def test_a_video_that_was_skipped_through_is_locked_until_it_ran(
    live, rater, page, stored, rating_study
):
    one = rater(live(rating_study.Recipe(trials=1, size=(640, 360), frames=24, fps=24)))
    one.begin()
    running = "() => [...document.querySelectorAll('video')].every((one) => one.currentTime > 0)"
    page.wait_for_function(running)
    prevented = page.locator("video").first.evaluate("""one => !one.dispatchEvent(
        new MouseEvent('contextmenu', { bubbles: true, cancelable: true }))""")
    page.evaluate("""() => {
        const [left, right] = document.querySelectorAll('video');
        left.loop = true;
        right.playbackRate = 16;
        for (const one of [left, right]) one.currentTime = one.duration - 0.05;
    }""")
    one.wait_ready()
    page.keyboard.press("f")
    expect(page.locator("#done")).to_be_visible()

    [judgment] = judgments(stored)
    assert prevented
    assert judgment.rt_ms >= 1000
    assert judgment.details["loops"] >= 1


def test_a_display_slower_than_the_clip_shows_it_too_but_one_that_hangs_does_not(live, page):
    page.goto(live().url + "/local?rater=ann")
    opened = page.evaluate("""async () => {
        const styles = document.querySelector('link[rel=stylesheet]').href;
        const { SpritePlayer } = await import(new URL('sprites.js', styles));
        let tick;
        window.requestAnimationFrame = (call) => { tick = call; return 1; };
        const bitmap = new OffscreenCanvas(8, 8);
        const layout = { width: 1, height: 1, columns: 8, frames: 60, fps: 60, scale: 1 };
        // When answers open, of a display that draws every `gap` ms and hangs for `hang` ms once.
        const opens = (gap, hang, kind = layout) => {
            const clip = { bitmap, layout: kind };
            const player = new SpritePlayer(
                { left: clip, right: clip }, { onTick() {}, refreshMs: 1000 / 60 },
            );
            player.start();
            for (let now = 5000; now < 8000; now += now === 5000 + 6 * gap ? hang : gap) {
                tick(now);
                if (player.shownOnce) return now - 5000;
            }
            return null;
        };
        return [
            opens(20, 20), opens(40, 40), opens(40, 40, { ...layout, fps: 50 }),
            opens(20, 320), opens(40, 320), opens(20, 20, { ...layout, frames: 1 }),
        ];
    }""")

    # A pass takes 1 s, at 50 a second 1.2 s; what a hang left out comes with the next pass.
    assert opened == [1000, 1000, 1200, 1220, 1320, 0]


PLAYER_OF_SILENT_VIDEOS = """
    const styles = document.querySelector('link[rel=stylesheet]').href;
    const { VideoPlayer } = await import(new URL('videos.js', styles));
    const made = [];
    document.createElement = () => {
        const silent = { readyState: 4, duration: 9, play: async () => {}, pause() {} };
        made.push(Object.assign(new EventTarget(), silent));
        return made.at(-1);
    };
    const clip = { layout: { width: 8, height: 8, frames: 9 }, url: '' };
    const player = new VideoPlayer({ left: clip, right: clip }, { onTick() {} });
"""


def test_only_a_player_that_ran_can_stall(live, page):
    page.goto(live().url + "/join/nothing")
    stalls = page.evaluate(
        "async () => {"
        + PLAYER_OF_SILENT_VIDEOS
        + """
        const stalls = [];
        const tell = (kind) => {
            made[0].currentTime = 0.004; // its clock may have moved before it tells
            made[0].dispatchEvent(new Event(kind));
            stalls.push(player.stalls);
        };
        await player.start();
        for (const kind of ['waiting', 'playing', 'waiting', 'waiting', 'playing']) tell(kind);
        await player.start();
        for (const kind of ['waiting', 'playing', 'waiting']) tell(kind);
        made[0].seeking = true; // on its way to the start of the next pass
        for (const kind of ['playing', 'waiting']) tell(kind);
        player.pause();
        return stalls;
    }"""
    )

    assert stalls == [0, 0, 1, 1, 1, 1, 1, 2, 2, 2]


def test_the_time_of_two_videos_begins_when_both_move(live, page):
    page.goto(live().url + "/join/nothing")
    measured = page.evaluate(
        "async () => {"
        + PLAYER_OF_SILENT_VIDEOS
        + """
        let tick;
        window.requestAnimationFrame = (call) => { tick = call; return 1; };
        await player.start();
        const at = (now, left, right) => {
            [made[0].currentTime, made[1].currentTime] = [left, right];
            tick(now);
            return [player.firstFrameAt, player.playedMs];
        };
        return [
            at(1000, 0, 0), at(1020, 0.25, 0), at(1040, 0.5, 0.25), at(1060, 1, 0.75),
            player.startOffsetMs,
        ];
    }"""
    )

    assert measured == [[None, 0], [None, 0], [1040, 20], [1040, 40], 250]


def test_videos_that_cannot_be_played_say_so_and_are_fetched_again(live, rater, page, rating_study):
    one = rater(live(rating_study.Recipe(trials=1, size=(640, 360), frames=14, fps=24)))

    def spoil(route):
        reply = route.fetch()
        route.fulfill(response=reply, body=bytes(len(reply.body())))

    page.route("**/media/*", spoil)
    one.open()
    one.press_start()
    expect(page.get_by_role("heading", name="These clips cannot be played")).to_be_visible()

    page.unroute("**/media/*")
    page.get_by_role("button", name="Try again").click()

    one.wait_ready()


# WebKit, for one, never has what it calls enough of a local copy.
NEVER_SAYS = """
for (const kind of %s) {
  window.addEventListener(kind, (event) => event.stopImmediatePropagation(), true);
}
const { get } = Object.getOwnPropertyDescriptor(HTMLMediaElement.prototype, 'readyState');
const most = { get() { return Math.min(%d, get.call(this)); } };
Object.defineProperty(HTMLMediaElement.prototype, 'readyState', most);
"""


@pytest.mark.parametrize(
    ("kinds", "most"),
    [
        pytest.param("['canplaythrough']", 3, id="that it can play them through"),
        pytest.param("['canplaythrough', 'canplay']", 1, id="that it can play them at all"),
        pytest.param("['ended']", 4, id="that they ended"),
    ],
)
def test_videos_play_in_a_browser_that_never_says(live, rater, page, rating_study, kinds, most):
    one = rater(live(rating_study.Recipe(trials=1, size=(640, 360), frames=14, fps=24)))
    page.add_init_script(NEVER_SAYS % (kinds, most))

    one.begin()

    one.wait_ready()


def test_videos_of_which_nothing_can_be_read_are_told_of(live, rater, page, rating_study):
    one = rater(live(rating_study.Recipe(trials=1, size=(640, 360), frames=14, fps=24)))
    page.add_init_script(NEVER_SAYS % ("['canplaythrough', 'canplay']", 0))

    one.begin()

    expect(page.get_by_role("heading", name="These clips cannot be played")).to_be_visible()


def test_browser_that_cannot_play_the_videos_is_told_before_anything_is_leased(
    live, rater, page, stored, rating_study
):
    one = rater(live(rating_study.Recipe(trials=1, size=(640, 360), frames=14, fps=24)))
    page.add_init_script("HTMLMediaElement.prototype.canPlayType = () => ''")

    one.open()

    expect(page.get_by_text("This browser cannot play the clips")).to_be_visible()
    assert stored(select(schema.Assignment)) == []


def test_survey_that_came_after_the_page_is_asked_all_the_same(
    live, rater, page, stored, rating_study, tmp_path
):
    one = rater(live(rating_study.Recipe(trials=1)))
    one.begin()
    one.wait_ready()
    with open_database(one.server.built.url) as database, database.write() as session:
        study = session.scalars(select(schema.Study)).one()
        freeze_tables(study, survey=(SurveyQuestion("notes", "Anything else?"),))

    page.keyboard.press("f")

    page.get_by_label("Anything else?").fill("no")
    page.get_by_role("button", name="Finish").click()
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    assert stored(select(schema.Assignment))[0].survey == {"notes": "no"}


LONG = "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichen"
HEBREW = "איזה סרטון נראה אמיתי יותר (A או B)?"
DIRECTION = "one => getComputedStyle(one).direction"
OVERFLOW = "document.documentElement.scrollWidth - innerWidth"


def test_texts_of_the_study_fit_a_narrow_window_and_run_their_own_way(
    live, rater, page, rating_study
):
    survey = (SurveyQuestion("a", LONG, (LONG, "none")), SurveyQuestion("b", HEBREW))
    recipe = rating_study.Recipe(
        trials=1, survey=survey, questions=(("realism", HEBREW),), display=Display(box=64),
        consent=Consent(f"https://lab.example/{LONG}", contact=f"a@{LONG}.example", irb_id=LONG),
    )  # fmt: skip
    one = rater(live(recipe))
    page.set_viewport_size({"width": 320, "height": 700})
    one.open()
    expect(page.locator("#consent")).to_be_visible()
    beyond = [page.evaluate(OVERFLOW)]
    page.get_by_role("button", name="I agree").click()
    one.press_start()
    one.wait_ready()
    directions = [page.locator("#question").evaluate(DIRECTION)]
    page.keyboard.press("f")
    expect(page.locator("#survey")).to_be_visible()
    beyond.append(page.evaluate(OVERFLOW))
    directions.append(page.locator("label.field span").evaluate(DIRECTION))
    directions.append(page.locator("legend").evaluate(DIRECTION))

    assert beyond == [0, 0]
    assert directions == ["rtl", "rtl", "ltr"]


def test_all_text_grows_with_the_font_size_that_the_browser_is_set_to(live, rater, page):
    one = rater(live())
    one.open()
    page.get_by_role("button", name="Start").wait_for()
    sizes = """() => [...document.querySelectorAll('#instructions :is(h1, p, li, kbd, button)')]
      .map((one) => parseFloat(getComputedStyle(one).fontSize))"""
    before = page.evaluate(sizes)

    page.evaluate("document.documentElement.style.fontSize = '32px'")  # as from 16 in its settings

    assert page.evaluate(sizes) == [2 * size for size in before]


def test_large_text_pushes_no_clip_out_of_a_narrow_window(live, rater, browser, rating_study):
    size = {"width": 320, "height": 568}
    page = browser.new_page(viewport=size, screen=size, has_touch=True, is_mobile=True)
    recipe = rating_study.Recipe(devices=("phone",), display=Display(box=64), allow_tie=True)
    one = rater(live(recipe), on=page)
    one.begin("/local?rater=ann&lang=de")

    page.evaluate("document.documentElement.style.fontSize = '32px'")

    assert page.evaluate("document.documentElement.scrollWidth") == 320
    page.close()


def test_without_scripts_the_page_does_not_say_that_it_loads(live, browser):
    page = browser.new_page(java_script_enabled=False)
    page.goto(live().url + "/local?rater=ann")

    expect(page.locator("noscript p")).to_be_visible()
    expect(page.get_by_text("Loading")).to_be_hidden()
    page.close()


ASKS = "() => !window.dispatchEvent(new Event('beforeunload', { cancelable: true }))"


def test_what_was_typed_into_the_survey_outlives_a_refusal(live, rater, page, stored, rating_study):
    survey = (SurveyQuestion("notes", "Anything else?"),)
    one = rater(live(rating_study.Recipe(trials=1, survey=survey)))
    one.begin()
    one.wait_ready()
    page.keyboard.press("f")
    notes = page.get_by_label("Anything else?")
    notes.click()
    before = page.evaluate(ASKS)
    notes.fill("a long remark")
    typed = page.evaluate(ASKS)
    page.evaluate(COME_BACK)
    one.server.faults["/api/finish"] = [401]
    page.get_by_role("button", name="Finish").click()
    page.get_by_role("button", name="Try again").click()
    expect(notes).to_have_value("a long remark")
    page.get_by_role("button", name="Finish").click()
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()

    assert (before, typed, page.evaluate(ASKS)) == (False, True, False)
    assert stored(select(schema.Assignment))[0].survey == {"notes": "a long remark"}


def test_coming_back_between_two_pairs_starts_nothing_and_the_next_waits_for_who_is_away(
    live, rater, page, rating_study
):
    one = rater(live(rating_study.Recipe(trials=2)))
    one.begin()
    one.wait_ready()

    page.evaluate("document.hasFocus = () => false")
    page.keyboard.press("f")
    page.evaluate("window.dispatchEvent(new Event('blur'))")  # while the answer is on its way
    expect(page.locator("#stage [role=img]")).to_have_count(0)
    page.evaluate("window.dispatchEvent(new Event('focus'))")

    expect(page.locator("#stage [role=img]")).to_have_count(2)
    expect(page.locator("#cover")).to_be_visible()
    page.evaluate("window.dispatchEvent(new Event('focus'))")
    one.wait_ready()  # and nothing is in the console


def test_still_images_can_be_answered_once_they_can_have_been_seen(
    frozen, page, stored, rating_study
):
    one = frozen(rating_study.Recipe(trials=1, frames=1, fps=1))
    assert np.array_equal(painted(one.canvas("left")), one.frames("left")[0])

    page.clock.run_for(200)
    page.keyboard.press("j")  # twice, meant for the pair before
    page.clock.run_for(150)
    page.keyboard.press("f")

    run_until(page, page.locator("#done").is_visible)
    [judgment] = judgments(stored)
    assert (judgment.choice, judgment.details["early_presses"]) == ("left", 0)
    assert 350 <= judgment.rt_ms <= 350 + STEP_MS
