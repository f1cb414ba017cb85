"""Links that let one person in each, for a mailing list: unguessable, revocable, about nobody.

Who was sent which link is known to who sent them, and to nobody here: the link's end is all that
is stored, and it is the id of the worker who uses it.
"""

import csv
import secrets
from collections.abc import Collection
from datetime import datetime
from pathlib import Path

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from evaluation.database import Database, find_study
from evaluation.errors import UsageError
from evaluation.files import make_private, written_whole
from evaluation.links import CROWD, link_address, published_link
from evaluation.schema import Environment, Hit, Invitation, Worker

_BYTES = 15  # 120 bits, 20 characters


def link_end(link: str) -> str:
    """Return the end of a personal link, which names the person; what is given may be the end."""
    return link.rstrip("/").rsplit("/", 1)[-1]


def find_invitation(session: Session, hit: Hit, token: str) -> Invitation | None:
    """Return the invitation behind a link's end, revoked ones too; only reads."""
    return session.scalar(
        select(Invitation).where(Invitation.hit_id == hit.id, Invitation.token == token)
    )


def make_invitations(
    db: Database,
    study_name: str | None,
    environment: Environment,
    n: int,
    out: Path,
    now: datetime,
) -> tuple[int, bool]:
    """Make links for so many people and write them as CSV: `number,link`.

    Args:
        db: the study database.
        study_name: slug; None where there is one study.
        environment: of the published link.
        n: how many.
        out: a new file; an old one is never written over, its links may have been sent.
        now: aware.

    Returns:
        How many were made, and whether the study's link is over, so that they let nobody in yet.

    Raises:
        UsageError: the file exists, or no link is published there.
        EvaluationError: the file cannot be written; no link was made then.
    """
    if out.exists():
        raise UsageError(f"{out} exists, and its links may have been sent; name another file")
    with db.write() as session:
        hit = _link(session, study_name, environment)
        over = not hit.is_open(now)
        made = [secrets.token_urlsafe(_BYTES) for _ in range(n)]
        session.add_all(Invitation(hit_id=hit.id, token=one, created_at=now) for one in made)
        session.flush()
        with written_whole(out) as part:
            make_private(part)
            with part.open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(["number", "link"])
                writer.writerows((i, f"{link_address(hit)}/{one}") for i, one in enumerate(made, 1))
    return n, over


def _link(session: Session, study_name: str | None, environment: Environment) -> Hit:
    study = find_study(session, study_name)
    hit = published_link(session, study, environment)
    if hit is None:
        raise UsageError(
            f"study `{study.name}` has no link ({environment}); first run "
            "`vgan-eval publish --crowd link`"
        )
    return hit


def revoke(
    db: Database,
    study_name: str | None,
    environment: Environment,
    links: Collection[str],
    now: datetime,
    *,
    unused: bool = False,
) -> int:
    """Revoke links, so that nobody new comes in by them; who is inside can finish.

    Args:
        db: the study database.
        study_name: slug; None where there is one study.
        environment: of the published link.
        links: whole addresses, or their ends.
        now: aware.
        unused: also all that nobody has used.

    Returns:
        How many were not revoked before.

    Raises:
        UsageError: one of the links was not made here; none is revoked then.
    """
    with db.write() as session:
        hit = _link(session, study_name, environment)
        chosen = []
        for link in links:
            invitation = find_invitation(session, hit, link_end(link))
            if invitation is None:
                raise UsageError(f"{link}: no such link was made for this study")
            chosen.append(invitation)
        if unused:
            used = exists().where(Worker.crowd == CROWD, Worker.external_id == Invitation.token)
            query = select(Invitation).where(Invitation.hit_id == hit.id, ~used)
            chosen += session.scalars(query).all()
        fresh = {one.id: one for one in chosen if one.revoked_at is None}
        for one in fresh.values():
            one.revoked_at = now
    return len(fresh)


def revoke_used(session: Session, tokens: Collection[str], now: datetime) -> None:
    """Revoke and forget the links of people whose ids are removed."""
    query = select(Invitation).where(Invitation.token.in_(list(tokens)))
    for invitation in session.scalars(query):
        invitation.token, invitation.revoked_at = f"gone-{invitation.id}", now
