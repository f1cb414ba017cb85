"""A study on Prolific: published once, grown, reviewed, paid, and no crash does anything twice."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from crashes import Killed
from evaluation import schema
from evaluation.cli import main
from evaluation.crowd.base import CrowdError, CrowdUnreachable
from evaluation.crowd.link import LinkCrowd
from evaluation.errors import UsageError
from evaluation.money.bulk_bonuses import SETTLE
from evaluation.money.policy import Policy
from evaluation.payments import pay_bonuses
from evaluation.privacy.erasing import ALL_LISTED
from evaluation.prolific_sandbox import store, studies
from evaluation.publish import expire, extend, publish
from evaluation.publishing.creating import CLAIM
from evaluation.publishing.offers import GONE, quotes
from evaluation.publishing.places import match_offers
from evaluation.withdrawing import withdraw

HOUR = timedelta(hours=1)
SHORT = "You handed in without answering."
LONG = SHORT + " Every pair needs an answer; write to us if something kept you from giving one."


def test_publishing_makes_one_study_with_a_place_for_every_session(prolific):
    published = prolific.publish()

    (study,) = prolific.fake_rows(store.Study)
    assert study.status == "ACTIVE"
    assert study.places == 5
    assert study.body["reward"] == 80
    assert study.body["estimated_completion_time"] == 5
    assert study.body["maximum_allowed_time"] == 30  # the session's own limit
    assert study.body["external_study_url"].endswith(
        "?PROLIFIC_PID={{%PROLIFIC_PID%}}&STUDY_ID={{%STUDY_ID%}}&SESSION_ID={{%SESSION_ID%}}"
    )
    assert prolific.hit().external_id == study.external_id
    assert published.sessions == 5


def test_cost_is_the_platforms_own_and_is_what_it_holds(prolific):
    asked = []

    prolific.publish(confirm=lambda plan: asked.append(plan.total_cents) or True)

    # 5 x (80 + 27 fee), and three paid screen-outs of 20 + 7.
    assert asked == [5 * 107 + 3 * 27]
    assert prolific.crowd().balance_cents() == 1_000_000 - asked[0]


def test_tax_is_in_the_price_and_in_the_ledgers_fee(prolific):
    prolific.sandbox.configure(vat_percent=20)
    plan = prolific.publish()
    held = 1_000_000 - prolific.crowd().balance_cents()
    prolific.work("ann")
    prolific.review()

    assert plan.fee_cents == 27 + 6
    assert plan.total_cents == held == 5 * (80 + 33) + 3 * (20 + 7 + 2)
    fees = [p.cents for p in prolific.rows(schema.Payment) if p.kind == "fee"]
    assert fees == [33]


def test_nothing_is_written_when_the_cost_is_refused(prolific):
    assert prolific.publish(confirm=lambda _: False) is None
    assert prolific.rows(schema.Hit) == []
    assert prolific.fake_rows(store.Study) == []


def test_publishing_again_finds_nothing_to_publish(prolific):
    prolific.publish()

    assert prolific.publish().is_empty
    assert len(prolific.fake_rows(store.Study)) == 1


def test_too_little_money_is_said_before_anything_is_made(prolific):
    prolific.sandbox.configure(balance_cents=500)

    with pytest.raises(CrowdError, match=r"costs 6\.16 USD and the account holds 5\.00"):
        prolific.publish()
    assert prolific.fake_rows(store.Study) == []


def test_another_currency_of_the_workspace_is_said_before_anything_is_made(prolific):
    prolific.sandbox.configure(currency="GBP")

    with pytest.raises(CrowdError, match=r"workspace pays in GBP; write \[pay\] currency") as said:
        prolific.publish()
    assert prolific.rows(schema.Hit) == []
    set_currency = str(said.value).partition(" -d ")[2]
    site = prolific.api.removesuffix("/api/v1/")
    assert set_currency == f"""'{{"currency": "USD"}}' {site}/_sandbox/settings"""

    production = prolific.crowd(environment=schema.Environment.PRODUCTION)
    with pytest.raises(CrowdError, match=r"a reward in it$"):
        publish(prolific.database, None, production, "https://rate.example.org")


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"reward": 66}, r"under prolific's 8\.00 USD an hour; write at least 67"),
        ({"reward": 20, "minutes": 1.0}, "screen_out_cents = 20 must be at least 14 and under"),
        ({"countries": ("DE",)}, r"countries has no like on Prolific"),
        ({"minimum_hits": 5}, r"minimum_hits has no like on Prolific"),
    ],
)
def test_what_prolific_would_refuse_is_refused_before_any_call(prolific_study, recipe, message):
    world = prolific_study(**recipe)
    crowd = world.crowd()

    with pytest.raises((UsageError, CrowdError), match=message):
        world.publish(crowd)

    assert [call for call in crowd._calls.made if call.startswith("POST")] == []
    assert world.rows(schema.Hit) == []


def test_todays_minimum_wage_is_asked_for_whole_minutes(prolific_study, monkeypatch):
    monkeypatch.setitem(studies.LEAST_PER_HOUR, "USD", 1200)
    world = prolific_study(reward=99, minutes=4.2)  # 5, as Prolific is told

    with pytest.raises(CrowdError, match=r"under Prolific's 12\.00 USD an hour; .* at least 100"):
        world.publish()


def test_no_call_killed_anywhere_publishes_a_study_twice(prolific, prolific_walk):
    # A run that died held the HIT: the next one waits for the end of that.
    made = prolific_walk(prolific, lambda world, crowd: world.publish(crowd), later=CLAIM)

    assert [call for call in made if not call.startswith("GET")] == [
        "POST study-cost-calculator/",
        "POST study-cost-calculator/",  # for paid screen-outs
        "POST participant-groups/",
        "POST studies/",
        made[-1],
    ]
    assert made[-1].endswith("/transition/")


def test_a_study_that_somebody_published_by_hand_is_taken_as_published(prolific):
    with pytest.raises(CrowdUnreachable):
        prolific.publish(prolific.crowd(11, "fault"))  # drafted, not published
    (draft,) = prolific.fake_rows(store.Study)
    assert draft.status == "UNPUBLISHED"
    prolific.crowd()._transition(draft.external_id, "PUBLISH")

    prolific.publish()

    assert [s.status for s in prolific.fake_rows(store.Study)] == ["ACTIVE"]
    assert prolific.hit().external_id == draft.external_id


def test_publishing_that_takes_a_while_is_waited_for(prolific):
    prolific.sandbox.configure(publish_delay_s=60)
    crowd = prolific.crowd()
    waits = crowd._calls.waited
    crowd._calls.wait = lambda seconds: (
        waits.append(seconds), setattr(prolific.clock, "time", prolific.clock.time
                                       + timedelta(seconds=30)),
    )  # fmt: skip

    prolific.publish(crowd)

    assert len(waits) == 2
    assert prolific.fake_rows(store.Study)[0].status == "ACTIVE"


def test_a_refused_publication_leaves_no_draft_and_is_planned_anew(prolific):
    crowd = prolific.crowd()
    crowd.balance_cents = lambda: 10**6  # the money goes to somebody else meanwhile
    prolific.sandbox.configure(balance_cents=500)

    with pytest.raises(CrowdError, match="Not enough funds"):
        prolific.publish(crowd)
    assert prolific.fake_rows(store.Study) == []
    prolific.sandbox.configure(balance_cents=5000)
    prolific.publish()

    assert [hit.state for hit in prolific.rows(schema.Hit)] == ["failed", "done"]


def test_top_up_enlarges_the_one_study(prolific):
    prolific.publish()
    prolific.take_back(prolific.work("ann"))

    plan = prolific.publish()

    assert (plan.sessions, plan.places) == (1, 6)
    (study,) = prolific.fake_rows(store.Study)
    assert study.places == 6
    (hit,) = prolific.rows(schema.Hit)
    assert (hit.max_assignments, quotes(hit)) == (6, [(5 * 107, 5), (107, 1)])
    assert prolific.publish().is_empty


def test_growth_that_is_refused_leaves_the_places_of_before_and_is_planned_anew(prolific):
    prolific.publish()
    prolific.take_back(prolific.work("ann"))
    crowd = prolific.crowd()
    crowd.balance_cents = lambda: 10**6  # the money goes to somebody else meanwhile
    prolific.sandbox.configure(balance_cents=5 * 107)

    with pytest.raises(CrowdError, match="Not enough funds"):
        prolific.publish(crowd)
    (hit,) = prolific.rows(schema.Hit)
    assert (hit.state, hit.max_assignments) == ("done", 5)

    prolific.sandbox.configure(balance_cents=5000)
    assert prolific.publish().places == 6


def test_growing_to_fewer_places_changes_nothing(prolific):
    prolific.publish()

    prolific.crowd().grow(prolific.hit().external_id, 1)

    assert [study.places for study in prolific.fake_rows(store.Study)] == [5]


def test_no_call_killed_anywhere_enlarges_a_study_twice(prolific, prolific_walk):
    prolific.publish()
    prolific.take_back(prolific.work("ann"))

    made = prolific_walk(prolific, lambda world, crowd: world.publish(crowd))

    assert sum(call.startswith("PATCH") for call in made) == 1


def test_no_more_is_published_than_was_confirmed(prolific):
    def confirm(plan):
        if not prolific.rows(schema.Hit):
            prolific.publish()  # by somebody else, meanwhile
        return True

    prolific.publish(confirm=confirm)

    assert [study.places for study in prolific.fake_rows(store.Study)] == [5]


def test_study_grows_by_no_more_than_was_confirmed(prolific_study):
    world = prolific_study(trials=40)

    def free(below):
        with world.database.write() as session:
            session.execute(update(schema.Trial).values(free=schema.Trial.number < below))
        return True

    free(20)
    world.publish()
    free(28)
    plan = world.publish(confirm=lambda _: free(40))

    assert (plan.sessions, plan.places) == (2, 7)
    assert [study.places for study in world.fake_rows(store.Study)] == [7]


@pytest.mark.parametrize(("fate", "places"), [("lost", 6), ("fault", 5)])
def test_growth_that_is_given_up_leaves_what_the_platform_has(prolific, fate, places):
    prolific.publish()
    prolific.take_back(prolific.work("ann"))
    calls = prolific.crowd()
    prolific.publish(calls, confirm=lambda _: False)
    before = len(calls._calls.made)
    with pytest.raises(CrowdUnreachable):  # the PATCH, after the balance and a look at the study
        prolific.publish(prolific.crowd(before + 3, fate))
    assert [hit.state for hit in prolific.rows(schema.Hit)] == ["intended"]

    expire(prolific.database, None, prolific.crowd(), prolific.clock)

    (hit,) = prolific.rows(schema.Hit)
    (study,) = prolific.fake_rows(store.Study)
    assert (hit.state, hit.max_assignments, study.places) == ("done", places, places)
    assert study.status == "PAUSED"


def test_expire_pauses_and_extend_goes_on(prolific):
    prolific.publish()

    assert expire(prolific.database, None, prolific.crowd(), prolific.clock) == 1
    assert prolific.fake_rows(store.Study)[0].status == "PAUSED"
    done = extend(prolific.database, None, prolific.crowd(), HOUR, prolific.clock)

    assert prolific.fake_rows(store.Study)[0].status == "ACTIVE"
    assert (done.again, done.cents) == (5, 0)  # its places stayed paid for
    prolific.clock.time += timedelta(days=2)
    assert prolific.publish().is_empty  # it has no end of its own


def test_a_study_that_is_still_being_published_is_not_said_to_be_paused(prolific):
    prolific.publish()
    with prolific.sandbox.begin() as unit:
        study = unit.session.scalars(select(store.Study)).one()
        study.status = store.StudyStatus.PUBLISHING
        unit.service.publish_delay_s = 60

    with pytest.raises(CrowdError, match="Cannot PAUSE"):
        prolific.crowd().expire(prolific.hit().external_id)


def full_with_one_unfinished(prolific_study):
    """Publish a study of one place, which somebody hands in unfinished; return the submission."""
    world = prolific_study(trials=4)
    world.publish()
    participant, submission = world.begin("ann")
    world.rate(participant, submission, showings=1)
    world.hand_in(submission, "NOCODE")
    return world, submission


@pytest.mark.parametrize("give_back", [False, True])
def test_a_study_that_was_ended_while_all_wait_for_review_stays_ended(prolific_study, give_back):
    world, submission = full_with_one_unfinished(prolific_study)
    expire(world.database, None, world.crowd(), world.clock)

    if give_back:
        world.give_back(submission)
    world.review(policy=Policy(reject_unfinished=True, reason=LONG))

    (study,) = world.fake_rows(store.Study)
    assert study.status == "PAUSED"


def test_a_study_that_was_ended_here_and_started_on_the_site_is_paused_again(prolific):
    prolific.publish()
    expire(prolific.database, None, prolific.crowd(), prolific.clock)
    prolific.crowd()._transition(prolific.hit().external_id, "START")

    assert prolific.review().ended == 0

    assert [study.status for study in prolific.fake_rows(store.Study)] == ["PAUSED"]


@pytest.mark.parametrize("give_back", [False, True])
def test_place_that_comes_free_in_a_full_study_is_offered_by_publish(prolific_study, give_back):
    world, submission = full_with_one_unfinished(prolific_study)
    if give_back:
        world.give_back(submission)

    assert world.review(policy=Policy(reject_unfinished=True, reason=LONG)).ended == 1
    assert [study.status for study in world.fake_rows(store.Study)] == ["PAUSED"]
    plan = world.publish()

    assert (plan.sessions, plan.places, plan.total_cents) == (0, 1, 0)  # it is paid for
    assert world.publish().is_empty
    world.work("ben")
    assert world.statuses()["ben"] == "AWAITING REVIEW"


def test_study_that_was_stopped_on_the_site_is_followed_by_a_new_one(prolific):
    prolific.publish()
    prolific.work("ann")
    first = prolific.hit().external_id
    prolific.crowd()._transition(first, "STOP")

    with pytest.raises(CrowdError, match=r"stopped on Prolific, .* run `vgan-eval review`"):
        prolific.publish()
    prolific.review()
    plan = prolific.publish()

    assert (plan.hits, plan.grown, plan.sessions_cents) == ((4,), 0, 4 * (80 + 27))
    stopped, new = prolific.fake_rows(store.Study)
    assert (stopped.status, stopped.places) == ("COMPLETED", 5)
    assert (new.status, new.places) == ("ACTIVE", 4)
    assert prolific.publish().is_empty
    assert extend(prolific.database, None, prolific.crowd(), HOUR, prolific.clock).hits == 1


def test_study_that_was_stopped_while_something_waits_is_left_until_that_is_decided(
    prolific_study,
):
    world = prolific_study()
    world.publish()
    _, submission = world.begin("ann")
    world.hand_in(submission, "NOCODE")
    first = world.hit().external_id
    world.crowd()._transition(first, "STOP")
    events = len(world.rows(schema.Event))

    for again in (world.publish, lambda: extend(world.database, None, world.crowd(), HOUR)):
        with pytest.raises(CrowdError, match="decide on Prolific's site about what that leaves"):
            again()
    assert len(world.rows(schema.Event)) == events
    assert world.hit().expires_at <= world.clock()  # not on offer
    assert GONE not in world.hit().details

    world.review(policy=Policy(reject_unfinished=True, reason=LONG))
    assert extend(world.database, None, world.crowd(), HOUR, world.clock).hits == 0
    assert GONE in world.hit().details
    assert world.publish().hits == (5,)
    assert world.hit().external_id != first


def test_study_that_another_run_lets_go_on_meanwhile_stays_on_offer(prolific, monkeypatch):
    prolific.publish()
    prolific.crowd()._transition(prolific.hit().external_id, "PAUSE")
    looks = prolific.crowd()
    ask = looks.is_offered

    def and_meanwhile(hit):
        answer = ask(hit)
        prolific.clock.time += timedelta(seconds=1)
        prolific.publish()
        return answer

    monkeypatch.setattr(looks, "is_offered", and_meanwhile)

    assert match_offers(prolific.database, None, looks, prolific.clock) == 0
    assert prolific.hit().expires_at > prolific.clock()
    assert prolific.review().ended == 0
    assert [study.status for study in prolific.fake_rows(store.Study)] == ["ACTIVE"]


def test_who_was_approved_is_barred_though_the_study_cannot_be_looked_up(prolific, monkeypatch):
    prolific.publish()
    prolific.work("ann")
    crowd = prolific.crowd()

    def unreachable(_):
        raise CrowdUnreachable("no answer")

    monkeypatch.setattr(crowd, "is_offered", unreachable)

    with pytest.raises(CrowdUnreachable):
        prolific.review(crowd)
    assert [group.members for group in prolific.fake_rows(store.Group)] != [[]]
    (worker,) = prolific.rows(schema.Worker)
    assert worker.details["barred"]


def test_review_never_takes_all_of_a_study_for_listed_where_late_people_are_paid_by_hand(prolific):
    prolific.publish()
    expire(prolific.database, None, prolific.crowd(), prolific.clock)
    prolific.clock.time += timedelta(days=90)

    prolific.review()

    assert ALL_LISTED not in prolific.hit().details


def test_publishing_that_is_not_agreed_to_leaves_an_ended_study_ended(prolific_study):
    world = prolific_study(trials=4)
    world.publish()
    submission = world.work("ann")
    expire(world.database, None, world.crowd(), world.clock)
    world.give_back(submission)

    world.publish(confirm=lambda _: False)

    assert [study.status for study in world.fake_rows(store.Study)] == ["PAUSED"]


def _screen_out(world, *names):
    code = world.hit().details["offer"]["screen_out_code"]
    for name in names:
        world.hand_in(world.begin(name)[1], code)


@pytest.mark.parametrize("places", [5, 6])
def test_used_up_screen_outs_are_told_before_anything_is_enlarged(prolific, places):
    prolific.publish()
    _screen_out(prolific, "ann", "ben", "cas")
    crowd = prolific.crowd()

    with pytest.raises(CrowdError, match=r"all 3 paid screen-outs .* are used.*`vgan-eval extend`"):
        crowd.grow(prolific.hit().external_id, places)

    assert [call for call in crowd._calls.made if not call.startswith("GET")] == []


def test_study_goes_on_once_it_has_more_screen_out_slots(prolific):
    prolific.publish()
    _screen_out(prolific, "ann", "ben", "cas")
    (study,) = prolific.fake_rows(store.Study)
    codes = study.body["completion_codes"]
    codes[1]["actions"][0]["slots"] = 6
    calls = prolific.crowd()._calls
    calls.call("PATCH", f"studies/{study.external_id}/", {"completion_codes": codes})

    extend(prolific.database, None, prolific.crowd(), timedelta(hours=1), prolific.clock)

    assert [study.status for study in prolific.fake_rows(store.Study)] == ["ACTIVE"]


def test_top_up_after_expire_uses_the_places_that_are_paid_for(prolific):
    prolific.publish()
    prolific.work("ann")
    expire(prolific.database, None, prolific.crowd(), prolific.clock)

    plan = prolific.publish()

    assert (plan.sessions, plan.places, plan.total_cents) == (0, 5, 0)
    (study,) = prolific.fake_rows(store.Study)
    assert (study.status, study.places) == ("ACTIVE", 5)


def test_who_finished_is_approved_and_paid(prolific):
    prolific.publish()
    prolific.work("ann")
    before = prolific.sandbox.configure()["balance_cents"]

    plan = prolific.review()

    assert (plan.approve, plan.reject) == (1, 0)
    assert prolific.statuses() == {"ann": "APPROVED"}
    assert before - prolific.sandbox.configure()["balance_cents"] == 107
    assert prolific.review().already == 1


def test_no_call_killed_anywhere_approves_or_rejects_twice(prolific, prolific_walk):
    prolific.publish()
    prolific.work("ann")
    participant, idle = prolific.begin("ben")
    prolific.rate(participant, idle, showings=1)
    prolific.hand_in(idle, "NOCODE")
    policy = Policy(reject_unfinished=True, reason=LONG)

    made = prolific_walk(prolific, lambda world, crowd: world.review(crowd, policy))

    assert sum(call.endswith("/transition/") for call in made) == 2


def test_rejection_has_its_category_and_a_reason_long_enough(prolific):
    prolific.publish()
    for name, code, showings in (("ann", "", 0), ("ben", "WRONG", 0), ("cat", "", 2)):
        participant, submission = prolific.begin(name)
        prolific.rate(participant, submission, showings=showings)
        prolific.hand_in(submission, code)

    with pytest.raises(
        UsageError, match=f"has {len(SHORT)} characters, and Prolific wants at least 100"
    ):
        prolific.review(policy=Policy(reject_unfinished=True, reason=SHORT))
    assert prolific.rows(schema.Review) == []
    prolific.review(policy=Policy(reject_unfinished=True, reason=LONG))

    rejected = {s.category: s.message for s in prolific.fake_rows(store.Submission)}
    assert rejected == {"NO_CODE": LONG, "NO_DATA": LONG, "OTHER": LONG}


def test_place_of_a_rejected_worker_is_on_offer_again_by_itself(prolific):
    prolific.publish()
    participant, idle = prolific.begin("ben")
    prolific.rate(participant, idle, showings=0)
    prolific.hand_in(idle, "NOCODE")
    prolific.review(policy=Policy(reject_unfinished=True, reason=LONG))

    assert prolific.publish().is_empty
    for name in ("a", "b", "c", "d", "e"):
        prolific.work(name)
    assert prolific.publish().is_empty
    assert prolific.fake_rows(store.Study)[0].status == "AWAITING REVIEW"


def test_returned_submission_frees_its_trials_at_once(prolific):
    prolific.publish()
    participant, submission = prolific.begin("ann")
    prolific.rate(participant, submission, showings=2)
    prolific.give_back(submission)

    prolific.review()

    (ours,) = prolific.rows(schema.Assignment)
    assert ours.status == "returned"
    for name in ("a", "b", "c", "d", "e"):
        prolific.work(name)  # all five sessions find their trials


def test_who_returns_a_finished_submission_takes_the_answers_back(prolific):
    prolific.publish()
    submission = prolific.work("ann")
    prolific.give_back(submission)

    assert prolific.review().unlisted == ()  # the same run closes it

    assert {j.status for j in prolific.rows(schema.Judgment)} == {"withdrawn"}
    assert prolific.rows(schema.Payment) == []
    for name in ("a", "b", "c", "d", "e"):
        prolific.work(name)


@pytest.mark.parametrize("withdraws_first", [False, True])
def test_who_returns_a_finished_submission_and_withdraws_leaves_no_id(prolific, withdraws_first):
    prolific.publish()
    participant, submission = prolific.begin("ann")
    prolific.rate(participant, submission)
    prolific.hand_in(submission)

    def take_back():
        return withdraw(prolific.database, participant, key=b"k" * 32, now=prolific.clock)

    if withdraws_first:
        assert take_back().owed == 1
    prolific.give_back(submission)
    prolific.review()

    assert take_back().owed == 0
    assert {worker.external_id for worker in prolific.rows(schema.Worker)}.isdisjoint([participant])
    assert submission not in {a.external_id for a in prolific.rows(schema.Assignment)}


def test_who_ran_out_of_time_after_finishing_keeps_the_answers(prolific):
    prolific.publish()
    participant, submission = prolific.begin("ann")
    prolific.rate(participant, submission)
    prolific.clock.time += timedelta(minutes=31)

    plan = prolific.review()

    assert prolific.statuses() == {"ann": "TIMED-OUT"}
    assert {j.status for j in prolific.rows(schema.Judgment)} == {"counted"}
    assert plan.unlisted == ((participant, submission, 4, 4),)


def test_platform_approval_after_21_days_is_noted(prolific):
    prolific.publish()
    prolific.work("ann")
    prolific.clock.time += timedelta(days=22)

    assert prolific.review().noted == 1
    assert [p.state for p in prolific.rows(schema.Payment)] == ["done", "done"]


def test_many_submissions_are_read_page_by_page(prolific_study, monkeypatch):
    world = prolific_study(trials=28)
    world.publish()
    for n in range(7):
        world.work(f"w{n}")
    crowd = world.crowd()
    monkeypatch.setattr("evaluation.crowd.prolific_calls.PAGE_SIZE", 3)

    assert len(list(crowd.assignments(world.hit().external_id))) == 7
    assert len(crowd._calls.made) == 3


def test_workers_who_took_part_are_barred_from_the_next_study(prolific):
    prolific.publish()
    prolific.work("ann")
    prolific.review()

    (group,) = prolific.fake_rows(store.Group)
    (ann,) = prolific.fake_rows(store.Participant)
    assert group.members == [ann.external_id]
    assert group.name not in {"study"}
    blocklist = prolific.fake_rows(store.Study)[0].body["filters"][-1]
    assert blocklist["selected_values"] == [group.external_id]


def test_extend_says_that_no_time_ends_an_offer_on_prolific(prolific, monkeypatch, capsys):
    monkeypatch.setenv("PROLIFIC_API_URL", prolific.api)
    prolific.publish()

    assert main(["extend", "--hours", "5", "--db", prolific.database.url]) == 0
    assert "on offer until `vgan-eval expire` (prolific has no end by time, so --hours" in (
        capsys.readouterr().out
    )


def test_bonus_is_paid_in_whole_units_once_and_by_one_call(prolific):
    prolific.publish()
    for name in ("ann", "ben"):
        prolific.work(name)
    prolific.review()
    crowd = prolific.crowd()

    plan = prolific.pay(crowd)

    assert (plan.bonuses, plan.cents) == (2, 50)
    assert prolific.bonuses() == [("ann", 25), ("ben", 25)]
    # Prepared once to learn the price and once to be paid.
    assert sum(call.startswith("POST") for call in crowd._calls.made) == 3
    assert prolific.pay().bonuses == 0
    assert prolific.bonuses() == [("ann", 25), ("ben", 25)]


def test_no_call_killed_anywhere_pays_a_bonus_twice(prolific, prolific_walk):
    prolific.publish()
    for name in ("ann", "ben"):
        prolific.work(name)
    prolific.review()

    made = prolific_walk(prolific, lambda world, crowd: world.pay(crowd), later=SETTLE)

    assert sum(call.endswith("/pay/") for call in made) == 1


@pytest.mark.parametrize("how", ["before", "after", "lost"])
def test_a_lost_payment_is_not_made_again_before_it_had_time_to_show(prolific, how):
    prolific.publish()
    prolific.work("ann")
    prolific.review()
    with pytest.raises((CrowdUnreachable, Killed)):
        prolific.pay(prolific.crowd(6, how))
    paid = prolific.bonuses()

    with pytest.raises(CrowdUnreachable, match="1 bonuses were asked for less than 1 h ago"):
        prolific.pay()

    assert prolific.bonuses() == paid == ([] if how == "before" else [("ann", 25)])
    prolific.clock.time += SETTLE
    prolific.pay()
    assert prolific.bonuses() == [("ann", 25)]


def test_refused_payment_may_be_made_again_at_once(prolific):
    prolific.publish()
    prolific.work("ann")
    prolific.review()
    crowd = prolific.crowd()
    crowd.balance_cents = lambda: 10**6
    prolific.sandbox.configure(balance_cents=10)
    with pytest.raises(CrowdError, match="Not enough funds"):
        prolific.pay(crowd)
    prolific.sandbox.configure(balance_cents=5000)

    prolific.pay()

    assert prolific.bonuses() == [("ann", 25)]


def test_two_bonuses_of_one_amount_are_told_apart(prolific):
    prolific.publish()
    prolific.work("ann")
    prolific.review()
    prolific.pay(reason="For speed")
    with pytest.raises(CrowdUnreachable):  # the first does not show yet
        prolific.pay(prolific.crowd(6, "fault"), reason="For care")
    prolific.clock.time += SETTLE  # now the first shows, and is not taken for the second

    prolific.pay(reason="For care")

    assert prolific.bonuses() == [("ann", 25), ("ann", 25)]


def test_crowd_without_bonuses_says_so(prolific):
    crowd = LinkCrowd(prolific.database, schema.Environment.SANDBOX)

    with pytest.raises(UsageError, match="the crowd link pays no bonuses"):
        pay_bonuses(prolific.database, None, crowd, cents=5, reason="Thanks")
