"""Where a study is published: on which crowds, and in the sandbox, in production or in both."""

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.orm import Session

from evaluation import frozen
from evaluation.crowd.open import CROWDS
from evaluation.errors import UsageError
from evaluation.schema import CallState, Environment, Hit, Study

_OTHER = {
    Environment.SANDBOX: (Environment.PRODUCTION, "in production; add --production"),
    Environment.PRODUCTION: (Environment.SANDBOX, "in the sandbox; leave out --production"),
}


def published_address(session: Session, study: Study, environment: Environment) -> str | None:
    """Return the web app's address of the last publication, None where there is none; only reads.

    Empty where the newest HIT does not tell.
    """
    query = select(Hit.details).where(
        is_published(study), Hit.environment == environment, Hit.crowd.in_(CROWDS)
    )
    details = session.scalar(query.order_by(Hit.id.desc()).limit(1))
    if details is None:
        return None
    page = str(details.get("offer", {}).get("url", ""))  # ADDRESS/CROWD/KEY
    return str(details.get("url") or page.rpartition("/")[0].rpartition("/")[0])


def is_for_a_crowd(session: Session, study: Study) -> bool:
    """Tell whether the study file names a crowd, or the study is published on one; only reads."""
    if frozen.recruit(study).crowd in CROWDS:
        return True
    return bool(crowds_of(session, study))


def crowds_of(session: Session, study: Study) -> set[str]:
    """Return the crowds on which something is published; only reads."""
    query = select(Hit.crowd).where(is_published(study), Hit.crowd.in_(CROWDS))
    return set(session.scalars(query.distinct()))


def other_crowds(session: Session, study: Study, crowd: str) -> list[str]:
    """Return the other crowds on which something is published; only reads.

    Raises:
        UsageError: nothing is on this one, so that a command's success would be taken for theirs.
    """
    found = crowds_of(session, study)
    others = sorted(found - {crowd})
    if others and crowd not in found:
        where = " and ".join(others)
        raise UsageError(
            f"study `{study.name}` is published on {where}, not on {crowd}; give --crowd "
            f"{' or '.join(others)}"
        )
    return others


def crowd_left(session: Session, study: Study, crowd: str) -> tuple[str, ...]:
    """Warn of what stays on the crowd that the study file named before this one; only reads."""
    old = frozen.recruit(study).crowd
    if old == crowd or old not in crowds_of(session, study):
        return ()
    return (
        f"the crowd is {crowd} now, and what is published on {old} stays there: commands about it "
        f"need --crowd {old}, and `vgan-eval expire --crowd {old}` stops offering it",
    )


def is_published(study: Study) -> ColumnElement[bool]:
    """Return the condition for a HIT of a study that stands on a platform, or may."""
    return and_(Hit.study_id == study.id, Hit.state != CallState.FAILED)


def check_environment(
    session: Session, study: Study, crowd: str, environment: Environment
) -> set[Environment]:
    """Refuse the environment in which nothing is published, where something is in the other one.

    A command would find nothing to do there, and its success would be taken for that of the other.

    Returns:
        The environments in which something is published.

    Raises:
        UsageError: the message has the option that is lacking, or too much.
    """
    query = select(Hit.environment).where(is_published(study), Hit.crowd == crowd)
    found = set(session.scalars(query.distinct()))
    other, where = _OTHER[environment]
    if other in found and environment not in found:
        raise UsageError(f"study `{study.name}` is published on {crowd} {where}")
    return found
