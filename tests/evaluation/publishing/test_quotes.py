"""A platform's own prices, of which a session's part need not be whole cents."""

import math
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction

from sqlalchemy import select

from evaluation import schema
from evaluation.commands.crowd import publication_text
from evaluation.commands.options import Address, Venue
from evaluation.crowd.base import Offer
from evaluation.money.ledger import bonus_fee, intend_payment, intend_reward, settle_reward
from evaluation.publishing.growing import no_more_than, quoted
from evaluation.publishing.offers import QUOTED, Publication, quotes
from evaluation.schema import PaymentKind

PLANNED = Publication(1000, (1000,), 4000, reward_cents=83, fee_cents=28, currency="USD")


class Crowd:
    """A third as fee and 20 % tax on it, rounded for all places at once."""

    def cost(self, reward_cents, places):
        return math.ceil(places * reward_cents * Fraction(14, 10))

    def quote(self, offer):
        return self.cost(offer.reward_cents, offer.max_assignments)


def offer(places):
    hour = timedelta(hours=1)
    return Offer(
        "t", "t", "d", (), "u", 83, "USD", places, hour, hour, hour,
        screen_out_cents=20, screen_out_places=100,
    )  # fmt: skip


def test_price_of_screen_outs_is_told_apart_from_that_of_places():
    plan = quoted(Crowd(), PLANNED, offer(1000))

    assert (plan.sessions_cents, plan.kept_cents, plan.total_cents) == (116_200, 2_800, 119_000)
    text = publication_text(plan, Venue("", None, "prolific", False), Address("https://x.org", ""))
    assert "0.83 USD and up to 0.34 USD fee each. 28.00 USD are kept" in text


def test_fewer_sessions_than_were_priced_cost_their_part():
    plan = quoted(Crowd(), PLANNED, offer(1000))

    fewer = no_more_than(plan, Publication(999, (999,), 3996, 83, 28, "USD"))

    assert (fewer.sessions_cents, fewer.kept_cents) == (116_084, 2_800)  # 116,083.8


def test_a_hit_grows_by_no_more_than_was_confirmed():
    confirmed = replace(PLANNED, sessions=2, hits=(), grown=1, places=7)

    found = no_more_than(confirmed, replace(confirmed, sessions=5, places=10))

    assert (found.sessions, found.places) == (2, 7)


def test_fees_in_the_ledger_add_up_to_what_the_platform_named(sqlite_database, plan_study, begin):
    study = plan_study(sqlite_database, cells={("a", "b", "golf"): 40})
    with sqlite_database.write() as session:
        people = [begin(session, study, f"w{n}", f"s{n}") for n in range(7)]
        hit = session.get_one(schema.Hit, people[0].hit_id)
        hit.reward_cents, hit.max_assignments = 83, 5
        hit.details = {QUOTED: [(581, 5)]}  # 33.2 for each
        for one in people[:5]:
            intend_reward(session, study, one, one.accepted_at)
        settle_reward(session, people[4], people[4].accepted_at, paid=False)
        at, other = people[0].accepted_at, bonus_fee("Thanks")  # is of no place that was priced
        intend_payment(session, study, people[0], PaymentKind.FEE, 500, at, what=other)
        hit.details, hit.max_assignments = {QUOTED: [(581, 5), (117, 1)]}, 6
        for one in people[5:]:
            intend_reward(session, study, one, one.accepted_at)

        query = select(schema.Payment.cents).where(
            schema.Payment.kind == PaymentKind.FEE, schema.Payment.reason == ""
        )
        fees = session.scalars(query.order_by(schema.Payment.id)).all()

    assert fees == [33, 33, 33, 33, 34, 34, 34]
    assert sum(fees) - fees[4] == 581 + 117 - 6 * 83


def test_fee_that_falls_with_a_top_up_is_booked_again_once_the_shares_have_caught_up(
    sqlite_database, plan_study, begin
):
    study = plan_study(sqlite_database, cells={("a", "b", "golf"): 40})
    with sqlite_database.write() as session:
        people = [begin(session, study, f"w{n}", f"s{n}") for n in range(10)]
        hit = session.get_one(schema.Hit, people[0].hit_id)
        hit.reward_cents, hit.max_assignments = 83, 5
        hit.details = {QUOTED: [(700, 5)]}  # 57 for each
        for one in people[:5]:
            intend_reward(session, study, one, one.accepted_at)
        hit.details, hit.max_assignments = {QUOTED: [(700, 5), (500, 5)]}, 10  # 37 for each of all
        for one in people[5:]:
            intend_reward(session, study, one, one.accepted_at)

        query = select(schema.Payment.cents).where(schema.Payment.kind == PaymentKind.FEE)
        fees = session.scalars(query.order_by(schema.Payment.id)).all()

    assert fees == [57, 57, 57, 57, 57, 0, 0, 11, 37, 37]
    assert sum(fees) == 700 + 500 - 10 * 83


def test_growth_that_was_not_made_has_no_part_in_the_price():
    hit = schema.Hit(max_assignments=5, details={QUOTED: [[581, 5], [349, 3], [2000, 10]]})

    assert quotes(hit) == [(581, 5)]
