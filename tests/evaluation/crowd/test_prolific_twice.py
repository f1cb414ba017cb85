"""On Prolific nothing is published, enlarged or paid twice, or for another price than was shown."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from crashes import Killed
from evaluation import schema
from evaluation.commands.crowd import older_rewards_text, publication_text
from evaluation.commands.options import Address, Venue
from evaluation.crowd.base import CrowdError, CrowdUnreachable
from evaluation.crowd.prolific_calls import PAUSES_S, TIMEOUT_S
from evaluation.money.bulk_bonuses import SETTLE, Line, _batches
from evaluation.money.cancelling import Cancellation, cancel_bonuses
from evaluation.payments import pay_bonuses
from evaluation.prolific_sandbox import store
from evaluation.publish import expire
from evaluation.publishing.creating import CLAIM


def _meanwhile(crowd, act):
    """Do something once, when a run is about to draft its study."""
    named, done = crowd._named, []

    def look(tokens, project=""):
        found = named(tokens, project)
        if not done:
            done.append(True)
            act()
        return found

    crowd._named = look


def test_two_runs_at_once_publish_one_study(prolific):
    first, refused = prolific.crowd(), []

    def second():
        with pytest.raises(CrowdUnreachable, match="another run is publishing") as caught:
            prolific.publish()
        refused.append(str(caught.value))

    _meanwhile(first, second)
    prolific.publish(first)

    assert "run the same command again in 30 minutes" in refused[0]
    assert [study.places for study in prolific.fake_rows(store.Study)] == [5]
    assert [hit.state for hit in prolific.rows(schema.Hit)] == ["done"]


def test_run_that_died_is_followed_by_one_that_waits_and_says_how_long(prolific):
    with pytest.raises(Killed):
        prolific.publish(prolific.crowd(11, "before"))  # drafted, not published
    prolific.clock.time += timedelta(minutes=20)

    with pytest.raises(CrowdUnreachable, match="again in 10 minutes"):
        prolific.publish()
    prolific.clock.time += timedelta(minutes=10)
    prolific.publish()

    assert [study.status for study in prolific.fake_rows(store.Study)] == ["ACTIVE"]


@pytest.mark.parametrize("fate", ["lost", "fault"])  # published or not; there is no reply
def test_run_that_ends_without_an_answer_is_followed_by_one_that_looks_at_once(prolific, fate):
    with pytest.raises(CrowdUnreachable):
        prolific.publish(prolific.crowd(11, fate))

    prolific.publish()

    assert [study.status for study in prolific.fake_rows(store.Study)] == ["ACTIVE"]


def test_study_that_was_published_while_the_next_run_looked_is_found_by_its_second_look(prolific):
    with pytest.raises(Killed):
        prolific.publish(prolific.crowd(11, "after"))  # published, and died of it
    prolific.clock.time += CLAIM
    crowd, looks = prolific.crowd(), []
    find = crowd.find
    crowd.find = lambda tokens: looks.append(tokens) or ({} if len(looks) == 1 else find(tokens))

    prolific.publish(crowd)

    assert len(looks) == 2
    assert [study.status for study in prolific.fake_rows(store.Study)] == ["ACTIVE"]
    assert prolific.hit().external_id == prolific.fake_rows(store.Study)[0].external_id


def test_what_another_run_is_creating_is_not_given_up(prolific):
    crowd = prolific.crowd()

    def stop():
        with pytest.raises(CrowdUnreachable, match="another run is publishing"):
            expire(prolific.database, None, prolific.crowd(), prolific.clock)

    _meanwhile(crowd, stop)
    prolific.publish(crowd)

    assert [hit.state for hit in prolific.rows(schema.Hit)] == ["done"]


def test_claim_holds_for_longer_than_a_run_can_be_busy():
    # The list of studies, the workspace, the groups, a new group, the draft, PUBLISH.
    a_call = (len(PAUSES_S) + 1) * TIMEOUT_S + sum(PAUSES_S)

    assert timedelta(seconds=6 * a_call) < CLAIM


def test_place_of_something_handed_in_and_undecided_is_not_on_offer(prolific):
    prolific.publish()
    _, idle = prolific.begin("ben")
    prolific.hand_in(idle, "NOCODE")  # nothing is rated

    assert (prolific.publish().places, prolific.publish().is_empty) == (6, True)
    for name in ("a", "b", "c", "d", "e"):
        prolific.work(name)
    assert prolific.publish().is_empty


def test_undecided_place_of_a_paused_study_is_counted_too(prolific):
    prolific.publish()
    _, idle = prolific.begin("ben")
    prolific.hand_in(idle, "NOCODE")
    expire(prolific.database, None, prolific.crowd(), prolific.clock)

    plan = prolific.publish()

    assert (plan.sessions, plan.places) == (1, 6)


def test_published_study_grows_at_its_own_reward_and_the_plan_says_so(prolific):
    prolific.publish()
    prolific.take_back(prolific.work("ann"))
    with prolific.database.write() as session:
        study = session.scalars(select(schema.Study)).one()
        pay = {**study.settings["pay"], "reward_cents": 120}
        study.settings = {**study.settings, "pay": pay}
    before, shown = prolific.crowd().balance_cents(), []
    told = "HIT keeps the reward that it was published with; the study file says 1.20 USD now."

    prolific.publish(confirm=lambda plan: shown.append(plan) or True)

    assert before - prolific.crowd().balance_cents() == 107
    assert (shown[0].reward_cents, shown[0].total_cents) == (80, 107)
    text = publication_text(
        shown[0], Venue("", None, "prolific", True), Address("https://x.org", "")
    )
    assert "1 session in the published HIT, which gets 6 places, 0.80 USD and 0.27 USD" in text
    assert told in text
    nothing = prolific.publish()
    assert nothing.is_empty
    assert told in older_rewards_text(nothing)
    for name in ("a", "b", "c", "d", "e"):
        prolific.work(name)
    assert older_rewards_text(prolific.publish()) == ""


def _approved(world):
    world.publish()
    world.work("ann")
    world.review()
    return world


def _dies(prepared):
    raise CrowdUnreachable("never reached the platform")


def test_bonus_waits_until_an_earlier_one_of_its_amount_is_settled(prolific):
    world = _approved(prolific)
    crowd = world.crowd()
    crowd.pay_bonuses = _dies
    with pytest.raises(CrowdUnreachable):
        world.pay(crowd, reason="For speed")
    world.clock.time += timedelta(minutes=5)

    with pytest.raises(CrowdError, match="first run `vgan-eval pay --cents 25 --reason 'For sp"):
        world.pay(reason="For care")
    assert world.bonuses() == []
    world.pay(cents=30, reason="For more")  # another amount can be told apart
    world.clock.time += SETTLE
    world.pay(reason="For speed")
    world.pay(reason="For care")

    assert world.bonuses() == [("ann", 25), ("ann", 25), ("ann", 30)]
    assert {payment.state for payment in world.rows(schema.Payment)} == {"done"}


def test_only_a_bonus_that_was_never_asked_for_is_taken_back(prolific):
    world = _approved(prolific)

    def cancel(reason, **options):
        return cancel_bonuses(
            world.database, None, world.crowd(), reason=reason, now=world.clock, **options
        )

    def pay_and_die(reason, at):
        crowd = world.crowd()
        setattr(crowd, at, _dies)
        with pytest.raises(CrowdUnreachable):
            world.pay(crowd, reason=reason)
        return True

    for reason in ("For care", "For speed"):
        pay_and_die(reason, "bonuses_paid")  # looked at before anything is asked for

    assert cancel("For care") == Cancellation(1, 25, 0, 0)
    cancel("For speed", confirm=lambda _: pay_and_die("For speed", "pay_bonuses"))
    assert cancel("For speed") == Cancellation(0, 0, 0, 1)

    states = {row.reason: row.state for row in world.rows(schema.Payment)}
    assert (states["For care"], states["bonus: For care"]) == ("failed", "failed")
    assert states["For speed"] == "intended"
    world.clock.time += SETTLE
    world.pay(reason="For speed")
    assert world.bonuses() == [("ann", 25)]


def test_bonus_that_is_taken_back_while_it_is_prepared_is_not_paid(prolific):
    world = _approved(prolific)
    crowd = world.crowd()
    prepare, prepared = crowd.set_up_bonuses, []

    def meanwhile(hit, lines):
        prepared.append(prepare(hit, lines))
        if len(prepared) == 2:  # the first told the price
            cancel_bonuses(world.database, None, world.crowd(), reason="Thanks", now=world.clock)
        return prepared[-1]

    crowd.set_up_bonuses = meanwhile
    with pytest.raises(CrowdError, match="another run settled some of these bonuses"):
        world.pay(crowd)

    assert world.bonuses() == []


def test_bonus_that_another_run_asks_for_while_it_is_prepared_is_paid_once(prolific):
    world = _approved(prolific)
    crowd, other = world.crowd(), world.crowd()
    prepare, ask, prepared = crowd.set_up_bonuses, other.pay_bonuses, []

    def unheard(bonuses):
        ask(bonuses)
        raise CrowdUnreachable("the reply is lost")

    def meanwhile(hit, lines):
        prepared.append(prepare(hit, lines))
        if len(prepared) == 2:  # the first told the price
            with pytest.raises(CrowdUnreachable, match="the reply is lost"):
                world.pay(other)
        return prepared[-1]

    other.pay_bonuses, crowd.set_up_bonuses = unheard, meanwhile
    with pytest.raises(CrowdUnreachable, match="another run is paying these bonuses"):
        world.pay(crowd)

    assert world.bonuses() == [("ann", 25)]


def test_one_payment_is_not_taken_for_two_that_an_older_version_let_wait(prolific, monkeypatch):
    monkeypatch.setattr("evaluation.money.bulk_bonuses._check_alone", lambda *_: None)
    world = _approved(prolific)
    for how, reason in (("before", "For speed"), ("lost", "For care")):  # only care was paid
        with pytest.raises(BaseException):  # noqa: B017, PT011 (one kill, one lost reply)
            world.pay(world.crowd(6, how), reason=reason)
    monkeypatch.undo()
    world.clock.time += SETTLE

    for reason in ("For speed", "For care"):
        world.pay(reason=reason)

    assert world.bonuses() == [("ann", 25), ("ann", 25)]


def test_of_two_bonuses_that_wait_the_earlier_is_settled_first(prolific, monkeypatch):
    monkeypatch.setattr("evaluation.money.bulk_bonuses._check_alone", lambda *_: None)
    world = _approved(prolific)
    for reason in ("For speed", "For care"):
        with pytest.raises(Killed):
            world.pay(world.crowd(6, "before"), reason=reason)
        world.clock.time += SETTLE
    monkeypatch.undo()

    with pytest.raises(CrowdError, match="run `vgan-eval pay --cents 25 --reason 'For speed'"):
        world.pay(reason="For care")
    for reason in ("For speed", "For care"):
        world.pay(reason=reason)

    assert world.bonuses() == [("ann", 25), ("ann", 25)]


def test_one_call_takes_the_bonuses_of_one_hit_and_no_more_than_prolific_advises():
    lines = [Line("3HIT", str(n), 5) for n in range(450)] + [Line("4HIT", "x", 5)]

    batches = list(_batches(lines))

    assert [(batch[0].hit, len(batch)) for batch in batches] == [
        ("3HIT", 200), ("3HIT", 200), ("3HIT", 50), ("4HIT", 1),
    ]  # fmt: skip
    assert [line for batch in batches for line in batch] == lines


def test_tax_on_a_bonus_is_shown_held_to_and_booked(prolific):
    world = _approved(prolific)
    world.sandbox.configure(vat_percent=20)
    before, shown = world.sandbox.configure()["balance_cents"], []

    pay_bonuses(
        world.database, None, world.crowd(), cents=100, reason="Thanks",
        confirm=lambda plan: shown.append(plan.total_cents) or True, now=world.clock,
    )  # fmt: skip

    assert shown == [100 + 34 + 7]
    assert before - world.sandbox.configure()["balance_cents"] == 141
    booked = [p.cents for p in world.rows(schema.Payment) if "Thanks" in p.reason]
    assert sum(booked) == 141


def test_bonuses_that_became_dearer_than_confirmed_are_not_paid(prolific):
    world = _approved(prolific)

    def confirm(plan):
        world.sandbox.configure(vat_percent=1)
        return True

    with pytest.raises(CrowdError, match=r"asks 1\.35 for the bonuses.* 1\.34 was agreed to"):
        pay_bonuses(
            world.database, None, world.crowd(), cents=100, reason="Thanks", confirm=confirm,
            now=world.clock,
        )  # fmt: skip
    assert world.bonuses() == []
    world.pay(cents=100)

    assert world.bonuses() == [("ann", 100)]


def test_fees_in_the_ledger_add_up_to_what_the_platform_named(prolific):
    world = prolific
    world.publish()
    for name in ("ann", "ben", "cem"):
        world.work(name)
    world.review()
    crowd = world.crowd()
    prepare = crowd.set_up_bonuses
    crowd.set_up_bonuses = lambda hit, lines: prepare(hit, lines)._replace(total_cents=75 + 26)

    world.pay(crowd)

    fees = [p.cents for p in world.rows(schema.Payment) if p.reason == "bonus: Thanks"]
    assert sorted(fees) == [8, 9, 9]
