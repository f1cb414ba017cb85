"""A health check for load balancers and for `make demo`: is the database there, and which one.

Whether it can be written is known from what raters last sent; nothing is written to try it.
"""

from flask import Blueprint
from flask.typing import ResponseReturnValue
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from evaluation.errors import DatabaseError
from webapp.services import now, services

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def health() -> ResponseReturnValue:
    """Tell whether the database answers and takes answers, its schema revision, the app's clock."""
    try:
        with services().database.read() as session:
            revision = session.scalar(text("SELECT version_num FROM alembic_version"))
    except (DatabaseError, SQLAlchemyError):
        # The reason may hold a host name, and the tables may be away while a backup is restored.
        return {"status": "database unreachable"}, 503
    if services().database.writes.fail:
        return {"status": "database cannot be written"}, 503
    return {"status": "ok", "revision": revision, "time": now().isoformat()}
