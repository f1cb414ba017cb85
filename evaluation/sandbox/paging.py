"""Pages of a list: an opaque NextToken that holds where the last page ended."""

import base64
import hashlib
import json
from collections.abc import Sequence
from typing import Any, TypeVar

from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute

from evaluation.sandbox.errors import invalid
from evaluation.sandbox.registry import Call

DEFAULT_RESULTS = 10

Row = TypeVar("Row")


def page(
    call: Call,
    query: Select[Row],
    key: InstrumentedAttribute[int],
    *,
    newest_first: bool = False,
) -> tuple[Sequence[Row], dict[str, Any]]:
    """Return one page of `query` and the reply's `NumResults` and `NextToken`.

    Rows that appear while a client pages are neither skipped nor sent twice, because a page begins
    after the key of the last row, not at an offset.

    Args:
        call: its parameters give MaxResults, NextToken and the filter the token belongs to.
        query: selects one entity.
        key: a unique integer column of that entity, which orders it.
        newest_first: order by descending key.

    Raises:
        ApiError: a NextToken that was not given out for this very list.
    """
    size = call.params.get("MaxResults", DEFAULT_RESULTS)
    token = call.params.get("NextToken")
    if token is not None:
        last = _position(token, _list_of(call))
        query = query.where(key < last if newest_first else key > last)
    order = key.desc() if newest_first else key.asc()
    rows = call.unit.session.scalars(query.order_by(order).limit(size + 1)).all()
    shown = rows[:size]
    more = len(rows) > size
    next_token = _token(getattr(shown[-1], key.key), _list_of(call)) if more else None
    return shown, {"NumResults": len(shown), "NextToken": next_token}


def _list_of(call: Call) -> str:
    """A digest of what is listed for whom: the operation, the account and the filter."""
    kept = {k: v for k, v in call.params.items() if k not in {"NextToken", "MaxResults"}}
    text = json.dumps([call.operation, call.account.id, kept], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _token(last: int, of_list: str) -> str:
    """Pack the key of the last row sent."""
    return base64.urlsafe_b64encode(f"{of_list}:{last}".encode()).decode()


def _position(token: str, of_list: str) -> int:
    """Unpack a token."""
    try:
        given_for, _, last = base64.urlsafe_b64decode(token.encode()).decode().partition(":")
        position = int(last)
    except ValueError as error:
        raise invalid("NextToken", "not a token of this service") from error
    if given_for != of_list:
        raise invalid("NextToken", "it was given out for another list")
    return position
