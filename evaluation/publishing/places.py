"""Which places of published HITs are on offer, by our books and by what the platform lists."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from evaluation import frozen, schema
from evaluation.budget import crowd_fee_cents
from evaluation.clock import Clock
from evaluation.crowd.base import Crowd, CrowdGone, grows
from evaluation.database import Database, find_study
from evaluation.privacy.erasing import settled_digests
from evaluation.publishing.creating import hits_in
from evaluation.publishing.offers import (
    GONE,
    lacking,
    open_sessions,
    taken_places,
    takes_a_place,
)
from evaluation.schema import AssignmentStatus, CallState, Hit
from evaluation.secret import settled_digest
from evaluation.sessions.arrivals import platform_ids, published_hits


def unbooked_places(
    db: Database, study_name: str | None, crowd: Crowd, now: datetime
) -> dict[int, int]:
    """Ask the platform how many places of each HIT are taken without our books, by our id.

    Something handed in without a finished session here has its place there until it is decided.

    Args:
        db: the study database.
        study_name: slug; None where there is one study.
        crowd: asked about the HITs on offer; about paused ones too where a HIT has no end.
        now: aware.

    Raises:
        CrowdError, CrowdUnreachable: refused or no answer.
    """
    with db.read() as session:
        study = find_study(session, study_name)
        hits = published_hits(session, study, crowd.name, crowd.environment)
    listed = {
        hit.id: crowd.assignments(str(hit.external_id))
        for hit in hits
        if crowd.terms.grows or hit.is_open(now)
    }
    left_out = AssignmentStatus.REJECTED if crowd.terms.reopens else None
    with db.read() as session:  # after the platform was asked: what began meanwhile is in it
        booked = platform_ids(session, study, crowd, takes_a_place(now))
        settled = settled_digests(session, study)
    return {
        hit: sum(
            one.status is not left_out
            and (one.external_id, one.worker) not in booked
            and settled_digest(study.secret, one.external_id, one.worker) not in settled
            for one in theirs
        )
        for hit, theirs in listed.items()
    }


@dataclass(frozen=True)
class Extension:
    """What offering the published HITs for longer does.

    Args:
        hits: how many are offered for longer.
        again: places of those among them that are not on offer now.
        cents: rewards and fees of these places; 0 where they stayed paid for.
        currency: ISO 4217.
        on_offer: how many sessions are on offer then, in all.
        lacking: how many the plan lacks.
        gone: HITs that the platform has no more; known when it was asked.
    """

    hits: int
    again: int
    cents: int
    currency: str
    on_offer: int
    lacking: int
    gone: int = 0


def extendable(session: Session, study: schema.Study, crowd: Crowd) -> list[Hit]:
    """Return the published HITs on a crowd, without those that it said are gone."""
    published = hits_in(session, study, crowd, CallState.DONE)
    return [hit for hit in published if GONE not in hit.details]


def plan_extension(
    session: Session,
    study: schema.Study,
    crowd: Crowd,
    now: datetime,
    unbooked: Mapping[int, int],
) -> Extension:
    """Say what offering every published HIT for longer would put on offer.

    Args:
        session: of a write unit: leases that have ended are ended first.
        study: frozen.
        crowd: the platform.
        now: aware.
        unbooked: of `unbooked_places`.
    """
    hits = extendable(session, study, crowd)
    again = cents = 0
    for hit in hits:
        if hit.is_open(now):
            continue
        free = max(0, hit.max_assignments - taken_places(session, hit, now, unbooked))
        again += free
        if not crowd.terms.grows:
            cents += free * (hit.reward_cents + crowd_fee_cents(hit.crowd, hit.reward_cents))
    return Extension(
        hits=len(hits),
        again=again,
        cents=cents,
        currency=frozen.pay(study).currency,
        on_offer=open_sessions(session, study, now, crowd.environment, unbooked) + again,
        lacking=lacking(session, study, now)[1].sessions,
    )


def mark_gone(db: Database, hit: Hit, now: datetime) -> None:
    """Note that the platform has a HIT no more, so that it is not asked again.

    One that is on offer in our books is left: somebody else's account has it no more either.
    """
    with db.write() as session:
        row = session.get_one(Hit, hit.id)
        if not row.is_open(now):
            row.details = {**row.details, GONE: now.isoformat()}


def match_offers(db: Database, study_name: str | None, crowd: Crowd, now: Clock) -> int:
    """End here what the platform has paused or stopped, and there what was ended here.

    Prolific pauses a full study that gets a place free, and its owner may press its buttons. Places
    that nobody can take must not count as on offer, or a study would wait for people for ever.

    Returns:
        How many HITs were on offer here and are not there.

    Raises:
        CrowdError, CrowdUnreachable: refused or no answer; run it again.
    """
    if not grows(crowd):
        return 0
    with db.read() as session:
        hits = extendable(session, find_study(session, study_name), crowd)
    ended = 0
    for hit in hits:
        gone = offered = False
        try:
            offered = crowd.is_offered(str(hit.external_id))
        except CrowdGone:
            gone = True
        with db.write() as session:
            row = session.get_one(Hit, hit.id, with_for_update=True)
            if row.state is not CallState.DONE or row.expires_at != hit.expires_at:
                continue  # another run offers or ends it, and what was asked may be out of date
            over = not row.is_open(now())
            if not offered and not over:
                ended += 1
                row.expires_at = now()
        if offered and over:
            crowd.expire(str(hit.external_id))
        if gone:
            mark_gone(db, hit, now())
    return ended
