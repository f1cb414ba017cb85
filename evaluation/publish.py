"""Publish a study's sessions on a crowd, exactly as many as its plan still lacks.

Every HIT is a row in state `intended` before it is created, with the offer and the idempotency
token; a run that finds such a row from an earlier run asks the platform for it before creating
it. So a crash at any point and a second run publish nothing twice. A HIT that the platform refused
is `failed`, and the next run plans its sessions anew.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from evaluation import schema
from evaluation.addresses import check_own_host
from evaluation.clock import Clock, utc_now
from evaluation.crowd.base import Crowd, CrowdError, CrowdGone, Growing, grows
from evaluation.database import Database, find_study
from evaluation.errors import UsageError
from evaluation.events import note_event
from evaluation.publishing.creating import create_intended, hits_in, recover
from evaluation.publishing.growing import (
    NO_END,
    close_returned,
    growing_details,
    grown_offer,
    intend_growth,
    no_more_than,
    quoted,
    with_codes,
    with_growth,
)
from evaluation.publishing.offers import (
    Publication,
    check_publishable,
    make_offer,
    plan_publication,
)
from evaluation.publishing.pausing import check_running
from evaluation.publishing.places import (
    Extension,
    extendable,
    mark_gone,
    match_offers,
    plan_extension,
    unbooked_places,
)
from evaluation.schema import CallState, Environment, EventKind, Hit
from evaluation.secret import page_key
from evaluation.sessions.leases import lock_study


def check_public_url(url: str, environment: Environment) -> None:
    """Refuse a page that workers could not open.

    Raises:
        UsageError: not a URL, not one of a host of its own, or not HTTPS in production.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise UsageError(f"--url {url}: write the web app's public address, https://HOST")
    check_own_host(url, parts)
    if environment is Environment.PRODUCTION and parts.scheme != "https":
        raise UsageError(f"--url {url}: workers' browsers need https:// in production")


def publish(
    db: Database,
    study_name: str | None,
    crowd: Crowd,
    public_url: str,
    *,
    confirm: Callable[[Publication], bool] = lambda _: True,
    now: Clock = utc_now,
) -> Publication | None:
    """Publish what the plan still lacks; run again after a crash, it finishes what it had begun.

    Args:
        db: the study database.
        study_name: slug; None where there is one study.
        crowd: the platform.
        public_url: of the web app.
        confirm: asked with the exact cost before anything is written or created; False stops.
        now: the clock.

    Returns:
        What was published: by this run, and left by an interrupted one. None when `confirm` said
        no.

    Raises:
        UsageError: the address, the pay or the study will not do.
        CrowdError, CrowdUnreachable: no funds, refused, or no answer; the state is unharmed.
    """
    check_public_url(public_url, crowd.environment)
    with db.write() as session:
        study = find_study(session, study_name)
        check_publishable(session, study, crowd.name, crowd.environment)
    close_returned(db, study_name, crowd)
    match_offers(db, study_name, crowd, now)
    unbooked = unbooked_places(db, study_name, crowd, now())
    with db.write() as session:
        publication = _planned(session, study_name, crowd, now(), unbooked)
    if publication.is_empty:
        return publication
    if grows(crowd):
        publication = _quoted(db, study_name, crowd, publication)
    if not confirm(publication):
        return None
    recover(db, study_name, crowd, now())
    _check_funds(db, study_name, crowd, publication)
    with db.write() as session:
        study = find_study(session, study_name)
        lock_study(session, study)
        # Somebody else published, or workers came, meanwhile.
        again = _planned(session, study_name, crowd, now(), unbooked)
        publication = no_more_than(publication, again)
        _intend(session, study, crowd, publication, public_url, now())
    if crowd.terms.knows_tokens:  # elsewhere `create` looks by itself
        # The platform may have them already: the database that knew was lost, another restored.
        recover(db, study_name, crowd, now())
    create_intended(db, study_name, crowd, now)
    return publication


def _planned(
    session: Session,
    study_name: str | None,
    crowd: Crowd,
    now: datetime,
    unbooked: Mapping[int, int],
) -> Publication:
    study = find_study(session, study_name)
    plan = plan_publication(session, study, crowd.name, crowd.environment, now, unbooked)
    if grows(crowd):
        return with_growth(session, study, plan, crowd, now, unbooked)
    return plan


def _quoted(
    db: Database, study_name: str | None, crowd: Growing, publication: Publication
) -> Publication:
    """Ask whether the platform would do that, and for its price; nothing is changed."""
    with db.read() as session:
        if publication.grown:
            hit = session.get_one(Hit, publication.grown)
            offer = grown_offer(session, publication)
        else:
            hit, study = None, find_study(session, study_name)
            which = (crowd.environment, 0)
            offer = make_offer(study, publication, publication.sessions, which, "")
            offer = with_codes(study, offer)
    if hit is not None:
        crowd.check_growing(str(hit.external_id))
    return quoted(crowd, publication, offer)


def _check_funds(
    db: Database, study_name: str | None, crowd: Crowd, publication: Publication
) -> None:
    balance = crowd.balance_cents()
    with db.read() as session:
        left = hits_in(session, find_study(session, study_name), crowd, CallState.INTENDED)
    needed = publication.new_cents + sum(int(hit.details["cost_cents"]) for hit in left)
    if balance is not None and balance < needed:
        raise CrowdError(
            f"publishing costs {needed / 100:,.2f} {publication.currency} and the account holds "
            f"{balance / 100:,.2f}; add funds, or publish a smaller plan"
        )


def _intend(
    session: Session,
    study: schema.Study,
    crowd: Crowd,
    publication: Publication,
    public_url: str,
    now: datetime,
) -> None:
    """Write down the HITs that are about to be created or enlarged."""
    if publication.grown:
        intend_growth(session, publication, now)
    elif not publication.hits:
        return
    before = session.scalar(select(func.count()).where(Hit.study_id == study.id)) or 0
    url = f"{public_url.rstrip('/')}/{crowd.name}/{page_key(study.secret)}"
    each = publication.reward_cents + publication.fee_cents
    for number, size in enumerate(publication.hits, before):
        offer = make_offer(study, publication, size, (crowd.environment, number), url)
        details = {"offer": offer.to_json(), "cost_cents": size * each}
        if grows(crowd):
            offer = with_codes(study, offer)
            details = growing_details(crowd, offer, publication)
        session.add(
            Hit(
                study_id=study.id,
                crowd=crowd.name,
                environment=crowd.environment,
                token=offer.token,
                state=CallState.INTENDED,
                max_assignments=size,
                reward_cents=offer.reward_cents,
                currency=offer.currency,
                expires_at=now + offer.lifetime,
                created_at=now,
                details=details,
            )
        )
    where = {"crowd": crowd.name, "environment": crowd.environment.value}
    note_event(session, study.id, EventKind.PUBLISH, where | asdict(publication), now)


def extend(
    db: Database,
    study_name: str | None,
    crowd: Crowd,
    time: timedelta,
    now: Clock = utc_now,
    *,
    confirm: Callable[[Extension], bool] = lambda _: True,
) -> Extension | None:
    """Offer every published HIT for some time from now, the expired ones too.

    A HIT that grows has no end: it is offered until it is full or `expire` pauses it. One that the
    platform has no more is left out, now and later.

    Args:
        db: the study database.
        study_name: slug; None where there is one study.
        crowd: the platform.
        time: from now.
        now: the clock.
        confirm: asked with what it would do; False stops.

    Returns:
        What was done. None when `confirm` said no.

    Raises:
        UsageError: it would put places of a paused study on offer again.
        CrowdError, CrowdUnreachable: refused or no answer; run it again.
    """
    recover(db, study_name, crowd, now())
    match_offers(db, study_name, crowd, now)
    unbooked = unbooked_places(db, study_name, crowd, now())
    with db.write() as session:
        study = find_study(session, study_name)
        plan = plan_extension(session, study, crowd, now(), unbooked)
        hits = extendable(session, study, crowd)
        if plan.again:
            check_running(study)
    if not confirm(plan):
        return None
    until, gone = now() + (NO_END if grows(crowd) else time), 0
    for hit in hits:
        try:
            crowd.extend(str(hit.external_id), until)
        except CrowdGone:
            mark_gone(db, hit, now())
            gone += 1
            continue
        with db.write() as session:
            session.get_one(Hit, hit.id).expires_at = until
    return replace(plan, hits=len(hits) - gone, gone=gone)


def expire(db: Database, study_name: str | None, crowd: Crowd, now: Clock = utc_now) -> int:
    """Stop offering every published HIT; workers already inside may finish.

    What an interrupted run had not created yet is given up.

    Returns:
        How many HITs.

    Raises:
        CrowdError, CrowdUnreachable: refused or no answer; run it again.
    """
    recover(db, study_name, crowd, now(), give_up=True)
    with db.read() as session:
        hits = extendable(session, find_study(session, study_name), crowd)
    for hit in hits:
        crowd.expire(str(hit.external_id))
        with db.write() as session:
            row = session.get_one(Hit, hit.id)
            if row.is_open(now()):
                row.expires_at = now()
    return len(hits)
