"""Enlarging a study's one HIT, on platforms where a HIT's places only grow.

The wanted number of places is absolute and stands in the HIT's row, in state `intended`, before
the platform is asked for it; asking again is harmless.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from evaluation import frozen, schema
from evaluation.crowd.base import Crowd, Growing, Offer, PlatformAssignment
from evaluation.database import Database, find_study
from evaluation.publishing.offers import GONE, QUOTED, Publication, Quote, quotes, taken_places
from evaluation.schema import AssignmentStatus, CallState, Hit
from evaluation.secret import hit_code
from evaluation.sessions.arrivals import hits_on, our_assignment, published_hits
from evaluation.sessions.closing import return_session, withdraw_session

NO_END = timedelta(days=3650)  # such a HIT is offered until it is paused


def with_growth(
    session: Session,
    study: schema.Study,
    publication: Publication,
    crowd: Crowd,
    now: datetime,
    unbooked: Mapping[int, int],
) -> Publication:
    """Give a publication's new sessions to the HIT that the study has on the crowd, if it has one.

    A paused HIT still has its free places, which are paid for: they are counted first. A HIT keeps
    the reward it was published with, whatever the study file says now.
    """
    hits = hits_on(session, study, crowd.name, crowd.environment, Hit.state != CallState.FAILED)
    if not hits or GONE in hits[-1].details:
        return publication
    hit = hits[-1]
    taken = taken_places(session, hit, now, unbooked)
    declared = None if publication.reward_cents == hit.reward_cents else publication.reward_cents
    if not publication.sessions:
        is_offered = hit.is_open(now) and taken < hit.max_assignments
        return replace(publication, declared_cents=declared if is_offered else None)
    if hit.external_id is None:  # being created by a run that was interrupted; it grows later
        return replace(publication, sessions=0, hits=())
    places = publication.sessions + hit.max_assignments
    if not hit.is_open(now):
        places = max(hit.max_assignments, taken + publication.sessions)
    return replace(
        publication,
        sessions=places - hit.max_assignments,
        hits=(),
        grown=hit.id,
        places=places,
        reward_cents=hit.reward_cents,
        fee_cents=int(hit.details["fee_cents"]),
        currency=hit.currency,
        declared_cents=declared,
    )


def grown_offer(session: Session, publication: Publication) -> Offer:
    """Return the offer under which a HIT was published, for the new sessions it is to get."""
    hit = session.get_one(Hit, publication.grown)
    return replace(Offer.from_json(hit.details["offer"]), max_assignments=publication.sessions)


def quoted(crowd: Growing, publication: Publication, offer: Offer) -> Publication:
    """Put the platform's own price into a publication.

    Args:
        crowd: asked for the price.
        publication: of new sessions.
        offer: of as many places as there are new sessions.

    Raises:
        CrowdError: the platform would refuse the offer.
    """
    if not publication.sessions:
        return publication
    quote, kept = Quote(crowd.quote(offer), publication.sessions), 0
    if offer.screen_out_cents and not publication.grown:
        # Asked for too: fee and taxes are rounded for each amount.
        kept = crowd.cost(offer.screen_out_cents, offer.screen_out_places)
    fee = max(0, math.ceil(quote.cents / quote.places) - publication.reward_cents)
    return replace(publication, fee_cents=fee, quote=quote, kept_cents=kept)


def with_codes(study: schema.Study, offer: Offer) -> Offer:
    """Return an offer without an end, with the codes that its workers bring back."""
    return replace(
        offer,
        lifetime=NO_END,
        completion_code=hit_code(study.secret, offer.token, "completed"),
        screen_out_code=hit_code(study.secret, offer.token, "nothing left"),
        screen_out_cents=frozen.recruit(study).prolific.screen_out_cents,
        screen_out_places=max(3, math.ceil(offer.max_assignments / 10)),
    )


def growing_details(crowd: Growing, offer: Offer, publication: Publication) -> dict[str, Any]:
    """Return what a new HIT's row keeps: the offer, its price, and where workers take the codes.

    The fee is the platform's own, which a price list of ours could get wrong.
    """
    details = {
        "offer": offer.to_json(),
        "cost_cents": publication.new_cents,
        "fee_cents": publication.fee_cents,
        QUOTED: [Quote(publication.sessions_cents, publication.sessions)],
        "completion_url": crowd.completion_url(offer.completion_code),
    }
    if offer.screen_out_cents:
        details["screen_out_url"] = crowd.completion_url(offer.screen_out_code)
    return details


def no_more_than(confirmed: Publication, again: Publication) -> Publication:
    """Return what to publish after the numbers were looked at again: never more than confirmed."""
    surplus = again.sessions - confirmed.sessions
    if surplus > 0 and again.grown:
        places = again.places - surplus
        return replace(confirmed, hits=(), grown=again.grown, places=places, kept_cents=0)
    if surplus > 0:
        return confirmed
    return replace(
        confirmed,
        sessions=again.sessions,
        hits=again.hits,
        grown=again.grown,
        places=again.places,
        kept_cents=confirmed.kept_cents if again.hits else 0,
    )


def intend_growth(session: Session, publication: Publication, now: datetime) -> None:
    """Write down that a HIT is about to be enlarged."""
    hit = session.get_one(Hit, publication.grown)
    cost = publication.new_cents
    hit.details = {**hit.details, "places_before": hit.max_assignments, "cost_cents": cost}
    if QUOTED in hit.details and publication.sessions:
        grown = Quote(publication.sessions_cents, publication.sessions)
        hit.details = {**hit.details, QUOTED: [*quotes(hit), grown]}
    hit.max_assignments = publication.places
    hit.expires_at = now + NO_END
    hit.state = CallState.INTENDED


def forget_growth(db: Database, crowd: Growing, row: Hit) -> None:
    """Take back what was written down and may or may not have been done: the platform knows."""
    places = crowd.places(str(row.external_id))
    with db.write() as session:
        hit = session.get_one(Hit, row.id)
        hit.max_assignments, hit.state = places, CallState.DONE


def close_returned(db: Database, study_name: str | None, crowd: Crowd) -> int:
    """End the sessions that workers gave back on the platform, and free their trials.

    Who gives back a session that was finished here takes their answers back. Who only ran out of
    time after finishing does not: their answers stay, for a person to look at.

    Returns:
        How many sessions were ended.

    Raises:
        CrowdError, CrowdUnreachable: refused or no answer; run it again.
    """
    with db.read() as session:
        study = find_study(session, study_name)
        hits = published_hits(session, study, crowd.name, crowd.environment)
    given_back = [theirs for hit in hits for theirs in crowd.returned(str(hit.external_id))]
    closed = 0
    for theirs in given_back:
        with db.write() as session:
            study = find_study(session, study_name)
            closed += _close(session, study, crowd, theirs)
    return closed


def _close(session: Session, study: schema.Study, crowd: Crowd, theirs: PlatformAssignment) -> int:
    ours = our_assignment(session, study.id, crowd, theirs)
    if ours is None:
        return 0
    if ours.status is AssignmentStatus.ACCEPTED:
        return_session(session, ours)
        return 1
    if theirs.status is not AssignmentStatus.WITHDRAWN:
        return 0
    closed = 0
    if ours.status is AssignmentStatus.SUBMITTED:
        withdraw_session(session, ours)
        ours.status = AssignmentStatus.RETURNED  # its place on the platform is free again
        closed = 1
    if ours.status in (AssignmentStatus.RETURNED, AssignmentStatus.WITHDRAWN):
        ours.submitted_at = None  # nothing is owed for it any more
    return closed
