"""Balance, holds and books, through the API, on SQLite and PostgreSQL."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from evaluation.sandbox.store import Account, Entry


@pytest.fixture
def sandbox_url(empty_database_url):
    return empty_database_url


@pytest.fixture
def balance(mturk):
    def _balance():
        reply = mturk.get_account_balance()
        return reply["AvailableBalance"], reply["OnHoldBalance"]

    return _balance


def test_hit_holds_its_reward_and_fee_until_it_is_approved(mturk, make_hit, hand, balance):
    hit = make_hit(MaxAssignments=2)
    assert balance() == ("9999.76", "0.24")

    for worker in ("A1", "A2"):
        mturk.approve_assignment(AssignmentId=hand.do(worker, hit["HITId"]))

    assert balance() == ("9999.76", "0.00")


def test_thirteen_thousand_one_cent_assignments_hold_130_and_130_fee(make_hit, balance):
    make_hit(Reward="0.01", MaxAssignments=13_000)

    assert balance() == ("9740.00", "260.00")


def test_hits_of_nine_ten_cent_assignments_pay_a_fifth_in_fees(make_hit, balance):
    for _ in range(13):
        make_hit(MaxAssignments=9)

    assert balance() == ("9985.96", "14.04")  # 117 assignments at 0.10 + 0.02


def test_ten_assignments_double_the_fee(make_hit, balance):
    make_hit(MaxAssignments=10)

    assert balance() == ("9998.60", "1.40")


def test_each_of_ten_assignments_is_paid_with_the_doubled_fee(mturk, make_hit, hand, balance):
    hit = make_hit(MaxAssignments=10)

    mturk.approve_assignment(AssignmentId=hand.do("A1", hit["HITId"]))

    assert balance() == ("9998.60", "1.26")  # 0.10 + 0.04 were paid, and are held no more


def test_rejection_frees_what_was_held(mturk, make_hit, hand, balance):
    hit = make_hit(MaxAssignments=1)
    assignment = hand.do("A1", hit["HITId"])

    mturk.reject_assignment(AssignmentId=assignment, RequesterFeedback="Blank.")

    assert balance() == ("10000.00", "0.00")


def test_expiry_frees_what_nobody_took_and_extension_holds_it_again(
    mturk, make_hit, hand, sandbox, balance
):
    hit = make_hit(MaxAssignments=3, LifetimeInSeconds=60)
    hand.do("A1", hit["HITId"])

    sandbox.move_clock(timedelta(seconds=61))
    assert balance() == ("9999.88", "0.12")

    mturk.update_expiration_for_hit(HITId=hit["HITId"], ExpireAt=sandbox.now() + timedelta(hours=1))
    assert balance() == ("9999.64", "0.36")


def test_hit_that_cannot_be_paid_is_refused_and_leaves_nothing(
    mturk, make_hit, sandbox, error_of, balance
):
    sandbox.configure(opening_balance_cents=100)

    code, message = error_of(make_hit, MaxAssignments=9)

    assert code == "InsufficientFunds"
    assert "This needs 1.08 USD, fees included; 1.00 USD are available." in message
    assert balance() == ("1.00", "0.00")
    assert mturk.list_hits()["HITs"] == []
    assert make_hit(MaxAssignments=8)["MaxAssignments"] == 8


def test_what_a_hit_would_hold_anew_and_cannot_be_paid_is_refused(
    mturk, make_hit, sandbox, error_of, balance
):
    sandbox.configure(opening_balance_cents=24)
    over = make_hit(MaxAssignments=1, LifetimeInSeconds=60)["HITId"]
    sandbox.move_clock(timedelta(seconds=61))
    full = make_hit(MaxAssignments=2)["HITId"]
    later = {"HITId": over, "ExpireAt": sandbox.now() + timedelta(hours=1)}
    more = {"HITId": full, "NumberOfAdditionalAssignments": 1}

    assert error_of(mturk.update_expiration_for_hit, **later)[0] == "InsufficientFunds"
    assert error_of(mturk.create_additional_assignments_for_hit, **more)[0] == "InsufficientFunds"
    assert balance() == ("0.00", "0.24")


def test_bonus_beyond_the_balance_is_refused(mturk, make_hit, hand, sandbox, error_of):
    sandbox.configure(opening_balance_cents=100)
    assignment = hand.do("A1", make_hit(MaxAssignments=1)["HITId"])

    bonus = {"WorkerId": "A1", "AssignmentId": assignment, "Reason": "Thanks"}

    assert error_of(mturk.send_bonus, BonusAmount="0.80", **bonus)[0] == "InsufficientFunds"
    mturk.send_bonus(BonusAmount="0.73", **bonus)  # 0.73 + 0.15 = 0.88, all that is not held


def test_reversed_rejection_needs_funds_of_its_own(mturk, make_hit, hand, sandbox, error_of):
    sandbox.configure(opening_balance_cents=12)
    hit = make_hit(MaxAssignments=1)
    assignment = hand.do("A1", hit["HITId"])
    mturk.reject_assignment(AssignmentId=assignment, RequesterFeedback="No")
    make_hit(MaxAssignments=1, Title="Another")

    again = {"AssignmentId": assignment, "OverrideRejection": True}

    assert error_of(mturk.approve_assignment, **again)[0] == "InsufficientFunds"
    assert mturk.get_assignment(AssignmentId=assignment)["Assignment"]["AssignmentStatus"] == (
        "Rejected"
    )


def test_requesters_have_accounts_of_their_own(live, connect, make_hit, hand, error_of):
    mine = make_hit()
    other = connect(live, key="AKIDOTHER")

    assert other.get_account_balance()["AvailableBalance"] == "10000.00"
    assert other.list_hits()["HITs"] == []
    assert error_of(other.get_hit, HITId=mine["HITId"])[0] == "HITDoesNotExist"
    assignment = hand.do("A1", mine["HITId"])
    assert error_of(other.approve_assignment, AssignmentId=assignment)[0] == (
        "AssignmentDoesNotExist"
    )


def test_books_add_up_to_the_balance_after_everything(mturk, make_hit, hand, sandbox):
    hit = make_hit(MaxAssignments=4)
    done = [hand.do(worker, hit["HITId"]) for worker in ("A1", "A2", "A3")]
    mturk.approve_assignment(AssignmentId=done[0])
    mturk.send_bonus(WorkerId="A1", BonusAmount="1", AssignmentId=done[0], Reason="Good")
    mturk.reject_assignment(AssignmentId=done[1], RequesterFeedback="No")
    mturk.approve_assignment(AssignmentId=done[1], OverrideRejection=True)
    sandbox.move_clock(timedelta(days=4))  # the third is approved by itself, the fourth expires

    with sandbox.begin() as unit:
        account = unit.session.scalars(select(Account)).one()
        booked = unit.session.scalar(select(func.sum(Entry.cents)))
        assert account.balance_cents == booked == 1_000_000 - 3 * 12 - 120
        assert account.held_cents == 0


def test_new_hit_type_changes_what_is_held(mturk, make_hit, hit_properties, balance):
    hit = make_hit(MaxAssignments=1)
    keys = ("Title", "Description", "AssignmentDurationInSeconds")
    dearer = mturk.create_hit_type(Reward="0.50", **{k: hit_properties[k] for k in keys})

    mturk.update_hit_type_of_hit(HITId=hit["HITId"], HITTypeId=dearer["HITTypeId"])

    assert balance() == ("9999.40", "0.60")
    assert mturk.get_hit(HITId=hit["HITId"])["HIT"]["Reward"] == "0.50"


def test_accepted_work_keeps_the_terms_it_was_accepted_under(
    mturk, make_hit, hit_properties, hand, balance
):
    hit = make_hit(MaxAssignments=2, Reward="1.00")
    assignment = hand.accept("A1", hit["HITId"])
    keys = ("Title", "Description", "AssignmentDurationInSeconds")
    cheaper = mturk.create_hit_type(Reward="0.10", **{k: hit_properties[k] for k in keys})

    mturk.update_hit_type_of_hit(HITId=hit["HITId"], HITTypeId=cheaper["HITTypeId"])
    assert balance() == ("9998.68", "1.32")
    hand.submit(assignment, choice="left")
    shown = mturk.get_assignment(AssignmentId=assignment)["Assignment"]
    mturk.approve_assignment(AssignmentId=assignment)

    assert balance() == ("9998.68", "0.12")
    assert shown["AutoApprovalTime"] - shown["SubmitTime"] == timedelta(days=3)
    assert "<dt>Rewards</dt><dd>$1.00</dd>" in hand.site.get("/worker/A1/history").text


def test_work_in_hand_holds_what_its_place_would_cost_if_it_came_back(
    live, connect, mturk, make_hit, hit_properties, hand, sandbox, error_of, balance
):
    sandbox.configure(opening_balance_cents=70)
    hit = make_hit(MaxAssignments=1)
    keys = ("Title", "Description", "AssignmentDurationInSeconds")
    kind = {k: hit_properties[k] for k in keys}
    beyond, dearer = (mturk.create_hit_type(Reward=r, **kind) for r in ("5.00", "0.50"))
    first = hand.accept("A1", hit["HITId"])
    change = {"HITId": hit["HITId"], "HITTypeId": beyond["HITTypeId"]}
    assert error_of(mturk.update_hit_type_of_hit, **change)[0] == "InsufficientFunds"

    mturk.update_hit_type_of_hit(HITId=hit["HITId"], HITTypeId=dearer["HITTypeId"])
    assert balance() == ("0.10", "0.60")
    assert hand.site.post(f"/worker/A1/assignments/{first}/return").status_code == 303
    hand.accept("A2", hit["HITId"])
    sandbox.move_clock(timedelta(minutes=11))

    assert balance() == ("0.10", "0.60")
    assert connect(live, key="AKIDOTHER").get_account_balance()["OnHoldBalance"] == "0.00"


def test_masters_requirement_costs_five_percent_more(make_hit, balance):
    masters = {
        "QualificationTypeId": "2ARFPLSP75KLA8M8DH1HTEQVJT3SY6",
        "Comparator": "Exists",
    }
    make_hit(Reward="1.00", MaxAssignments=1, QualificationRequirements=[masters])

    assert balance() == ("9998.75", "1.25")
