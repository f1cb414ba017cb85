"""Publish a study's sessions on a crowd, exactly as many as its plan still lacks.

Every HIT is a row in state `intended` before it is created, with the offer and the idempotency
token; a run that finds such a row from an earlier run asks the platform for it before creating
it. So a crash at any point and a second run publish nothing twice. A HIT that the platform refused
is `failed`, and the next run plans its sessions anew.
"""

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from evaluation import schema
from evaluation.crowd.base import Crowd, CrowdError, CrowdUnreachable, Growing
from evaluation.database import Database, find_study
from evaluation.errors import UsageError
from evaluation.growing import (
    NO_END,
    close_returned,
    forget_growth,
    growing_details,
    intend_growth,
    no_more_than,
    quoted,
    with_codes,
    with_growth,
)
from evaluation.leases import lock_study
from evaluation.offers import Publication, make_offer, plan_publication, restored, stored, study_key
from evaluation.offers import check_publishable as check_publishable
from evaluation.schema import CallState, Environment, Hit

Clock = Callable[[], datetime]


def _utc_now() -> datetime:
    return datetime.now(UTC)


def check_public_url(url: str, environment: Environment) -> None:
    """Refuse a page that workers could not open.

    Raises:
        UsageError: not a URL, or not HTTPS in production.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise UsageError(f"--url {url}: write the web app's public address, https://HOST")
    if environment is Environment.PRODUCTION and parts.scheme != "https":
        raise UsageError(f"--url {url}: workers' browsers need https:// in production")


def publish(
    db: Database,
    study_name: str | None,
    crowd: Crowd,
    public_url: str,
    *,
    confirm: Callable[[Publication], bool] = lambda _: True,
    now: Clock = _utc_now,
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
        CrowdError: no funds, refused, or no answer; the state is unharmed.
    """
    check_public_url(public_url, crowd.environment)
    with db.write() as session:
        study = find_study(session, study_name)
        check_publishable(session, study, crowd.name, crowd.environment)
    close_returned(db, study_name, crowd, now)
    with db.write() as session:
        publication = _planned(session, study_name, crowd, now())
    if publication.is_empty:
        return publication
    if isinstance(crowd, Growing):
        with db.read() as session:
            study = find_study(session, study_name)
            which = (crowd.environment, 0)
            offer = make_offer(study, publication, publication.sessions, which, public_url)
            offer = with_codes(study, offer)
        publication = quoted(crowd, publication, offer)
    if not confirm(publication):
        return None
    _recover(db, study_name, crowd, now())
    _check_funds(db, study_name, crowd, publication)
    with db.write() as session:
        study = find_study(session, study_name)
        lock_study(session, study)
        # Somebody else published, or workers came, meanwhile.
        publication = no_more_than(publication, _planned(session, study_name, crowd, now()))
        _intend(session, study, crowd, publication, public_url, now())
    _create_intended(db, study_name, crowd, now)
    return publication


def _planned(session: Session, study_name: str | None, crowd: Crowd, now: datetime) -> Publication:
    study = find_study(session, study_name)
    plan = plan_publication(session, study, crowd.name, crowd.environment, now)
    return with_growth(session, study, plan, crowd, now) if isinstance(crowd, Growing) else plan


def _check_funds(
    db: Database, study_name: str | None, crowd: Crowd, publication: Publication
) -> None:
    balance = crowd.balance_cents()
    with db.read() as session:
        left = _hits(session, find_study(session, study_name), crowd, CallState.INTENDED)
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
    url = f"{public_url.rstrip('/')}/{crowd.name}/{study_key(study)}"
    each = publication.reward_cents + publication.fee_cents
    for number, size in enumerate(publication.hits, before):
        offer = make_offer(study, publication, size, (crowd.environment, number), url)
        details = {"offer": stored(offer), "cost_cents": size * each}
        if isinstance(crowd, Growing):
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
    session.add(
        schema.Event(
            study_id=study.id,
            kind="publish",
            details=where | asdict(publication),
            created_at=now,
        )
    )


def _hits(session: Session, study: schema.Study, crowd: Crowd, state: CallState) -> list[Hit]:
    query = select(Hit).where(
        Hit.study_id == study.id,
        Hit.crowd == crowd.name,
        Hit.environment == crowd.environment,
        Hit.state == state,
    )
    return list(session.scalars(query.order_by(Hit.id)))


def _recover(
    db: Database, study_name: str | None, crowd: Crowd, now: datetime, *, give_up: bool = False
) -> None:
    """Ask the platform for the HITs that an earlier run wrote down and did not tick off.

    What the platform does not have is created later, unless its time is over or `give_up` says so.
    """
    with db.read() as session:
        left = _hits(session, find_study(session, study_name), crowd, CallState.INTENDED)
    if give_up and isinstance(crowd, Growing):
        for row in left:
            if row.external_id is not None:
                forget_growth(db, crowd, row)
    made = [hit for hit in left if hit.external_id is None]  # the others are only to be enlarged
    if not made:
        return
    found = crowd.find([hit.token for hit in made])
    with db.write() as session:
        for row in made:
            hit = session.get_one(Hit, row.id)
            over = hit.expires_at is not None and hit.expires_at <= now
            if hit.token in found:
                hit.external_id, hit.state = found[hit.token], CallState.DONE
            elif give_up or over:
                hit.state = CallState.FAILED


def _create_intended(db: Database, study_name: str | None, crowd: Crowd, now: Clock) -> None:
    with db.read() as session:
        intended = _hits(session, find_study(session, study_name), crowd, CallState.INTENDED)
    for number, row in enumerate(intended):
        offer = restored(row.details["offer"])
        try:
            if row.external_id is not None and isinstance(crowd, Growing):
                external_id = row.external_id
                crowd.grow(external_id, row.max_assignments)
            else:
                external_id = crowd.create(offer)
        except CrowdUnreachable:
            raise
        except CrowdError as error:
            _mark_refused(db, row)
            raise CrowdError(
                f"{error}; {number} of {len(intended)} HITs were published before; put it right, "
                "then run the same command again for the others"
            ) from error
        with db.write() as session:
            hit = session.get_one(Hit, row.id)
            hit.external_id, hit.state = external_id, CallState.DONE
            hit.expires_at = now() + offer.lifetime


def _mark_refused(db: Database, row: Hit) -> None:
    """Note that the platform refused: a HIT is not there, or has its places of before."""
    with db.write() as session:
        hit = session.get_one(Hit, row.id)
        if hit.external_id is None:
            hit.state = CallState.FAILED
        else:
            hit.max_assignments, hit.state = int(hit.details["places_before"]), CallState.DONE


def extend(
    db: Database,
    study_name: str | None,
    crowd: Crowd,
    time: timedelta,
    now: Clock = _utc_now,
) -> int:
    """Offer every published HIT for some time from now, the expired ones too; return how many.

    A HIT that grows has no end: it is offered until it is full or `expire` pauses it.

    Raises:
        CrowdError: refused or no answer; run it again.
    """
    _recover(db, study_name, crowd, now())
    until = now() + (NO_END if isinstance(crowd, Growing) else time)
    with db.read() as session:
        hits = _hits(session, find_study(session, study_name), crowd, CallState.DONE)
    for hit in hits:
        crowd.extend(str(hit.external_id), until)
        with db.write() as session:
            session.get_one(Hit, hit.id).expires_at = until
    return len(hits)


def expire(db: Database, study_name: str | None, crowd: Crowd, now: Clock = _utc_now) -> int:
    """Stop offering every published HIT; workers already inside may finish. Return how many.

    What an interrupted run had not created yet is given up.

    Raises:
        CrowdError: refused or no answer; run it again.
    """
    _recover(db, study_name, crowd, now(), give_up=True)
    with db.read() as session:
        hits = _hits(session, find_study(session, study_name), crowd, CallState.DONE)
    for hit in hits:
        crowd.expire(str(hit.external_id))
        with db.write() as session:
            row = session.get_one(Hit, hit.id)
            if row.expires_at is None or row.expires_at > now():
                row.expires_at = now()
    return len(hits)
