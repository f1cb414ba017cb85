"""What Prolific paid to people who found nothing left is in the ledger, once, and names nobody."""

from evaluation import schema
from evaluation.cli import main
from evaluation.crowd.prolific import Prolific
from evaluation.database import find_study
from evaluation.money.spending import spend
from evaluation.schema import CallState, PaymentKind
from evaluation.status import status_lines, study_status


def _screen_out(world, *names):
    """Let people come and hand in the code of those who find nothing left; return their ids."""
    ids = []
    for name in names:
        participant, submission = world.begin(name)
        world.hand_in(submission, world.hit().details["offer"]["screen_out_code"])
        ids += [participant, submission]
    return ids


def _ledger(world):
    return sorted((p.kind.value, p.cents) for p in world.rows(schema.Payment))


def test_paid_screen_outs_are_in_the_ledger_with_the_platforms_own_fee(prolific):
    prolific.sandbox.configure(vat_percent=20)
    prolific.publish()
    prolific.work("cas")
    prolific.review()
    before = prolific.books()["wallet"]
    _screen_out(prolific, "ann", "ben")

    booked = prolific.review().screen_outs

    assert booked.paid == 2
    assert booked.cents == before - prolific.books()["wallet"] == 2 * (20 + 7 + 2)
    paid = [("fee", 9), ("fee", 9), ("screen-out", 20), ("screen-out", 20)]
    assert _ledger(prolific) == sorted([*paid, ("reward", 80), ("fee", 33)])
    assert {payment.state for payment in prolific.rows(schema.Payment)} == {CallState.DONE}


def test_paid_screen_out_is_booked_once_and_a_later_one_beside_it(prolific):
    prolific.publish()
    _screen_out(prolific, "ann")
    prolific.review()

    assert prolific.review().screen_outs.paid == 0
    _screen_out(prolific, "ben")
    assert prolific.review().screen_outs.paid == 1
    assert _ledger(prolific) == [("fee", 7), ("fee", 7), ("screen-out", 20), ("screen-out", 20)]


def test_screen_out_that_another_run_books_meanwhile_is_booked_once(prolific, monkeypatch):
    prolific.publish()
    _screen_out(prolific, "ann")
    cost, others = Prolific.cost, []

    def meanwhile(crowd, cents, places):
        monkeypatch.undo()
        others.append(prolific.review().screen_outs.paid)
        return cost(crowd, cents, places)

    monkeypatch.setattr(Prolific, "cost", meanwhile)

    assert (prolific.review().screen_outs.paid, others) == (0, [1])
    assert _ledger(prolific) == [("fee", 7), ("screen-out", 20)]


def test_fees_of_screen_outs_add_up_to_what_the_platform_asks_for_all(prolific, monkeypatch):
    prolific.publish()
    monkeypatch.setattr(Prolific, "cost", lambda _, cents, places: -(-places * cents * 7 // 6))
    for names in (("ann",), ("ben", "cas")):
        _screen_out(prolific, *names)
        prolific.review()

    fees = [p.cents for p in prolific.rows(schema.Payment) if p.kind is PaymentKind.FEE]
    assert fees == [4, 2, 4]  # of three at 20, a sixth is 10, and of one 4


def test_who_was_screened_out_is_no_session_and_no_id_of_theirs_is_kept(prolific):
    prolific.publish()
    ids = _screen_out(prolific, "ann")
    prolific.review()

    assert prolific.rows(schema.Assignment) == prolific.rows(schema.Worker) == []
    kept = repr([vars(row) for row in prolific.rows(schema.Payment) + prolific.rows(schema.Event)])
    assert [one for one in ids if one in kept] == []


def test_status_and_what_is_spent_have_the_screen_outs(prolific):
    prolific.publish()
    _screen_out(prolific, "ann", "ben")
    prolific.review()

    with prolific.database.read() as session:
        study = find_study(session, None)
        lines = list(status_lines(study_status(session, study, prolific.clock())))
        (money,) = spend(session, study, prolific.clock())
    assert "screen-out done: 0.40 USD in 2 payments" in lines
    assert "fee done: 0.14 USD in 2 payments" in lines
    assert (money.paid, money.sessions) == (54, 0)
    assert money.offered == 5 * 107  # they have no place


def test_no_call_killed_anywhere_books_a_screen_out_twice(prolific, prolific_walk):
    prolific.publish()
    _screen_out(prolific, "ann", "ben")
    prolific.work("cas")

    prolific_walk(prolific, lambda world, crowd: world.review(crowd))


def test_review_says_what_it_booked(prolific, monkeypatch, capsys):
    prolific.publish()
    _screen_out(prolific, "ann")
    monkeypatch.setenv("PROLIFIC_API_URL", prolific.api)

    url = prolific.database.url
    assert main(["review", "--db", url]) == 0
    assert "Booked 1 paid screen-out, 0.27 USD with fees.\n" in capsys.readouterr().out
