"""Review: everyone who finished is paid, once, whatever breaks."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from evaluation import schema
from evaluation.allocation import withdraw_session
from evaluation.crowd.base import CrowdUnreachable
from evaluation.errors import UsageError
from evaluation.forgetting import forget
from evaluation.money.ledger import ledger
from evaluation.money.policy import Policy
from evaluation.publish import extend
from evaluation.reviews import review
from evaluation.schema import (
    AssignmentStatus,
    CallState,
    JudgmentStatus,
    PaymentKind,
    ReviewDecision,
    ShowingStatus,
)

REJECT = Policy(reject_unfinished=True, reason="You did not answer every pair.")


def reviewed(crowded, policy=None, crowd=None, **options):
    return review(
        crowded.database, None, crowd or crowded.crowd(), policy, now=crowded.clock, **options
    )


def books(crowded):
    with crowded.database.read() as session:
        study = session.scalars(select(schema.Study)).one()
        return {(line.kind, line.state): line.cents for line in ledger(session, study)}


@pytest.fixture
def submitted(crowded):
    """Two workers finished, one handed in half a session, one without ever starting."""
    crowded.publish()
    hit = crowded.hits()[0]
    crowded.work("A1", hit)
    crowded.work("A2", hit)
    half = crowded.accept("A3", hit)
    crowded.start("A3", hit, half, showings=2)
    crowded.submit(half)
    crowded.submit(crowded.accept("A4", hit))
    return crowded


def test_everyone_who_finished_is_approved_and_nobody_rejected(submitted):
    done = reviewed(submitted)

    assert (done.approve, done.reject, done.already, done.reward_cents) == (2, 0, 0, 20)
    half, never = (submitted.by_worker()[worker].external_id for worker in ("A3", "A4"))
    assert set(done.undecided) == {("A3", half, 2, 4), ("A4", never, 0, 0)}
    by_worker = submitted.by_worker()
    assert [by_worker[w].status for w in ("A1", "A2", "A3", "A4")] == [
        "Approved", "Approved", "Submitted", "Submitted"
    ]  # fmt: skip
    assert by_worker["A1"].feedback == "Thank you."


def test_ledger_says_what_the_service_took(submitted):
    reviewed(submitted)

    assert books(submitted) == {
        (PaymentKind.REWARD, CallState.DONE): 20,
        (PaymentKind.FEE, CallState.DONE): 4,
    }
    assert submitted.balance() == 1_000_000 - 24


def test_reviewing_again_does_nothing(submitted):
    reviewed(submitted)
    before = submitted.books()
    crowd = submitted.crowd()

    again = reviewed(submitted, crowd=crowd)

    assert (again.approve, again.already) == (0, 2)
    assert submitted.books() == before
    assert set(crowd._calls.made) == {"list_assignments_for_hit"}


def test_what_was_never_handed_in_is_owed_until_it_can_come_no_more(crowded):
    crowded.publish()
    hit = crowded.hits()[0]
    crowded.start("A1NEVERCAME", hit, crowded.accept("A1NEVERCAME", hit))

    def owed():
        kept = forget(crowded.database, key=b"k" * 32, older_than_days=0, dry_run=True,
                      now=crowded.clock)  # fmt: skip
        return kept.owed, kept.people

    (row, *_) = crowded.rows(schema.Hit)
    crowded.clock.time = row.expires_at + timedelta(minutes=29)  # of the 30 that one session has
    assert len(reviewed(crowded).unlisted) == 1
    assert owed() == (1, 0)
    crowded.clock.time += timedelta(hours=2)
    assert owed() == (1, 0)  # nobody has asked the platform since
    reviewed(crowded)
    assert owed() == (0, 1)

    extend(crowded.database, None, crowded.crowd(), timedelta(hours=5), crowded.clock)
    assert owed() == (1, 0)  # it can come again
    (assignment,) = crowded.rows(schema.Assignment)
    assert crowded.accept("A1NEVERCAME", hit) != assignment.external_id


def test_nothing_is_written_or_called_when_it_is_not_confirmed(submitted):
    before = submitted.books()

    plan = reviewed(submitted, confirm=lambda plan: False)

    assert plan.approve == 2
    assert submitted.books() == before


def test_rejection_by_an_explicit_rule_shows_its_reason_to_the_worker(submitted):
    done = reviewed(submitted, REJECT)

    assert (done.approve, done.reject, done.undecided) == (2, 2, ())
    rejected = {w: a for w, a in submitted.by_worker().items() if a.status == "Rejected"}
    assert set(rejected) == {"A3", "A4"}
    assert {a.feedback for a in rejected.values()} == {"You did not answer every pair."}
    assert books(submitted) == {
        (PaymentKind.REWARD, CallState.DONE): 20,
        (PaymentKind.FEE, CallState.DONE): 4,
    }
    assert submitted.balance() == 1_000_000 - 24


@pytest.mark.parametrize("by_hand", [False, True])
def test_who_handed_in_too_soon_keeps_the_answers_and_holds_no_trial_any_longer(submitted, by_hand):
    (half,) = [row for row in submitted.rows(schema.Assignment) if row.submitted_at is None]
    if by_hand:
        submitted.crowd().approve(half.external_id, "Thank you.")

    reviewed(submitted, None if by_hand else REJECT)

    shown = [row for row in submitted.rows(schema.Showing) if row.assignment_id == half.id]
    left = {row.trial_id for row in shown if row.status is ShowingStatus.EXPIRED}
    assert [row.status for row in shown].count(ShowingStatus.ANSWERED) == 2
    assert len(left) == len(shown) - 2 > 0
    assert all(row.free for row in submitted.rows(schema.Trial) if row.id in left)
    given = [row for row in submitted.rows(schema.Judgment) if row.trial_id not in left]
    assert {row.status for row in given} == {JudgmentStatus.COUNTED}


def test_a_rejection_without_a_reason_is_refused():
    with pytest.raises(UsageError, match="give --reason"):
        Policy(reject_unfinished=True, reason=" ")


def test_auto_approval_by_the_platform_is_noted_and_paid_once(submitted):
    submitted.clock.time += timedelta(hours=73)

    done = reviewed(submitted)

    assert (done.approve, done.noted, done.undecided, done.reward_cents) == (0, 4, (), 0)
    assert books(submitted)[PaymentKind.REWARD, CallState.DONE] == 40  # the idle ones' too
    assert submitted.balance() == 1_000_000 - 48
    assert reviewed(submitted).already == 4


def test_rejection_reversed_on_the_platform_is_noted_and_paid(submitted):
    reviewed(submitted, REJECT)
    third = submitted.by_worker()["A3"].external_id
    client = submitted.crowd()._calls._client
    client.approve_assignment(AssignmentId=third, OverrideRejection=True)

    done = reviewed(submitted, REJECT)

    assert (done.approve, done.noted, done.already) == (0, 1, 3)
    reviews = [(r.number, r.decision) for r in submitted.rows(schema.Review)]
    assert (2, ReviewDecision.APPROVE) in reviews
    assert books(submitted)[PaymentKind.REWARD, CallState.DONE] == 30
    assert submitted.balance() == 1_000_000 - 36
    assert reviewed(submitted, REJECT).already == 4  # the latest decision is what counts


def test_approval_that_a_person_forestalled_by_a_rejection_is_not_booked(submitted):
    with pytest.raises(CrowdUnreachable):
        reviewed(submitted, crowd=submitted.crowd(4, "fault"))
    (intended,) = submitted.rows(schema.Review)
    first = submitted.rows(schema.Assignment)[0].external_id
    client = submitted.crowd()._calls._client
    client.reject_assignment(AssignmentId=first, RequesterFeedback="By hand.")

    reviewed(submitted)

    states = [(r.number, r.decision, r.state) for r in submitted.rows(schema.Review)]
    assert intended.decision is ReviewDecision.APPROVE
    assert (1, ReviewDecision.APPROVE, CallState.FAILED) in states
    assert (2, ReviewDecision.REJECT, CallState.DONE) in states
    assert books(submitted)[PaymentKind.REWARD, CallState.DONE] == 10
    assert submitted.balance() == 1_000_000 - 12


def test_a_withdrawn_session_is_paid_and_stays_withdrawn(submitted):
    with submitted.database.write() as session:
        first = session.scalars(select(schema.Assignment).order_by(schema.Assignment.id)).first()
        withdraw_session(session, first)

    done = reviewed(submitted)

    assert done.approve == 2
    assert submitted.rows(schema.Assignment)[0].status is AssignmentStatus.WITHDRAWN
    assert books(submitted)[PaymentKind.REWARD, CallState.DONE] == 20


def test_workers_who_took_part_cannot_take_the_next_hit(submitted):
    reviewed(submitted)

    second = submitted.hits()[1]
    for worker, status in (("A1", 403), ("A2", 403), ("A3", 403), ("A5", 303)):
        reply = submitted.site.post(f"/worker/{worker}/hits/{second}/accept")
        assert reply.status_code == status, worker


def test_workers_with_sessions_left_may_come_again(sqlite_database, recruit, crowd_on):
    recruit(sqlite_database, sessions_per_worker=2)
    crowded = crowd_on(sqlite_database)
    crowded.publish()
    first, second, third = crowded.hits()
    crowded.work("A1", first)
    reviewed(crowded)
    crowded.work("A1", second)
    reviewed(crowded)

    assert crowded.site.post(f"/worker/A1/hits/{third}/accept").status_code == 403


def test_no_call_killed_anywhere_approves_or_rejects_twice(
    sqlite_database, recruit, crowd_on, walk
):
    recruit(sqlite_database, trials=8)
    crowded = crowd_on(sqlite_database)
    crowded.publish()
    (hit,) = crowded.hits()
    crowded.work("A1", hit)
    crowded.submit(crowded.accept("A2", hit))

    calls = walk(crowded, lambda world, crowd: reviewed(world, REJECT, crowd))

    assert len(calls) == 1 + 2 + 1 + 2  # the list, the decisions, the group's id, workers barred


def test_a_session_that_the_platform_does_not_list_is_named_and_not_paid(submitted):
    submitted.start("A9INVENTED", submitted.hits()[0], "3INVENTED")

    done = reviewed(submitted)

    assert (done.approve, done.unlisted) == (2, (("A9INVENTED", "3INVENTED", 4, 4),))
    assert reviewed(submitted).unlisted == done.unlisted
    assert submitted.balance() == 1_000_000 - 24


def test_ids_of_returned_assignments_are_told_apart_by_the_worker(crowded):
    crowded.sandbox.configure(reuse_returned_ids=True)
    crowded.publish()
    hit = crowded.hits()[0]
    first = crowded.accept("A1", hit)
    crowded.start("A1", hit, first, showings=1)
    assert crowded.site.post(f"/worker/A1/assignments/{first}/return").status_code == 303
    second = crowded.work("A2", hit)
    assert second == first

    done = reviewed(crowded)

    assert done.approve == 1
    assert [(a.worker_id, a.status) for a in crowded.rows(schema.Assignment)] == [
        (1, "accepted"), (2, "approved")
    ]  # fmt: skip
