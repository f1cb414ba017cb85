"""What is counted as on offer is what somebody can take, and offering more is asked for."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from evaluation import schema
from evaluation.cli import main
from evaluation.crowd.base import CrowdError, CrowdGone
from evaluation.forgetting import forget
from evaluation.publish import expire, extend, publish
from evaluation.publishing.offers import open_sessions
from evaluation.publishing.places import unbooked_places
from evaluation.reviews import review
from evaluation.sandbox.store import Account
from evaluation.schema import Environment


def _extend(crowded, **options):
    hours = timedelta(hours=5)
    return extend(crowded.database, None, crowded.crowd(), hours, crowded.clock, **options)


def _expire(crowded):
    return expire(crowded.database, None, crowded.crowd(), crowded.clock)


def _held(crowded):
    (account,) = crowded.service_rows(Account)
    return account.held_cents


def test_place_of_something_handed_in_and_undecided_is_not_on_offer(crowded):
    crowded.publish()
    sizes = [hit.max_assignments for hit in crowded.rows(schema.Hit)]
    workers = iter(f"A{n}" for n in range(100))
    first = crowded.hits()[0]
    crowded.submit(crowded.accept(next(workers), first))  # nothing is rated
    for hit, size in zip(crowded.hits(), sizes, strict=True):
        for _ in range(size - (hit == first)):
            crowded.work(next(workers), hit)
    assert len(review(crowded.database, None, crowded.crowd(), now=crowded.clock).undecided) == 1

    assert crowded.publish().sessions == 1
    assert crowded.publish().is_empty
    crowded.work(next(workers), crowded.hits()[-1])
    assert crowded.publish().is_empty


def test_a_stranger_on_the_platform_and_somebody_who_is_at_work_have_a_place_each(crowded):
    crowded.publish()
    hit = crowded.hits()[0]
    crowded.submit(crowded.accept("A1", hit))  # nothing is rated
    crowded.start("A2", hit, crowded.accept("A2", hit), showings=1)
    crowded.work("A3", hit)

    unbooked = unbooked_places(crowded.database, None, crowded.crowd(), crowded.clock())

    assert list(unbooked.values()) == [1, 0, 0]
    with crowded.database.read() as session:
        study = session.scalars(select(schema.Study)).one()
        assert open_sessions(session, study, crowded.clock(), unbooked=unbooked) == 22 - 3


def test_what_is_handed_in_by_people_whose_ids_are_gone_has_its_place_once(crowded):
    crowded.publish()
    crowded.work("A1LONGAGO", crowded.hits()[0])
    review(crowded.database, None, crowded.crowd(), now=crowded.clock)
    assert forget(crowded.database, key=b"k" * 32, older_than_days=0, now=_later(crowded)).people

    unbooked = unbooked_places(crowded.database, None, crowded.crowd(), crowded.clock())

    assert set(unbooked.values()) == {0}


def _later(crowded):
    return lambda: crowded.clock() + timedelta(seconds=1)


def test_a_hit_with_more_people_than_places_takes_no_place_of_another(crowded):
    crowded.publish()
    full = crowded.rows(schema.Hit)[0]
    with crowded.database.read() as session:
        study = session.scalars(select(schema.Study)).one()
        left = open_sessions(session, study, crowded.clock(), None, {full.id: 99})

    assert left == 22 - full.max_assignments


def test_what_is_on_offer_in_the_sandbox_covers_nothing_in_production(crowded):
    crowded.publish()
    real = crowded.crowd(environment=Environment.PRODUCTION)

    done = publish(crowded.database, None, real, "https://rate.example.org", now=crowded.clock)

    assert done.sessions == 22


def test_hits_that_the_platform_has_no_more_are_skipped_and_never_asked_for_again(crowded):
    crowded.publish()
    _expire(crowded)
    crowded.clock.time += timedelta(days=121)  # the service has thrown the three away
    crowded.publish()

    done = _extend(crowded)

    assert (done.hits, done.gone) == (3, 3)
    again = crowded.crowd()
    extend(crowded.database, None, again, timedelta(hours=5), crowded.clock)
    assert again._calls.made.count("update_expiration_for_hit") == 3
    assert _expire(crowded) == 3


def test_a_hit_that_the_account_cannot_pay_is_not_said_to_be_extended(crowded):
    crowded.publish()
    _expire(crowded)
    with crowded.sandbox.begin() as unit:
        unit.session.scalars(select(Account)).one().balance_cents = 10

    with pytest.raises(CrowdError, match="not enough money"):
        _extend(crowded)


def test_another_account_does_not_make_a_hit_on_offer_count_as_gone(crowded):
    crowded.publish()
    crowd = crowded.crowd()

    def missing(hit, until):
        raise CrowdGone("HIT does not exist")

    crowd.extend = missing
    done = extend(crowded.database, None, crowd, timedelta(hours=5), crowded.clock)

    assert (done.hits, done.gone) == (0, 3)
    assert _extend(crowded).hits == 3


def test_hit_of_nobody_is_gone_and_other_refusals_are_not(crowded):
    crowded.publish()
    crowd = crowded.crowd()

    with pytest.raises(CrowdGone):
        crowd.extend("3NOSUCHHIT", crowded.clock() + timedelta(hours=5))
    with pytest.raises(CrowdError) as caught:
        crowd.extend(crowded.hits()[0], crowded.clock() + timedelta(days=999))
    assert not isinstance(caught.value, CrowdGone)


def test_offering_more_than_the_plan_lacks_is_asked_for_with_its_cost(crowded):
    crowded.publish()
    _expire(crowded)
    crowded.publish()
    asked = []

    done = _extend(crowded, confirm=lambda plan: asked.append(plan))

    assert done is None
    (plan,) = asked
    assert (plan.lacking, plan.on_offer, plan.again, plan.cents) == (22, 44, 22, 264)
    assert _held(crowded) == 264
    _extend(crowded)
    assert _held(crowded) == 264 + plan.cents


def test_hits_that_are_on_offer_are_extended_and_offer_nothing_again(crowded):
    crowded.publish()
    asked = []

    done = _extend(crowded, confirm=lambda plan: not asked.append(plan))

    assert [(plan.hits, plan.again, plan.cents) for plan in (*asked, done)] == [(3, 0, 0)] * 2


def test_extend_shows_what_it_puts_on_offer_and_goes_on_when_told_so(
    crowded, crowd_front, monkeypatch, capsys
):
    monkeypatch.setenv("AWS_ENDPOINT_URL_MTURK", crowd_front[1])
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setattr("click.confirm", lambda *_, **__: False)
    db = ("--db", crowded.database.url)
    main(["publish", "--yes", *db])
    main(["expire", *db])
    capsys.readouterr()

    main(["extend", "--hours", "5", *db])
    refused = capsys.readouterr().out
    main(["extend", "--hours", "5", "--yes", *db])
    done = capsys.readouterr().out

    shown = "The plan lacks 22 sessions; up to 22 would be on offer, 22 again, for at most 2.64 USD"
    assert shown in refused
    assert refused.endswith("Nothing was done.\n")
    assert "3 HITs are on offer for 5 hours from now" in done
