"""Make the calls of publishing that were written down, each once, whatever ends a run before.

A HIT's row is `intended` until the platform has said its id. A run first asks the platform which of
such HITs it has, and creates the others. Where the platform knows no idempotency tokens, a run also
claims a HIT in its row before it creates it, so that two runs at once do not both.
"""

import math
import os
import socket
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from evaluation import schema
from evaluation.clock import Clock
from evaluation.crowd.base import Crowd, CrowdError, CrowdUnreachable, Offer, grows
from evaluation.database import Database, find_study
from evaluation.publishing.growing import forget_growth
from evaluation.schema import CallState, Hit
from evaluation.sessions.arrivals import hits_on
from evaluation.sessions.leases import lock_study

# A claim holds for longer than a run can be busy creating. On Prolific that is six calls, each at
# worst four waits of a minute with pauses of 21 s between them: 26 minutes.
CLAIM = timedelta(minutes=30)


def hits_in(session: Session, study: schema.Study, crowd: Crowd, state: CallState) -> list[Hit]:
    """Return a study's HITs on a crowd that are in a state, oldest first."""
    return hits_on(session, study, crowd.name, crowd.environment, Hit.state == state)


def recover(
    db: Database, study_name: str | None, crowd: Crowd, now: datetime, *, give_up: bool = False
) -> None:
    """Ask the platform for the HITs that an earlier run wrote down and did not tick off.

    What the platform does not have is created later, unless its time is over or `give_up` says so.

    Raises:
        CrowdUnreachable: no answer, or what is to be given up is being created by another run.
        CrowdError: refused.
    """
    with db.read() as session:
        left = hits_in(session, find_study(session, study_name), crowd, CallState.INTENDED)
    if give_up and grows(crowd):
        for row in left:
            if row.external_id is not None:
                forget_growth(db, crowd, row)
    made = [hit for hit in left if hit.external_id is None]  # the others are only to be enlarged
    if not made:
        return
    found = crowd.find([hit.token for hit in made])
    with db.write() as session:
        lock_study(session, find_study(session, study_name))
        for row in made:
            hit = session.get_one(Hit, row.id, with_for_update=True)
            over = hit.expires_at is not None and hit.expires_at <= now
            if hit.token in found:
                hit.external_id, hit.state = found[hit.token], CallState.DONE
            elif hit.state is CallState.INTENDED and (give_up or over):
                _check_unclaimed(hit, now)
                hit.state = CallState.FAILED


def create_intended(db: Database, study_name: str | None, crowd: Crowd, now: Clock) -> None:
    """Create or enlarge the HITs that are written down, and tick them off one by one.

    Each is looked at again before: `expire` may have given it up, while many are being made.

    Raises:
        CrowdUnreachable: no answer, or another run is creating one of them.
        CrowdError: refused, and the message says how many were published before; or given up.
    """
    with db.read() as session:
        intended = hits_in(session, find_study(session, study_name), crowd, CallState.INTENDED)
    ended = False
    for number, row in enumerate(intended):
        claims = row.external_id is None and not crowd.terms.knows_tokens
        if not (_claim(db, study_name, crowd, row, now) if claims else _is_intended(db, row)):
            continue
        offer = Offer.from_json(row.details["offer"])
        try:
            if row.external_id is not None and grows(crowd):
                external_id = row.external_id
                crowd.grow(external_id, row.max_assignments)
            else:
                external_id = crowd.create(offer)
        except (CrowdUnreachable, KeyboardInterrupt):
            _release(db, row)
            raise
        except CrowdError as error:
            _mark_refused(db, row)
            raise CrowdError(
                f"{error}; {number} of {len(intended)} HITs were published before; put it right, "
                "then run the same command again for the others"
            ) from error
        with db.write() as session:
            hit = session.get_one(Hit, row.id, with_for_update=True)
            # What another run wrote down meanwhile stays: `expire` may have ended it already, or
            # given it up while the platform was making it.
            given_up = hit.state is CallState.FAILED
            if hit.state is CallState.INTENDED or given_up:
                hit.expires_at = now() + (timedelta(0) if given_up else offer.lifetime)
            hit.external_id, hit.state = external_id, CallState.DONE
            ended = ended or not hit.is_open(now())
        if given_up:
            crowd.expire(external_id)
    with db.read() as session:
        failed = [session.get_one(Hit, row.id).state is CallState.FAILED for row in intended]
    if ended or any(failed):
        raise CrowdError(
            "`vgan-eval expire` was run meanwhile, so not all HITs are on offer; run the same "
            "command again if they are to be"
        )


def _is_intended(db: Database, row: Hit) -> bool:
    with db.read() as session:
        return session.get_one(Hit, row.id).state is CallState.INTENDED


def _claim(db: Database, study_name: str | None, crowd: Crowd, row: Hit, now: Clock) -> bool:
    """Note that this run creates a HIT; say whether it still has to be created.

    The claim of a run that died is taken over when its time is over, after one more look at the
    platform: that run may have been creating the HIT when this one looked first.

    Raises:
        CrowdUnreachable: another run's claim holds; the message says for how long.
    """
    with db.write() as session:
        lock_study(session, find_study(session, study_name))
        hit = session.get_one(Hit, row.id)
        if hit.state is not CallState.INTENDED:
            return False  # another run has ended it
        _check_unclaimed(hit, now())
        taken_over = "claim" in hit.details
        claim = {"by": f"{socket.gethostname()}, process {os.getpid()}", "at": now().isoformat()}
        hit.details = {**hit.details, "claim": claim}
    if not taken_over or row.token not in (found := crowd.find([row.token])):
        return True
    with db.write() as session:
        hit = session.get_one(Hit, row.id)
        hit.external_id, hit.state = found[row.token], CallState.DONE
    return False


def _release(db: Database, row: Hit) -> None:
    """Give a claim back: this run has ended, and the next one looks first what it has done."""
    with db.write() as session:
        hit = session.get_one(Hit, row.id)
        hit.details = {key: value for key, value in hit.details.items() if key != "claim"}


def _check_unclaimed(hit: Hit, now: datetime) -> None:
    """Refuse to touch a HIT that another run may be creating."""
    claim = hit.details.get("claim")
    if claim is None:
        return
    left = datetime.fromisoformat(claim["at"]) + CLAIM - now
    if left > timedelta(0):
        minutes = math.ceil(left.total_seconds() / 60)
        raise CrowdUnreachable(
            f"another run is publishing ({claim['by']}) and has not ended; wait for it. If it was "
            f"stopped, run the same command again in {minutes} minutes: it looks first whether the "
            "platform has the HIT, so nothing is published twice"
        )


def _mark_refused(db: Database, row: Hit) -> None:
    """Note that the platform refused: a HIT is not there, or has its places of before."""
    with db.write() as session:
        hit = session.get_one(Hit, row.id)
        if hit.external_id is None:
            hit.state = CallState.FAILED  # which ends its claim too
        else:
            hit.max_assignments, hit.state = int(hit.details["places_before"]), CallState.DONE
