"""One address that lets people in without a crowd of ours: a panel, a subject pool, a mailing list.

A published link is a row of `hit` on the crowd `link`: so many places, until a time. People come
with an id that their site puts into the address (`[recruit.link] participant`), or with a link of
their own (`evaluation.publishing.invitations`). The site has no interface that is called: it learns
who has finished from the completion code or address, and pays or credits them by itself.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from evaluation import frozen
from evaluation.clock import Clock, utc_now
from evaluation.database import Database, find_study
from evaluation.errors import NothingLeft
from evaluation.events import note_event
from evaluation.publish import check_public_url
from evaluation.publishing.offers import check_publishable, plan_publication, taken_places
from evaluation.schema import (
    Assignment,
    AssignmentStatus,
    CallState,
    Environment,
    EventKind,
    Hit,
    Invitation,
    Study,
    Worker,
)
from evaluation.secret import link_key
from evaluation.sessions.arrivals import check_may_start, published_hits
from evaluation.sessions.leases import lock_study
from evaluation.study import Link

CROWD = "link"
_LONGEST_ID = 255
_FORMULA = re.compile(r"[=+@-].*[^\w-].*")  # a table's program would compute it in codes.csv


class LinkFull(NothingLeft):
    """All places of the link are taken; people who are inside can finish."""


class LinkOver(NothingLeft):
    """The link's time is over."""


class LinkRevoked(LinkOver):
    """The link was made for one person and taken back; who is inside can finish."""


@dataclass(frozen=True)
class LinkPlan:
    """What publishing a link comes to.

    Args:
        address: what to give to the site or to send round.
        places: of the link afterwards, those taken included.
        taken: sessions that hold one.
        trials: test trials that still lack a worker.
        reward_cents: that [pay] promises for a session; the site or the lab pays it.
        currency: ISO 4217.
        older: cents and currency that those inside had, where others; what `review` noted stays.
        until: when the link stops letting people in.
        is_empty: whether nothing is lacking and an open link would stay as it is.
    """

    address: str
    places: int
    taken: int
    trials: int
    reward_cents: int
    currency: str
    older: tuple[int, str] | None
    until: datetime
    is_empty: bool

    @property
    def open(self) -> int:
        """Places that are left."""
        return max(0, self.places - self.taken)


def link_address(hit: Hit, settings: Link | None = None) -> str:
    """Return the address of a published link; with settings, as the site that sends people has it.

    Connect adds its parameters by itself, SONA sets the participant in where the address says so,
    and for any other site ID stands for how it writes that.
    """
    base = f"{hit.details['url']}/{CROWD}/{hit.external_id}"
    if settings is None or not settings.participant or settings.preset == "connect":
        return base
    written = "%SURVEY_CODE%" if settings.preset == "sona" else "ID"
    return f"{base}?{settings.participant}={written}"


def published_link(session: Session, study: Study, environment: Environment) -> Hit | None:
    """Return the study's link, open or over; only reads."""
    return next(iter(published_hits(session, study, CROWD, environment)), None)


def publish_link(
    db: Database,
    study_name: str | None,
    environment: Environment,
    url: str,
    *,
    confirm: Callable[[LinkPlan], bool] = lambda _: True,
    now: Clock = utc_now,
) -> LinkPlan | None:
    """Open the study's link for as many people as the plan lacks, or open it again.

    Nothing outside is called, so there is nothing to recover: the link is there or it is not.

    Args:
        db: the study database.
        study_name: slug; None where there is one study.
        environment: sandbox (this machine) or production.
        url: of the web app.
        confirm: asked before anything is written; False stops.
        now: the clock.

    Returns:
        What was published, or None when `confirm` said no. Nothing is written where it is empty.

    Raises:
        UsageError: the address or the study will not do.
    """
    check_public_url(url, environment)
    with db.write() as session:
        study = find_study(session, study_name)
        plan = _planned(session, study, environment, url, now())
    if plan.is_empty:
        return plan
    if not confirm(plan):
        return None
    with db.write() as session:
        study = find_study(session, study_name)
        lock_study(session, study)  # of two first ones at once, the second finds the first's link
        plan = _planned(session, study, environment, url, now())
        hit = published_link(session, study, environment)
        if hit is None:
            hit = Hit(
                study_id=study.id,
                crowd=CROWD,
                environment=environment,
                token=link_key(study.secret, environment),
                external_id=link_key(study.secret, environment),
                state=CallState.DONE,
                created_at=now(),
            )
            session.add(hit)
        hit.max_assignments, hit.expires_at = plan.places, plan.until
        hit.reward_cents, hit.currency = plan.reward_cents, plan.currency
        hit.details = {"url": url.rstrip("/")}
        details = {"crowd": CROWD, "environment": environment.value, "places": plan.places}
        note_event(session, study.id, EventKind.PUBLISH, details, now())
    return plan


def _planned(
    session: Session, study: Study, environment: Environment, url: str, now: datetime
) -> LinkPlan:
    check_publishable(session, study, CROWD, environment)
    lacking = plan_publication(session, study, CROWD, environment, now)
    recruit = frozen.recruit(study)
    settings, hours = recruit.link, recruit.lifetime_hours
    hit = published_link(session, study, environment)
    taken = taken_places(session, hit, now) if hit else 0
    ends = (hit.expires_at if hit else None) or now
    places = (max(hit.max_assignments, taken) if hit and ends > now else taken) + lacking.sessions
    places = min(places, settings.quota) if settings.quota else places
    shown = Hit(external_id=link_key(study.secret, environment), details={"url": url.rstrip("/")})
    reward = lacking.reward_cents, lacking.currency
    had = (hit.reward_cents, hit.currency) if hit else None
    changes = hit and (places, reward, shown.details) != (hit.max_assignments, had, hit.details)
    return LinkPlan(
        address=link_address(shown, settings),
        places=places,
        taken=taken,
        trials=lacking.trials,
        reward_cents=lacking.reward_cents,
        currency=lacking.currency,
        older=had if taken and had != reward else None,
        until=max(ends, now + timedelta(hours=hours)),  # `extend` may have given it longer
        is_empty=not lacking.sessions and not (changes and ends > now),
    )


def read_participant(settings: Link, value: str) -> str | None:
    """Return the id that came in the address, or None when it is none."""
    if not settings.participant or not value or len(value) > _LONGEST_ID:
        return None
    if not value.isprintable() or _FORMULA.fullmatch(value):  # whatever the pattern says
        return None
    return value if re.fullmatch(settings.pattern, value) else None


def sessions_of(session: Session, hit: Hit, participant: str) -> Sequence[Assignment]:
    """Return a participant's sessions of the link's study, in order; only reads."""
    query = (
        select(Assignment)
        .join(Worker)
        .where(
            Assignment.study_id == hit.study_id,
            Worker.crowd == CROWD,
            Worker.environment == hit.environment,
            Worker.external_id == participant,
        )
        .order_by(Assignment.id)
    )
    return session.scalars(query).all()


def session_for(session: Session, study: Study, hit: Hit, participant: str, now: datetime) -> str:
    """Return the id of the session that somebody who opens the link goes to; only reads.

    The one they left open; a new one while they may have one; else their last, which shows its
    completion code again.

    Raises:
        LinkOver: the link's time is over, or it was taken back.
        LinkFull: every place is taken.
        StudyPaused: nobody new is let in now.
        NothingLeft: no trial is left for them.
    """
    had = sessions_of(session, hit, participant)
    for one in had:
        if one.status is AssignmentStatus.ACCEPTED:
            return one.external_id
    kept = [one for one in had if one.status is not AssignmentStatus.RETURNED]
    enough = len(kept) >= frozen.workers(study).sessions_per_worker
    if kept and (enough or not _lets_in(session, hit, participant)):
        return kept[-1].external_id
    check_place(session, hit, participant, now)
    check_may_start(session, study, had[0].worker_id if had else None, len(kept), now)
    # Theirs may be among those whose ids are gone, and no two of a person's are called the same.
    return f"{hit.external_id}-{_gone(session, hit) + len(had) + 1}"


def _gone(session: Session, hit: Hit) -> int:
    """Count the sessions of a link whose ids were taken away."""
    query = select(func.count()).where(
        Assignment.study_id == hit.study_id,
        Assignment.hit_id == hit.id,
        ~Assignment.external_id.startswith(f"{hit.external_id}-"),
    )
    return int(session.scalar(query) or 0)


def _lets_in(session: Session, hit: Hit, participant: str) -> bool:
    """Whether an id is that of a link of one's own that holds, or one that the site may send.

    A ticket outlives the link that it was given for, so every new session asks again.
    """
    query = select(Invitation).where(Invitation.hit_id == hit.id, Invitation.token == participant)
    invitation = session.scalar(query)
    if invitation is not None:
        return invitation.revoked_at is None
    settings = frozen.recruit(session.get_one(Study, hit.study_id)).link
    return read_participant(settings, participant) is not None


def check_place(session: Session, hit: Hit, participant: str, now: datetime) -> None:
    """Refuse a new session on a link that is over, full, taken back or removed.

    Raises:
        LinkOver: the link's time is over, or (LinkRevoked) it was taken back or removed.
        LinkFull: every place is taken.
    """
    if not _lets_in(session, hit, participant):
        raise LinkRevoked("this link was taken back")
    if not hit.is_open(now):
        raise LinkOver("this link is over")
    if taken_places(session, hit, now) >= hit.max_assignments:
        raise LinkFull("every place of this link is taken")


def claim_place(session: Session, hit: Hit, participant: str, wanted: str, now: datetime) -> None:
    """Let a session start, one at a time, so that the last place is given once.

    Who has the session already goes on, whatever became of the link.

    Raises:
        LinkOver: the link's time is over, or it was taken back.
        LinkFull: every place is taken.
    """
    session.execute(select(Hit.id).where(Hit.id == hit.id).with_for_update(key_share=True))
    if all(one.external_id != wanted for one in sessions_of(session, hit, participant)):
        check_place(session, hit, participant, now)


def completion_url(study: Study, assignment: Assignment) -> str:
    """Return where a finished session of a link goes to be paid or credited; empty: nowhere."""
    if assignment.crowd != CROWD:
        return ""
    template = frozen.recruit(study).link.completion
    given = {"{code}": assignment.completion_code, "{participant}": assignment.worker.external_id}
    for name, value in given.items():
        template = template.replace(name, quote(value, safe=""))
    return template


def link_instructions(
    session: Session, study_name: str | None, plan: LinkPlan, environment: Environment
) -> list[str]:
    """Return what to paste where, in lines of text; only reads."""
    where = " --production" if environment is Environment.PRODUCTION else ""
    settings = frozen.recruit(find_study(session, study_name)).link
    lines = [f"The link: {plan.address}"]
    if settings.preset == "connect":
        lines.append("Paste it as the project's survey URL; Connect adds participantId by itself.")
    elif settings.preset == "sona":
        lines.append("Paste it as the Study URL; SONA sets the participant in for %SURVEY_CODE%.")
    elif settings.participant:
        lines.append("Paste it where the people come from; write its id of a participant for ID.")
    else:
        lines = [f"Make links for one person each: vgan-eval links{where} --n 50 --out links.csv"]
    if settings.completion:
        lines.append(f"Whoever finishes goes on to {settings.completion}")
    else:
        command = f"vgan-eval codes{where} --out codes.csv"
        lines.append(f"Whoever finishes is shown a completion code: {command}")
    return lines
