"""A signed note of who wants to rate, made by the page's entry and kept in its URL.

A ticket names a session that may not exist yet; the token of `evaluation.sessions.tokens` stands
for one that does. Entries for other crowds make tickets from what their platform puts into the URL.
"""

from dataclasses import astuple, dataclass
from datetime import datetime

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue
from itsdangerous import BadData

from evaluation.errors import TokenError
from evaluation.schema import Environment, Study
from evaluation.secret import Signed, signer

LOCAL_ENVIRONMENT = Environment.PRODUCTION  # people who come by no platform are real too


@dataclass(frozen=True)
class Ticket:
    """Who wants to rate.

    Args:
        crowd: the platform, or `local`.
        worker: the worker's id there.
        session: the platform's id of the assignment.
        hit: the platform's id of the HIT; empty where nothing is published.
        submit_to: where the finished session is handed in; empty where it is not.
        environment: of the HIT; empty where nothing is published.
        made: when, an aware time in ISO 8601; empty where the platform says when a session ends.
    """

    crowd: str
    worker: str
    session: str
    hit: str = ""
    submit_to: str = ""
    environment: str = ""
    made: str = ""

    def place(self) -> Environment:
        """Return where its session is recorded."""
        return Environment(self.environment) if self.environment else LOCAL_ENVIRONMENT

    def made_at(self) -> datetime | None:
        """Return when the ticket was made, aware, where it says."""
        return datetime.fromisoformat(self.made) if self.made else None


def sign_ticket(secret: str, ticket: Ticket) -> str:
    """Return the ticket as URL-safe text, signed with the study's secret."""
    return str(signer(secret, Signed.TICKET).dumps(astuple(ticket)))


def to_page(study: Study, ticket: Ticket) -> ResponseReturnValue:
    """Send somebody on to the rating page, in the language that they asked for.

    Nothing is written: the trials are leased when they press Start, so that a link preview or a
    prefetch takes none.
    """
    signed = sign_ticket(study.secret, ticket)
    return redirect(url_for("rating.page", ticket=signed, lang=request.args.get("lang")))


def read_ticket(secret: str, text: str) -> Ticket:
    """Check a ticket and return what it says.

    Raises:
        TokenError: forged, damaged, or signed for another study.
    """
    try:
        return Ticket(*map(str, signer(secret, Signed.TICKET).loads(text)))
    except (BadData, TypeError):
        raise TokenError("this link is not valid; open the one you were given") from None
