"""The commands about crowds, as a user types them."""

import io
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import make_url, select

from evaluation import schema
from evaluation.cli import main
from evaluation.commands.options import Address
from evaluation.crowd.base import CrowdUnreachable
from evaluation.forgetting import forget
from evaluation.freeze import init_study
from evaluation.planning.progress import StarvedTrial
from evaluation.publish import publish
from evaluation.publishing.offers import plan_publication
from evaluation.sandbox import store
from evaluation.schema import Environment
from evaluation.status import Status, status_lines
from evaluation.storage import LocalStore
from evaluation.study_file.reader import load_study


@pytest.fixture
def run(crowded, crowd_front, monkeypatch, capsys):
    """Type a command; give its exit code and all that it printed."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_MTURK", crowd_front[1])
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)

    def typed(*arguments):
        capsys.readouterr()
        code = main([*arguments, "--db", crowded.database.url])
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return typed


def test_publishing_shows_the_exact_cost_and_goes_on_when_told_so(run, crowded):
    code, printed = run("publish", "--yes")

    assert code == 0
    assert "88 trials lack a worker: 22 sessions in 3 HITs, 0.10 USD and 0.02 USD fee" in printed
    assert "In all 2.64 USD on mturk, sandbox." in printed
    assert len(crowded.service_rows(store.Hit)) == 3


def test_hits_that_another_run_is_still_creating_are_not_said_to_be_wanted(run, crowded):
    run("publish", "--yes")
    with crowded.database.write() as session:
        for hit in session.scalars(select(schema.Hit)):
            hit.state, hit.external_id = schema.CallState.INTENDED, None

    printed = run("publish", "--dry-run")[1]

    assert printed.startswith(
        "No trial lacks a worker. 3 HITs are left of a run that was interrupted or is still at "
        "work.\nIn all 2.64 USD on mturk"
    )


def test_dry_run_makes_nothing(run, crowded):
    code, printed = run("publish-hits", "--dry-run")

    assert code == 0
    assert "In all 2.64 USD" in printed
    assert "Nothing was done." in printed
    assert crowded.service_rows(store.Hit) == []
    assert crowded.rows(schema.Hit) == []


def test_a_user_who_says_no_publishes_nothing(run, crowded, monkeypatch):
    monkeypatch.setattr("click.confirm", lambda *args, **options: False)

    code, printed = run("publish")

    assert (code, crowded.rows(schema.Hit)) == (0, [])
    assert "Nothing was done." in printed
    assert "Published" not in printed


def test_top_up_of_a_covered_plan_has_nothing_to_publish(run):
    run("publish", "--yes")

    assert "Nothing to publish" in run("top-up", "--yes")[1]


def test_places_on_offer_at_a_reward_that_was_corrected_are_named_until_they_are_over(run, crowded):
    run("publish", "--yes")
    with crowded.database.write() as session:
        study = session.scalars(select(schema.Study)).one()
        study.settings = {**study.settings, "pay": {**study.settings["pay"], "reward_cents": 15}}

    corrected = run("publish", "--yes")[1]
    run("expire")
    again = run("publish", "--yes")[1]

    assert corrected.startswith("Nothing to publish")
    assert (
        "HITs with free places keep the 0.10 USD that they were published with; the study file "
        "says 0.15 USD now. To offer those places at that, run `vgan-eval expire`, then publish "
        "again." in corrected
    )
    assert "0.15 USD and 0.03 USD fee each" in again
    assert "keep the" not in again
    assert [hit.reward_cents for hit in crowded.rows(schema.Hit)] == [10] * 3 + [15] * 3


def test_a_later_publication_sends_workers_where_the_study_is_published(run, crowded):
    run("publish", "--url", "http://127.0.0.1:8131", "--yes")
    run("expire")

    dry = run("top-up", "--dry-run")[1]
    run("top-up", "--yes")

    assert "sandbox. Workers are sent to http://127.0.0.1:8131.\n" in dry
    urls = [hit.details["offer"]["url"] for hit in crowded.rows(schema.Hit)]
    assert {url.rpartition("/mturk/")[0] for url in urls} == {"http://127.0.0.1:8131"}


def test_an_address_that_differs_from_the_published_one_is_said_before_it_is_agreed_to(run):
    first = run("publish", "--url", "http://127.0.0.1:8131/", "--dry-run")[1]
    run("publish", "--url", "http://127.0.0.1:8131/", "--yes")
    run("expire")

    moved = run("publish", "--url", "http://localhost:8000", "--dry-run")[1]

    assert "Workers are sent to http://127.0.0.1:8131.\n" in first
    assert (
        "Workers are sent to http://localhost:8000; what was published before sends them to "
        "http://127.0.0.1:8131.\n" in moved
    )


def test_a_hit_that_grows_is_said_to_keep_its_address():
    address = Address("http://localhost:8000", "http://127.0.0.1:8131")

    assert address.line(grown=True) == (
        "Workers are sent to http://127.0.0.1:8131: the published HIT keeps its address."
    )


def test_status_of_several_studies_has_a_line_for_each(run, crowded, plan_study):
    run("publish", "--yes")
    crowded.work("A1", crowded.hits()[0])
    plan_study(crowded.database, name="second")

    code, printed = run("status")

    assert (code, printed) == (
        0,
        "study: 4 of 88 judgments; 1 session waits for review; 0.00 USD paid and 0.12 owed "
        "(sandbox)\n"
        "second: 0 of 16 judgments\n"
        "`vgan-eval status --study NAME` says more of one\n",
    )


@pytest.fixture
def second_study(crowded, study_toml, tmp_path):
    """Another study beside the crowded one, of real clips: 48 trials in sessions of six."""
    path = study_toml(extra="[pay]\nreward_cents = 100\n")
    store = LocalStore(tmp_path / "study.files" / "media")
    init_study(crowded.database, load_study(path), store, tmp_path / "assets")
    return load_study(path).name


def test_top_up_by_a_rule_asks_once_with_the_cost_of_what_it_adds(
    run, crowded, second_study, monkeypatch
):
    asked = []
    monkeypatch.setattr("click.confirm", lambda *_, **__: asked.append(True) or True)
    rule = ("top-up", "--study", second_study, "--stop-when", "decided", "--per-cell", "14")

    dry = run(*rule, "--dry-run")[1]
    assert len(crowded.service_rows(store.Hit)) == 0
    printed = run(*rule)[1]
    again = run(*rule)[1]

    cost = "84 trials lack a worker: 14 sessions in 2 HITs, 1.00 USD and 0.20 USD fee each."
    assert cost in dry
    assert asked == [True]
    assert printed.count(cost) == 1
    assert "Planned 36 trials as batch 2.\nPublished." in printed
    assert len(crowded.service_rows(store.Hit)) == 2
    assert "Nothing to add" in again
    assert "Nothing to publish" in again


def test_top_up_asks_again_where_the_cost_has_grown(run, crowded, second_study, monkeypatch):
    answers = iter((True, False))
    monkeypatch.setattr("click.confirm", lambda *_, **__: next(answers))
    monkeypatch.setattr("evaluation.publish.plan_publication", dearer)

    printed = run(
        "top-up", "--study", second_study, "--stop-when", "decided", "--per-cell", "14"
    )[1]  # fmt: skip

    assert "In all 16.80 USD on mturk, sandbox." in printed
    assert "In all 30.80 USD on mturk, sandbox." in printed
    assert printed.endswith("Nothing was done.\n")
    assert crowded.service_rows(store.Hit) == []


def dearer(*arguments):
    """The same publication, for a dollar more each."""
    found = plan_publication(*arguments)
    return replace(found, reward_cents=found.reward_cents + 100)


def test_the_address_is_checked_before_anything_is_planned(run, second_study):
    code, printed = run("top-up", "--study", second_study, "--stop-when", "decided", "--production")

    assert (code, "--url is missing" in printed) == (2, True)


def test_production_needs_the_public_address(run):
    code, printed = run("publish", "--production", "--yes")

    assert code == 2
    assert "--url is missing" in printed


@pytest.mark.parametrize("address", [[], ["--url", "https://rate.example.org"]])
def test_production_without_an_endpoint_is_one_line_and_exit_code_2(
    run, crowded, monkeypatch, address
):
    monkeypatch.delenv("AWS_ENDPOINT_URL_MTURK")

    code, printed = run("publish", "--production", *address, "--yes")

    assert code == 2
    assert printed.startswith("vgan-eval: Amazon closed Mechanical Turk on 30 September 2026")
    assert printed.count("\n") == 1
    assert crowded.rows(schema.Hit) == []


def test_plain_http_is_refused_in_production(run):
    code, printed = run("publish-hits", "--production", "--url", "http://x.org", "--yes")

    assert (code, "https:// in production" in printed) == (2, True)


def test_extend_and_expire_say_how_many(run):
    run("publish", "--yes")

    extended = run("extend", "--hours", "5")[1]
    assert extended.endswith("3 HITs are on offer for 5 hours from now, as far as not taken.\n")
    assert "The plan lacks" not in extended  # nothing is offered again, so nothing is asked
    assert "3 HITs are no longer on offer" in run("expire")[1]


def test_review_and_pay_settle_everybody_and_status_shows_the_ledger(run, crowded):
    run("publish", "--yes")
    hit = crowded.hits()[0]
    crowded.work("A1", hit)
    crowded.submit(crowded.accept("A2", hit))
    idle = crowded.by_worker()["A2"].external_id

    waiting = run("status")[1]
    reviewed = run("review")[1]
    paid = run("pay", "--yes")[1]
    again = run("pay", "--yes")[1]
    shown = run("status")[1]

    with crowded.database.read() as session:
        done = session.scalars(
            select(schema.Assignment.submitted_at).where(
                schema.Assignment.submitted_at.is_not(None)
            )
        ).one()
    itself = f"{done + timedelta(hours=72):%Y-%m-%d %H:%M} UTC"
    assert f"sessions, mturk (sandbox), submitted: 1; the first approves itself at {itself}\n" in (
        waiting
    )
    money = "sandbox, USD with fees: {} owed for what waits for review, 0.00 at work, 2.52 on offer"
    assert money.format("0.12") in waiting
    assert money.format("0.00") in shown
    assert "Approve 1 assignment (rewards of 0.10 USD), reject 0" in reviewed
    undecided = "undecided, without a finished session here: worker A2, assignment "
    assert f"{undecided}{idle}, 0 of 0 trials answered\n" in reviewed
    assert "\nApproved 1, rejected 0, noted 0.\n" in reviewed
    assert "or ask back what is undecided on the platform" in reviewed
    assert paid.endswith("Paid 1 bonus.\n")
    assert "1 bonus of 0.03 USD together and 0.01 USD in fees: 0.04 USD" in paid
    assert "Nothing to pay" in again
    assert "study: 4 of 88 judgments" in shown
    assert "a over b, golf: 2 of 44" in shown
    assert "mturk (sandbox): 3 HITs of 22 assignments, open" in shown
    assert "21 assignments are on offer, or held by workers who have not started" in shown
    assert "sessions, mturk (sandbox), approved: 1" in shown
    for line in ("reward done: 0.10 USD in 1", "fee done: 0.03 USD in 2", "bonus done: 0.03 USD"):
        assert line in shown


def test_status_does_not_say_that_what_a_worker_holds_is_on_offer(run, crowded):
    run("publish", "--yes")
    crowded.accept("A1", crowded.hits()[0])

    shown = run("status")[1]

    assert "mturk (sandbox): 3 HITs of 22 assignments, open" in shown
    assert "  22 assignments are on offer, or held by workers who have not started\n" in shown


def test_an_interrupted_bonus_is_named_by_withdraw_and_can_be_taken_back(run, crowded, monkeypatch):
    run("publish", "--yes")
    crowded.work("A1WORKER", crowded.hits()[0])
    run("review")
    with monkeypatch.context() as broken:
        broken.setattr("evaluation.crowd.mturk.MTurk.bonus", unanswered)
        assert run("pay", "--cents", "500", "--reason", "Well done", "--yes")[0] == 1

    code, refused = run("pay", "--cents", "5", "--reason", "Well done", "--yes")
    kept = run("forget", "--older-than", "0", "--yes")[1]
    left = run("withdraw", "A1WORKER", "--yes")[1]
    again = run("pay", "--reason", "Well done", "--cancel", "--yes")[1]
    gone = run("withdraw", "A1WORKER", "--yes")[1]

    assert code == 1
    assert "bonuses of 5.00 USD down under this reason, and now they would be 0.05" in refused
    command = "run `vgan-eval pay --cents 500 --reason 'Well done'` (with --cancel"
    assert command in kept
    assert command in left
    assert "Take back 1 bonus of 5.00 together" in again
    assert gone.endswith("Removed.\n")
    assert "Nothing to take back" in run("pay", "--reason", "Well done", "--cancel")[1]
    assert crowded.bonuses() == []


def test_a_worker_who_complains_is_looked_up_by_id_assignment_or_code(run, crowded):
    run("publish", "--yes")
    assignment = crowded.work("A1WORKER", crowded.hits()[0])
    half = crowded.accept("A2", crowded.hits()[0])
    crowded.start("A2", crowded.hits()[0], half, showings=2)
    run("review")
    finished = next(one for one in crowded.rows(schema.Assignment) if one.completion_code)

    code, found = run("worker", "A1WORKER")

    assert code == 0
    at = f"{finished.submitted_at:%Y-%m-%d %H:%M} UTC"
    (review,) = crowded.rows(schema.Review)
    first, known_as, *others = found.splitlines()
    assert first == "study, mturk (sandbox): approved"
    assert known_as == f"  worker A1WORKER, assignment {assignment}"  # no pseudonym, as no key yet
    assert others == [
        "  4 of 4 trials answered",
        f"  accepted {at}, finished {at}",
        f"  completion code {finished.completion_code}",
        f"  review: approve, done {review.done_at:%Y-%m-%d %H:%M} UTC",
        "  reward done: 0.10 USD",
    ]
    assert run("worker", assignment) == (0, found)
    assert run("worker", finished.completion_code.lower(), "--study", "study") == (0, found)
    unfinished = run("worker", "A2")[1]
    assert "2 of 4 trials answered\n" in unfinished
    assert "UTC, not finished\n  completion code none\n  not reviewed\n  no payments" in unfinished


def test_a_forgotten_person_is_looked_up_by_the_id_that_only_they_have(run, crowded):
    run("publish", "--yes")
    crowded.work("A1WORKER", crowded.hits()[0])
    run("review")
    assert run("forget", "--older-than", "0", "--yes")[0] == 0

    code, found = run("worker", "A1WORKER")

    assert code == 0
    assert "  worker (id taken away), pseudonym w-" in found
    assert "  completion code none\n  review: approve, done " in found
    name = found.partition("pseudonym ")[2].partition(",")[0]
    assert run("worker", name) == (0, found)


@pytest.mark.parametrize("who", ["A9NOBODY", ""])
def test_looking_up_nobody_fails_with_one_line(run, crowded, who):
    run("publish", "--yes")
    crowded.start("A1", crowded.hits()[0], crowded.accept("A1", crowded.hits()[0]), showings=1)

    code, printed = run("worker", who)
    path = make_url(crowded.database.url).database

    assert code == 1
    assert printed == (
        f"vgan-eval: the database has no session of {who!r}: "
        f"no such id, completion code, assignment, or pseudonym by the key of {path}.key\n"
    )


def test_review_names_ten_that_only_we_know_of_and_counts_the_others(run, crowded):
    run("publish", "--yes")
    for n in range(12):
        crowded.start(f"A{n}", crowded.hits()[0], f"3INVENTED{n}")

    said = run("review")[1].splitlines()
    named = [line for line in said if line.startswith("finished here")]

    assert len(named) == 11
    assert said[-1].endswith("Who writes that it was their work is paid by hand, on the platform.")
    here = "finished here and not on the platform: "
    assert named[0] == f"{here}worker A0, assignment 3INVENTED0, 4 of 4 trials answered"
    assert named[10] == f"{here}2 more"


def unanswered(*_):
    raise CrowdUnreachable("no answer")


def test_where_nobody_can_be_asked_the_option_that_answers_is_named(run, crowded, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(""))

    code, printed = run("publish")

    assert (code, crowded.rows(schema.Hit)) == (2, [])
    assert printed.endswith("vgan-eval: nobody can be asked here; give --yes\n")


def test_review_of_what_was_never_published_says_so(run):
    assert run("review") == (0, "Nothing has been published on mturk in the sandbox.\n")


def publish_in(crowded, environment, url="https://rate.example.org"):
    publish(
        crowded.database, None, crowded.crowd(environment=environment), url, now=crowded.clock
    )  # fmt: skip


@pytest.mark.parametrize(
    "command",
    [
        ["expire"],
        ["extend", "--hours", "5"],
        ["review"],
        ["pay", "--yes"],
        ["pay", "--cancel", "--yes"],
    ],
    ids=" ".join,
)
def test_what_is_published_in_production_is_not_looked_for_in_the_sandbox(
    run, crowded, command, monkeypatch
):
    publish_in(crowded, Environment.PRODUCTION)
    # The advice must not be to start a sandbox.
    monkeypatch.setenv("AWS_ENDPOINT_URL_MTURK", "http://127.0.0.1:1")

    code, printed = run(*command)

    assert (code, printed.count("\n")) == (2, 1)
    assert "is published on mturk in production; add --production" in printed


def test_what_is_published_in_the_sandbox_is_not_looked_for_in_production(run, crowded):
    publish_in(crowded, Environment.SANDBOX)

    code, printed = run("expire", "--production")

    assert code == 2
    assert "is published on mturk in the sandbox; leave out --production" in printed


@pytest.mark.parametrize(
    "command",
    [["expire"], ["extend", "--hours", "5"], ["review"], ["pay", "--yes"]],
    ids=" ".join,
)
@pytest.mark.parametrize("crowd", ["prolific", "link"])
def test_a_command_about_a_crowd_that_has_nothing_names_the_one_that_has(run, command, crowd):
    run("publish", "--yes")

    code, printed = run(*command, "--crowd", crowd)

    assert (code, printed.count("\n")) == (2, 1)
    assert f"is published on mturk, not on {crowd}; give --crowd mturk" in printed
    assert "22 assignments are on offer" in run("status")[1]


def test_a_command_about_one_of_two_crowds_names_the_other(run):
    run("publish", "--yes")
    run("expire")
    run("publish", "--crowd", "link")

    assert "Published on mturk too; this is about link.\n" in run("expire", "--crowd", "link")[1]


def test_where_both_have_something_the_command_says_which_is_meant(run, crowded):
    run("publish", "--yes")
    publish_in(crowded, Environment.PRODUCTION)

    printed = run("expire")[1]

    assert "in the sandbox and in production; this is about the sandbox.\n3 HITs" in printed


def test_pay_where_nobody_is_approved_does_not_say_that_all_have_been_paid(run):
    printed = run("pay", "--yes")[1]

    assert "no assignment that can be paid is approved on mturk in the sandbox" in printed
    assert "has had this bonus" not in printed


def test_pay_says_who_cannot_be_paid_as_their_ids_were_forgotten(run, crowded):
    run("publish", "--yes")
    for worker in ("A1", "A2"):
        crowded.work(worker, crowded.hits()[0])
        run("review")
        run("pay", "--yes", *(["--dry-run"] if worker == "A2" else []))
    crowded.clock.time += timedelta(days=9)
    forget(crowded.database, key=b"k" * 32, older_than_days=1, now=crowded.clock)

    printed = run("pay", "--yes")[1]

    assert printed.endswith(
        "Nothing to pay. 1 approved assignment cannot be paid any more: "
        "the ids were forgotten or withdrawn.\n"
    )


def test_pay_of_another_amount_under_a_reason_that_was_paid_asks_for_another_reason(run, crowded):
    run("publish", "--yes")
    crowded.work("A1", crowded.hits()[0])
    run("review")
    run("pay", "--cents", "3", "--yes")

    tried = run("pay", "--cents", "4", "--reason", "More", "--dry-run")[1]
    again = run("pay", "--cents", "3", "--yes")[1]
    more = run("pay", "--cents", "5", "--yes")[1]

    assert "Paid" not in tried
    assert again.endswith("Nothing to pay. Every approved assignment has had this bonus.\n")
    assert more.endswith(
        "Nothing to pay. 1 have had 0.03 USD under this reason; for a further bonus give another "
        "--reason.\n"
    )


def test_dry_run_of_extend_changes_nothing(run, crowded):
    run("publish", "--yes")
    before, until = crowded.books(), [hit.expires_at for hit in crowded.rows(schema.Hit)]

    printed = run("extend", "--hours", "5", "--dry-run")[1]

    assert "0 again, for at most 0.00 USD with fees, on mturk, sandbox.\nNothing was" in printed
    assert (crowded.books(), [hit.expires_at for hit in crowded.rows(schema.Hit)]) == (
        before,
        until,
    )
    run("expire")
    ended = crowded.books()
    assert "22 again, for at most 2.64 USD" in run("extend", "--hours", "5", "--dry-run")[1]
    assert crowded.books() == ended


def test_dry_run_of_review_and_pay_changes_nothing(run, crowded):
    run("publish", "--yes")
    crowded.work("A1", crowded.hits()[0])
    before = crowded.books()

    assert "Nothing was done." in run("review", "--dry-run")[1]
    assert crowded.books() == before

    run("review")
    before = crowded.books()
    assert "Nothing was done." in run("pay", "--dry-run")[1]
    assert crowded.books() == before


def test_rejecting_needs_a_reason(run):
    code, printed = run("review", "--reject-unfinished")

    assert (code, "give --reason" in printed) == (2, True)


def test_status_names_the_trials_that_nobody_answers():
    starved = [StarvedTrial(n, "a", "b", "golf", 9 - n) for n in range(7)]

    lines = list(status_lines(Status("study", [], [], 0, {}, [], starved)))

    assert lines[1] == (
        "starved: trial 0 (a over b, golf) was handed out 9 times without an answer"
    )  # fmt: skip
    assert lines[-1] == "starved: 2 more trials"
    assert len(lines) == 1 + 5 + 1


def test_a_failed_hit_is_shown(run, crowded):
    run("publish", "--yes")
    with crowded.database.write() as session:
        first = session.scalars(select(schema.Hit).order_by(schema.Hit.id)).first()
        first.state = schema.CallState.FAILED

    shown = "1 HIT of 8 assignments, not published: refused, or given up by expire\n"
    assert shown in run("status")[1]
