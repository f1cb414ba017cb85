"""A health check for load balancers and for `make demo`: is the database there, and which one."""

from flask import Blueprint
from flask.typing import ResponseReturnValue
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from evaluation.errors import DatabaseError
from webapp.services import now, services

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def health() -> ResponseReturnValue:
    """Tell whether the database answers, its schema revision, and the app's clock."""
    try:
        with services().database.read() as session:
            revision = session.scalar(text("SELECT version_num FROM alembic_version"))
    except (DatabaseError, SQLAlchemyError):
        # The reason may hold a host name, and the tables may be away while a backup is restored.
        return {"status": "database unreachable"}, 503
    return {"status": "ok", "revision": revision, "time": now().isoformat()}
