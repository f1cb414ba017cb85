"""What to publish, for how much, and in which words: the part of publishing that makes no call."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import NamedTuple

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from evaluation import frozen, schema
from evaluation.budget import SMALL_HIT, Filling, PairUse, check_pay, crowd_fee_cents, filling
from evaluation.crowd.base import Offer
from evaluation.crowd.terms import TERMS, Fee, terms_of
from evaluation.errors import UsageError
from evaluation.publishing.pausing import check_running
from evaluation.schema import (
    Assignment,
    AssignmentStatus,
    CallState,
    Environment,
    Hit,
    Trial,
    TrialKind,
)
from evaluation.secret import hit_token, page_key
from evaluation.sessions.arrivals import hits_on
from evaluation.sessions.leases import expire_leases

LONGEST_TITLE = 128
LONGEST_KEYWORDS = 1000
QUOTED = "quoted"
GONE = "gone"  # in the details of a HIT that the platform offers no more, for good
_REOPENING = [name for name, terms in TERMS.items() if terms.reopens]
_NONE: Mapping[int, int] = MappingProxyType({})
_UNTITLED = "Compare short video clips"
_DESCRIPTION = "Watch pairs of short video clips and choose one clip of each pair."


class Quote(NamedTuple):
    """What a platform says that so many places cost in all, rewards, fees and taxes."""

    cents: int
    places: int


@dataclass(frozen=True)
class Publication:
    """What would be published and what it costs; nothing is created yet.

    Args:
        sessions: how many new assignments in all.
        hits: assignments of each new HIT; on MTurk at most nine each.
        trials: test trials that the plan still lacks and no open HIT covers.
        reward_cents: for one session.
        fee_cents: the platform's, for one session, rounded up.
        currency: ISO 4217.
        unfinished: HITs that an interrupted run wrote down, and may have created or not.
        unfinished_cents: what those cost, rewards and fees.
        grown: our id of the published HIT that takes the new sessions; 0 where new HITs do.
        places: how many that one is to have then.
        quote: what the platform itself says that the new sessions cost, where it does.
        kept_cents: what the platform keeps beside them, for people who find nothing left.
        declared_cents: the reward in the study file, where the published HIT keeps another one.
        older_rewards: in cents, at which places of earlier HITs are still on offer.
    """

    sessions: int
    hits: tuple[int, ...]
    trials: int
    reward_cents: int
    fee_cents: int
    currency: str
    unfinished: int = 0
    unfinished_cents: int = 0
    grown: int = 0
    places: int = 0
    quote: Quote | None = None
    kept_cents: int = 0
    declared_cents: int | None = None
    older_rewards: tuple[int, ...] = ()

    @property
    def sessions_cents(self) -> int:
        """Rewards and fees of the new sessions, which may be fewer than a quote was asked for."""
        quote = self.quote or Quote(self.reward_cents + self.fee_cents, 1)
        return -(-quote.cents * self.sessions // quote.places)

    @property
    def new_cents(self) -> int:
        """Rewards and fees of the new sessions, and what is kept beside them."""
        return self.sessions_cents + self.kept_cents

    @property
    def total_cents(self) -> int:
        """Rewards and fees of all sessions, with those of the unfinished HITs."""
        return self.new_cents + self.unfinished_cents

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to create or enlarge."""
        return not (self.hits or self.unfinished or self.grown)


def quotes(hit: Hit) -> list[Quote]:
    """Return what the platform named for a HIT's places: when it was published, when it grew.

    Growth that was refused or given up is not among them, nor any price that is of our list.
    """
    found: list[Quote] = []
    for cents, places in hit.details.get(QUOTED, []):
        if sum(quote.places for quote in found) + places <= hit.max_assignments:
            found.append(Quote(cents, places))
    return found


def split_sessions(sessions: int) -> tuple[int, ...]:
    """Split sessions into HITs of at most nine assignments, as evenly as possible.

    From the tenth assignment on, MTurk's fee doubles, and a HIT below cannot grow past it.

    >>> split_sessions(20), split_sessions(0)
    ((7, 7, 6), ())
    """
    n_hits = math.ceil(sessions / SMALL_HIT)
    return tuple(sessions // n_hits + (i < sessions % n_hits) for i in range(n_hits))


def once_group(study: schema.Study) -> str:
    """Return the name of the group of workers who have had all their sessions of a study."""
    return f"Took part in study {page_key(study.secret)}"


def takes_a_place(now: datetime) -> ColumnElement[bool]:
    """The condition that an assignment holds one of its HIT's places.

    A session whose lease ran out without being handed in is abandoned on the platform, and its
    place is offered again. On some crowds that of a rejected one can be taken again too.
    """
    left = (AssignmentStatus.RETURNED, AssignmentStatus.ACCEPTED)
    return or_(
        and_(
            Assignment.status.not_in(left),
            or_(
                Assignment.status != AssignmentStatus.REJECTED,
                Assignment.crowd.not_in(_REOPENING),
            ),
        ),
        and_(Assignment.status == AssignmentStatus.ACCEPTED, Assignment.lease_until > now),
    )


def taken_places(
    session: Session, hit: Hit, now: datetime, unbooked: Mapping[int, int] = _NONE
) -> int:
    """Count the places of a HIT that somebody has; `unbooked` is of `places.unbooked_places`."""
    query = select(func.count()).where(Assignment.hit_id == hit.id, takes_a_place(now))
    return int(session.scalar(query) or 0) + unbooked.get(hit.id, 0)


def open_sessions(
    session: Session,
    study: schema.Study,
    now: datetime,
    environment: Environment | None = None,
    unbooked: Mapping[int, int] = _NONE,
) -> int:
    """Count the assignments still on offer on any crowd: published, not expired, not taken.

    Args:
        session: of any unit.
        study: the study.
        now: aware.
        environment: only there; None is everywhere.
        unbooked: of `places.unbooked_places`, where the platform was asked.
    """
    taken = (
        select(func.count())
        .where(Assignment.hit_id == Hit.id, takes_a_place(now))
        .correlate(Hit)
        .scalar_subquery()
    )
    query = select(Hit.id, Hit.max_assignments, taken).where(
        Hit.study_id == study.id, Hit.state != CallState.FAILED, Hit.expires_at > now
    )
    if environment is not None:
        query = query.where(Hit.environment == environment)
    rows = session.execute(query)
    return sum(max(0, offered - had - unbooked.get(hit, 0)) for hit, offered, had in rows)


def lacking(session: Session, study: schema.Study, now: datetime) -> tuple[int, Filling]:
    """Count the trials that nobody has judged or is judging, and sessions for them; end leases."""
    expire_leases(session, study, now)
    test = Trial.study_id == study.id, Trial.kind == TrialKind.TEST, Trial.free
    use = PairUse.of(session.scalars(select(func.count()).where(*test).group_by(Trial.pair_id)))
    per_worker = frozen.workers(study).sessions_per_worker
    return use.trials, filling(use, frozen.session(study).trials, per_worker)


def plan_publication(
    session: Session,
    study: schema.Study,
    crowd: str,
    environment: Environment,
    now: datetime,
    unbooked: Mapping[int, int] = _NONE,
) -> Publication:
    """Say what to publish so that every planned judgment gets a worker.

    Args:
        session: of a write unit: leases that have ended are ended first.
        study: frozen.
        crowd: name of the platform.
        environment: sandbox or production; what is on offer elsewhere covers nothing here.
        now: aware.
        unbooked: of `places.unbooked_places`, where the platform was asked.
    """
    trials, needed = lacking(session, study, now)
    on_offer = open_sessions(session, study, now, environment, unbooked)
    wanted = max(0, needed.sessions - on_offer)
    # Only Amazon's fee asks for small HITs; elsewhere one has all the places.
    is_split = terms_of(crowd).fee is Fee.AMAZON
    hits = split_sessions(wanted) if is_split or not wanted else (wanted,)
    pay = frozen.pay(study)
    begun = (Hit.state == CallState.INTENDED, Hit.expires_at > now)
    left = hits_on(session, study, crowd, environment, *begun)
    # One HIT for all, on the other crowds, has one reward, of which they speak themselves.
    other = (
        Hit.state == CallState.DONE,
        Hit.expires_at > now,
        Hit.reward_cents != pay.reward_cents,
    )
    older = [
        hit
        for hit in (hits_on(session, study, crowd, environment, *other) if is_split else [])
        if taken_places(session, hit, now, unbooked) < hit.max_assignments
    ]
    return Publication(
        sessions=sum(hits),
        hits=hits,
        trials=trials - on_offer * needed.trials if wanted else 0,
        reward_cents=pay.reward_cents,
        fee_cents=crowd_fee_cents(crowd, pay.reward_cents),
        currency=pay.currency,
        unfinished=len(left),
        unfinished_cents=sum(int(hit.details["cost_cents"]) for hit in left),
        older_rewards=tuple(sorted({hit.reward_cents for hit in older})),
    )


def check_publishable(
    session: Session, study: schema.Study, crowd: str, environment: Environment
) -> None:
    """Refuse a study that must not be published there.

    Raises:
        UsageError: paused, pay that the crowd refuses, words that are too long, or a sandbox's
            answers in a study that goes to production (every trial is judged once, so they would
            take the place of people's); the message says what to do.
    """
    check_running(study)
    check_pay(frozen.pay(study), crowd)
    recruit = frozen.recruit(study)
    if len(recruit.hit_title or study.title) > LONGEST_TITLE:
        raise UsageError(
            f"the title is longer than {LONGEST_TITLE} characters; write [recruit] hit_title"
        )
    if len(", ".join(recruit.keywords)) > LONGEST_KEYWORDS:
        raise UsageError(f"[recruit] keywords have more than {LONGEST_KEYWORDS} characters")
    not_real = [Environment.SIMULATED]
    if environment is Environment.PRODUCTION:
        not_real.append(Environment.SANDBOX)
    query = select(Assignment.environment).where(
        Assignment.study_id == study.id, Assignment.environment.in_(not_real)
    )
    if found := session.scalar(query.limit(1)):
        raise UsageError(
            f"study `{study.name}` has {found} sessions, which would count beside those of real "
            "workers; give the study another name and init it again"
        )
    real = select(Hit.id).where(
        Hit.study_id == study.id,
        Hit.environment == Environment.PRODUCTION,
        Hit.expires_at.is_not(None),
    )
    if environment is not Environment.PRODUCTION and session.scalar(real.limit(1)):
        raise UsageError(
            f"study `{study.name}` is published in production; add --production, or try "
            "things out on a copy of it under another name"
        )


def make_offer(
    study: schema.Study,
    publication: Publication,
    size: int,
    which: tuple[Environment, int],
    url: str,
) -> Offer:
    """Return one HIT's offer; `which` (environment, number) makes its token its own."""
    recruit, workers = frozen.recruit(study), frozen.workers(study)
    # A study without a title has its name there, which may name a model.
    title = _UNTITLED if study.title == study.name else study.title
    return Offer(
        token=hit_token(study.secret, *which),
        title=recruit.hit_title or title,
        description=recruit.hit_description or _DESCRIPTION,
        keywords=recruit.keywords,
        url=url,
        reward_cents=publication.reward_cents,
        currency=publication.currency,
        max_assignments=size,
        lifetime=timedelta(hours=recruit.lifetime_hours),
        duration=timedelta(minutes=frozen.session(study).minutes_limit),
        auto_approval=timedelta(hours=recruit.auto_approval_hours),
        minimum_approval=workers.minimum_approval,
        minimum_hits=workers.minimum_hits,
        countries=workers.countries,
        once_group=once_group(study),
        minutes=frozen.pay(study).expected_minutes,
        devices=workers.devices,
        sessions_per_worker=workers.sessions_per_worker,
        project=recruit.prolific.project,
        filters=recruit.prolific.filters,
    )
