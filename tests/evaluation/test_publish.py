"""Publishing: what it costs, what it makes, and that no crash makes it twice."""

from datetime import timedelta

import pytest
from sqlalchemy import delete, select, update

from evaluation import schema
from evaluation.crowd.base import CrowdError, CrowdUnreachable, Offer
from evaluation.crowd.mturk import MTurk
from evaluation.errors import UsageError
from evaluation.publish import check_public_url, expire, extend, publish
from evaluation.publishing.offers import (
    check_publishable,
    open_sessions,
    plan_publication,
    split_sessions,
)
from evaluation.sandbox.store import Account, HitStatus
from evaluation.sandbox.store import Hit as ServiceHit
from evaluation.schema import CallState, Environment
from evaluation.secret import page_key


def planned(crowded):
    with crowded.database.write() as session:
        study = session.scalars(select(schema.Study)).one()
        return plan_publication(session, study, "mturk", Environment.SANDBOX, crowded.clock())


@pytest.mark.parametrize(
    ("sessions", "hits"),
    [(0, ()), (1, (1,)), (9, (9,)), (10, (5, 5)), (20, (7, 7, 6)), (1300, (9,) * 140 + (8,) * 5)],
)
def test_sessions_are_split_so_that_no_hit_has_ten_assignments(sessions, hits):
    assert split_sessions(sessions) == hits


def test_cost_is_exact_to_the_cent(crowded):
    plan = planned(crowded)

    assert plan.trials == 88
    assert plan.hits == (8, 7, 7)
    assert (plan.reward_cents, plan.fee_cents) == (10, 2)
    assert plan.total_cents == 22 * 12


def test_as_many_places_are_published_as_people_who_see_no_pair_twice_need(
    sqlite_database, recruit, crowd_on
):
    recruit(sqlite_database, trials=16, clips=1)  # two pairs, so two trials for each person, not 4
    crowded = crowd_on(sqlite_database)

    plan = planned(crowded)
    assert (plan.trials, plan.sessions, plan.total_cents) == (16, 8, 8 * 12)
    crowded.publish()
    assert planned(crowded).is_empty


@pytest.mark.parametrize(
    ("reward", "trials", "total"),
    # One cent has a minimum fee of one cent; 13 cents have 2.6, so 3.
    [(1, 88, 22 * 2), (13, 88, 22 * 16), (250, 4, 300)],
)
def test_cost_has_the_minimum_fee_and_rounds_half_up(
    sqlite_database, recruit, crowd_on, reward, trials, total
):
    recruit(sqlite_database, reward=reward, trials=trials)

    assert planned(crowd_on(sqlite_database)).total_cents == total


def test_what_publishing_costs_is_what_the_service_puts_on_hold(crowded):
    published = crowded.publish()

    balance = crowded.crowd().balance_cents()
    assert balance == 1_000_000 - published.total_cents
    assert published.total_cents == 264


def test_hits_carry_the_reward_the_rules_and_the_page(crowded):
    crowded.publish()

    client = crowded.crowd()._calls._client
    hit = client.get_hit(HITId=crowded.hits()[0])["HIT"]
    assert hit["Title"] == "Which?"
    assert hit["Keywords"] == "video, choice"
    assert hit["Reward"] == "0.10"
    assert hit["MaxAssignments"] == 8
    assert hit["AssignmentDurationInSeconds"] == 30 * 60
    (study,) = crowded.rows(schema.Study)
    assert f"<ExternalURL>http://localhost:8000/mturk/{page_key(study.secret)}</" in hit["Question"]
    assert study.name not in hit["Question"]
    required = {r["QualificationTypeId"]: r for r in hit["QualificationRequirements"]}
    assert required["000000000000000000L0"]["IntegerValues"] == [95]
    (group,) = (r for r in required.values() if r["Comparator"] == "DoesNotExist")
    assert group["ActionsGuarded"] == "DiscoverPreviewAndAccept"


def test_countries_and_minimum_hits_become_requirements(sqlite_database, recruit, crowd_on):
    recruit(sqlite_database, countries=("DE", "AT"), minimum_hits=500, minimum_approval=0)
    crowded = crowd_on(sqlite_database)
    crowded.publish()

    client = crowded.crowd()._calls._client
    required = client.get_hit(HITId=crowded.hits()[0])["HIT"]["QualificationRequirements"]
    by_type = {r["QualificationTypeId"]: r for r in required}
    assert by_type["00000000000000000071"]["LocaleValues"] == [{"Country": "DE"}, {"Country": "AT"}]
    assert by_type["00000000000000000040"]["IntegerValues"] == [500]
    assert "000000000000000000L0" not in by_type


def test_publishing_again_finds_nothing_to_publish(crowded):
    crowded.publish()

    again = crowded.publish()

    assert again.is_empty
    assert len(crowded.service_rows(ServiceHit)) == 3
    assert [event.kind for event in crowded.rows(schema.Event)] == ["publish"]


def test_nothing_is_written_or_called_when_the_cost_is_refused(crowded):
    crowd = crowded.crowd()
    asked = []

    done = crowded.publish(crowd, confirm=lambda plan: asked.append(plan.total_cents))

    assert done is None
    assert asked == [264]
    assert crowd._calls.made == []
    assert crowded.rows(schema.Hit) == []


def test_no_call_killed_anywhere_makes_a_hit_twice(sqlite_database, recruit, crowd_on, walk):
    recruit(sqlite_database, trials=40)
    crowded = crowd_on(sqlite_database)

    calls = walk(crowded, lambda world, crowd: world.publish(crowd))

    # The balance, a look for what is there, two for the qualification, the HIT type, two HITs.
    assert len(calls) == 7


@pytest.mark.parametrize("form", ["documented", "field"])
def test_a_lost_reply_is_found_again_under_both_forms_of_the_duplicate_error(
    crowded, no_pauses, form
):
    crowded.sandbox.configure(duplicate_error=form)
    crowded.sandbox.inject("lost", "CreateHITWithHITType")

    crowded.publish(crowded.crowd(attempts=4))

    made = [hit.external_id for hit in crowded.service_rows(ServiceHit)]
    assert len(made) == 3
    assert crowded.hits() == made


def test_hits_lost_for_longer_than_their_tokens_live_are_found_and_not_made_again(crowded):
    with pytest.raises(CrowdUnreachable):
        crowded.publish(crowded.crowd(6, "lost"))
    crowded.clock.time += timedelta(hours=30)

    finished = crowded.publish()

    assert (finished.unfinished, finished.unfinished_cents, finished.sessions) == (3, 264, 0)
    assert sorted(h.max_assignments for h in crowded.service_rows(ServiceHit)) == [7, 7, 8]
    published = crowded.hits()
    assert len(published) == 3
    ends = {hit.external_id: hit.expires_at for hit in crowded.service_rows(ServiceHit)}
    assert {hit.external_id: hit.expires_at for hit in crowded.rows(schema.Hit)} == ends

    with crowded.database.write() as session:  # as a backup from before is restored
        session.execute(delete(schema.Hit))
    crowded.publish()

    assert crowded.hits() == published
    assert len(crowded.service_rows(ServiceHit)) == 3


def test_what_was_written_down_and_never_made_is_planned_anew_when_its_time_is_over(crowded):
    with pytest.raises(CrowdUnreachable):
        crowded.publish(crowded.crowd(1, "fault"))
    assert crowded.rows(schema.Hit) == []
    with pytest.raises(CrowdUnreachable):
        crowded.publish(crowded.crowd(2, "fault"))
    crowded.clock.time += timedelta(days=8)

    crowded.publish()

    states = [hit.state for hit in crowded.rows(schema.Hit)]
    assert states == [CallState.FAILED] * 3 + [CallState.DONE] * 3


def test_too_little_money_is_said_before_anything_is_made(crowded):
    crowded.sandbox.configure(opening_balance_cents=263)

    with pytest.raises(CrowdError, match=r"costs 2\.64 USD and the account holds 2\.63"):
        crowded.publish()

    assert crowded.rows(schema.Hit) == []
    assert crowded.service_rows(ServiceHit) == []


def test_what_an_interrupted_run_left_must_be_paid_for_too_and_exactly_enough_will_do(crowded):
    def hold(cents):
        with crowded.sandbox.begin() as unit:
            unit.session.scalars(select(Account)).one().balance_cents = cents

    with pytest.raises(CrowdUnreachable):
        crowded.publish(crowded.crowd(2, "fault"))
    hold(263)
    with pytest.raises(CrowdError, match=r"costs 2\.64 USD and the account holds 2\.63"):
        crowded.publish()
    hold(264)

    crowded.publish()

    assert len(crowded.service_rows(ServiceHit)) == 3


def test_a_refused_hit_is_failed_and_its_sessions_are_published_by_the_next_run(crowded):
    crowd = crowded.crowd()
    # The money goes to somebody else between the look at the balance and the second HIT.
    crowd.balance_cents = lambda: 10**6
    crowded.sandbox.configure(opening_balance_cents=100)

    with pytest.raises(CrowdError, match=r"not enough money.*1 of 3 HITs were published before"):
        crowded.publish(crowd)
    assert [hit.state for hit in crowded.rows(schema.Hit)] == ["done", "failed", "intended"]
    with crowded.sandbox.begin() as unit:
        unit.session.scalars(select(ServiceHit)).one().account.balance_cents += 1000
    finished = crowded.publish()

    assert (finished.hits, finished.unfinished) == ((7,), 1)
    assert sum(h.max_assignments for h in crowded.service_rows(ServiceHit)) == 22


def test_top_up_asks_for_exactly_what_the_plan_lacks(crowded):
    crowded.publish()
    first = crowded.hits()[0]
    crowded.work("A1", first)
    crowded.start("A2", first, crowded.accept("A2", first), showings=2)  # working on it
    assert planned(crowded).is_empty
    crowded.clock.time += timedelta(days=8)  # all HITs are over, A2 has left

    plan = planned(crowded)

    assert plan.trials == 88 - 4 - 2
    assert plan.sessions == 21  # 82 trials at four a session
    crowded.publish()
    assert planned(crowded).is_empty


def test_place_of_a_worker_who_left_is_on_offer_again(crowded):
    crowded.publish()
    hit = crowded.hits()[0]
    crowded.start("A2", hit, crowded.accept("A2", hit), showings=0)
    crowded.clock.time += timedelta(hours=1)  # the lease is over, and so is the assignment

    assert planned(crowded).is_empty
    crowded.work("A3", hit)
    assert planned(crowded).is_empty


def test_no_more_is_published_than_was_confirmed(crowded):
    def confirm(plan):
        if not crowded.hits():
            crowded.publish()  # by somebody else, meanwhile
        return True

    crowded.publish(confirm=confirm)

    assert sum(h.max_assignments for h in crowded.service_rows(ServiceHit)) == 22


def test_trials_that_come_free_while_it_is_confirmed_are_left_for_the_next_run(crowded):
    asked = []

    def free_all(plan):
        asked.append(plan.total_cents)
        with crowded.database.write() as session:
            session.execute(update(schema.Trial).values(free=True))
        return True

    with crowded.database.write() as session:
        session.execute(update(schema.Trial).where(schema.Trial.number >= 44).values(free=False))
    published = crowded.publish(confirm=free_all)

    assert asked == [published.total_cents] == [11 * 12]
    assert crowded.crowd().balance_cents() == 1_000_000 - 11 * 12
    assert planned(crowded).sessions == 11


def test_expire_and_extend_move_every_hit(crowded):
    crowded.publish()

    assert expire(crowded.database, None, crowded.crowd(), crowded.clock) == 3
    assert {h.status for h in crowded.service_rows(ServiceHit)} == {HitStatus.REVIEWABLE}
    assert planned(crowded).sessions == 22
    extended = extend(
        crowded.database, None, crowded.crowd(), timedelta(hours=5), crowded.clock
    )  # fmt: skip

    assert (extended.hits, extended.again, extended.gone) == (3, 22, 0)
    until = crowded.clock() + timedelta(hours=5)
    assert {h.expires_at for h in crowded.service_rows(ServiceHit)} == {until}
    assert {h.expires_at for h in crowded.rows(schema.Hit)} == {until}
    assert planned(crowded).is_empty


def test_a_hit_that_is_over_keeps_its_end_when_it_is_expired(crowded):
    crowded.publish()
    ends = [hit.expires_at for hit in crowded.rows(schema.Hit)]
    crowded.clock.time += timedelta(days=8)

    expire(crowded.database, None, crowded.crowd(), crowded.clock)

    assert [hit.expires_at for hit in crowded.rows(schema.Hit)] == ends


@pytest.mark.parametrize("command", ["extend", "expire"])
def test_moving_the_expiry_twice_is_harmless_where_the_service_refuses_it(crowded, command):
    crowded.publish()
    crowded.sandbox.configure(duplicate_error="field")
    until = crowded.clock() + timedelta(hours=5)
    for _ in range(2):
        for hit in crowded.hits():
            crowd = crowded.crowd()
            crowd.expire(hit) if command == "expire" else crowd.extend(hit, until)


def test_a_hit_that_the_service_leaves_on_offer_is_not_said_to_be_expired(crowded):
    crowded.publish()
    crowded.sandbox.configure(duplicate_error="field")  # the same change is refused for a day
    hit, crowd = crowded.hits()[0], crowded.crowd()
    crowd.expire(hit)
    crowd.extend(hit, crowded.clock() + timedelta(hours=5))

    with pytest.raises(CrowdError, match="already been processed"):
        crowd.expire(hit)


def test_expire_gives_up_what_was_not_made(crowded):
    with pytest.raises(CrowdUnreachable):
        crowded.publish(crowded.crowd(6, "lost"))

    assert expire(crowded.database, None, crowded.crowd(), crowded.clock) == 1
    assert [hit.state for hit in crowded.rows(schema.Hit)] == ["done", "failed", "failed"]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_expire_stops_a_publish_that_is_still_making_hits(crowded, moment):
    crowd, create, offers = crowded.crowd(), MTurk.create, []

    def stopped_at_the_second(offer):
        offers.append(offer)
        if len(offers) == 2 and moment == "before":
            expire(crowded.database, None, crowded.crowd(), crowded.clock)
        made = create(crowd, offer)
        if len(offers) == 1 and moment == "after":
            expire(crowded.database, None, crowded.crowd(), crowded.clock)
        return made

    crowd.create = stopped_at_the_second
    with pytest.raises(CrowdError, match="`vgan-eval expire` was run meanwhile"):
        crowded.publish(crowd)

    ends = [hit.expires_at for hit in crowded.service_rows(ServiceHit)]
    assert len(ends) == {"before": 2, "after": 1}[moment]
    assert max(ends) <= crowded.clock()
    with crowded.database.read() as session:
        study = session.scalars(select(schema.Study)).one()
        assert open_sessions(session, study, crowded.clock()) == 0
    assert crowded.publish().sessions == 22


def test_page_needs_https_in_production():
    check_public_url("http://localhost:8000", Environment.SANDBOX)
    check_public_url("https://rate.example.org/", Environment.PRODUCTION)
    with pytest.raises(UsageError, match="https:// in production"):
        check_public_url("http://rate.example.org", Environment.PRODUCTION)


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://x.org", "https://", "https://x.org/?a=1"])
def test_page_must_be_an_address(url):
    with pytest.raises(UsageError, match="public address"):
        check_public_url(url, Environment.SANDBOX)


@pytest.mark.parametrize("url", ["https://x.org/study", "https://x.org/study/", "https://a@x.org"])
def test_pages_that_share_their_host_are_not_published(url):
    with pytest.raises(UsageError, match="a host of their own; write https://HOST"):
        check_public_url(url, Environment.PRODUCTION)


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("pay", {"reward_cents": 0}, "reward_cents is 0"),
        ("pay", {"currency": "EUR"}, "mturk pays in USD"),
        ("recruit", {"hit_title": "x" * 129}, "longer than 128"),
        ("recruit", {"keywords": ["x" * 600, "y" * 600]}, "keywords have more than 1000"),
    ],
)
def test_a_study_that_the_platform_would_refuse_is_not_published(crowded, setting, value, message):
    with crowded.database.write() as session:
        study = session.scalars(select(schema.Study)).one()
        study.settings = study.settings | {setting: study.settings[setting] | value}

    with pytest.raises(UsageError, match=message):
        crowded.publish()


def pause(crowded):
    with crowded.database.write() as session:
        session.scalars(select(schema.Study)).one().paused = True


def test_a_paused_study_is_not_published(crowded):
    pause(crowded)

    with pytest.raises(UsageError, match=r"is paused.*; run `vgan-eval resume` first"):
        crowded.publish()


def test_places_of_a_paused_study_are_offered_for_longer_and_not_again(crowded):
    crowded.publish()
    pause(crowded)
    day = timedelta(hours=24)

    assert extend(crowded.database, None, crowded.crowd(), day, crowded.clock).hits == 3
    expire(crowded.database, None, crowded.crowd(), crowded.clock)
    with pytest.raises(UsageError, match=r"is paused.*; run `vgan-eval resume` first"):
        extend(crowded.database, None, crowded.crowd(), day, crowded.clock)
    assert max(hit.expires_at for hit in crowded.service_rows(ServiceHit)) <= crowded.clock()


def test_sandbox_answers_never_count_beside_real_ones(crowded):
    crowded.publish()
    crowded.work("A1", crowded.hits()[0])
    with crowded.database.read() as session:
        study = session.scalars(select(schema.Study)).one()
        with pytest.raises(UsageError, match="has sandbox sessions"):
            check_publishable(session, study, "mturk", Environment.PRODUCTION)


def test_a_published_study_is_not_tried_out_in_the_sandbox(crowded):
    real = crowded.crowd(environment=Environment.PRODUCTION)
    publish(crowded.database, None, real, "https://rate.example.org", now=crowded.clock)

    with pytest.raises(UsageError, match="published in production; add --production"):
        crowded.publish()


def test_an_offer_comes_back_from_the_database_as_it_was(crowded):
    crowded.publish()
    row = crowded.rows(schema.Hit)[0]
    offer = Offer.from_json(row.details["offer"])

    assert offer.lifetime == timedelta(hours=168)
    assert offer.keywords == ("video", "choice")
    assert Offer.from_json(offer.to_json()) == offer
