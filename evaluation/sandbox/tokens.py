"""UniqueRequestToken: a repeated request is told so for 24 hours, in either form seen.

The documentation has the duplicate error name what the first request made; reports from the field
show a message with the token and no id. A client that parses neither works with both.
"""

from datetime import timedelta

from sqlalchemy import select

from evaluation.sandbox.errors import ApiError, request_error
from evaluation.sandbox.registry import Call
from evaluation.sandbox.store import DuplicateError, Token

LIFE = timedelta(hours=24)


def refuse_repeat(call: Call, family: str, code: str, token: str | None = None) -> None:
    """Raise when the call's token was used in the last 24 hours; forget it when it is older.

    Args:
        call: the call; its `UniqueRequestToken` counts unless `token` is given.
        family: operations that share tokens.
        code: the error's name in the documented form.
        token: a token that the client did not send.

    Raises:
        ApiError: in the form that the service's settings choose.
    """
    token = token or call.params.get("UniqueRequestToken")
    if token is None:
        return
    used = _find(call, family, token)
    if used is None:
        return
    if call.unit.now - used.used_at >= LIFE:
        call.unit.session.delete(used)
        call.unit.session.flush()
        return
    if call.unit.service.duplicate_error is DuplicateError.FIELD:
        raise ApiError(f'The idempotency token "{token}" has already been processed.')
    raise request_error(
        code, f"The request with token {token} was already processed. It made: {used.subject}"
    )


def remember(call: Call, family: str, subject: str, token: str | None = None) -> None:
    """Write down that the call's token made `subject`."""
    token = token or call.params.get("UniqueRequestToken")
    if token is not None:
        call.unit.session.add(
            Token(
                account_id=call.account.id,
                family=family,
                token=token,
                subject=subject,
                used_at=call.unit.now,
            )
        )


def _find(call: Call, family: str, token: str) -> Token | None:
    """The row of a used token."""
    return call.unit.session.scalar(
        select(Token).where(
            Token.account_id == call.account.id, Token.family == family, Token.token == token
        )
    )
