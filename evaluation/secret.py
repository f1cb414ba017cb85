"""What follows from a study's secret: every key, code, token and draw, each purpose named once.

Who holds the secret can make all of them; nobody can guess one, or make one from another. They
stand in links, on platforms, in ledgers and beside clips, so none may ever come out differently.
"""

import base64
import hashlib
import hmac
import random
from enum import StrEnum

from itsdangerous import URLSafeSerializer


class Signed(StrEnum):
    """What is signed for others to bring back; no kind passes for another."""

    PAGE = "worker-page"
    TICKET = "ticket"
    NOTE = "doctor"


def signer(secret: str, kind: Signed) -> URLSafeSerializer:
    """Return what signs values of one kind, and checks them."""
    return URLSafeSerializer(secret, salt=kind.value)


def media_key(secret: str, clip: str, padded_bytes: int) -> str:
    """Return the opaque name of a clip padded to a size."""
    return _keyed(secret, f"{clip}\n{padded_bytes}").hex()


def join_key(secret: str) -> str:
    """Return the end of the link that lets a room of raters in."""
    return _keyed(secret, "join").hex()[:20]


def link_key(secret: str, environment: str) -> str:
    """Return the end of the address of a study's link in one environment."""
    return _keyed(secret, f"link:{environment}").hex()[:24]


def page_key(secret: str) -> str:
    """Return the name of a study in workers' URLs, which says nothing about it."""
    return _hashed(secret, "page").hex()[:24]


def hit_token(secret: str, environment: str, number: int) -> str:
    """Return the token that makes one HIT be published once: 40 hexadecimal digits."""
    return _hashed(secret, "hit", environment, number).hex()[:40]


def hit_code(secret: str, token: str, meaning: str) -> str:
    """Return a code that a HIT's workers bring back: eight capitals and digits, no 0, 1, 8 or 9."""
    return base64.b32encode(_hashed(secret, token, meaning)).decode()[:8]


def payment_token(secret: str, kind: str, assignment: int, what: str) -> str:
    """Return the token that makes one payment happen once: 40 hexadecimal digits."""
    return _hashed(secret, kind, assignment, what).hex()[:40]


def settled_digest(secret: str, assignment: str, worker: str) -> str:
    """Return what is kept of the platform's ids of a settled session: 40 hexadecimal digits."""
    return _hashed(secret, "settled sessions", assignment, worker).hex()[:40]


def completion_code(secret: str, assignment: int, nonce: str | None) -> str:
    """Return the code that proves a finished session: ten capitals and digits, always the same.

    The digits 0, 1 and 8 do not occur, so nobody has to tell them from O, I and B. It is made from
    the nonce, because two sessions may have the same id in turn; from the id where there is none.
    """
    message = f"completion:{assignment if nonce is None else nonce}"
    return base64.b32encode(_keyed(secret, message)).decode()[:10]


def unlinkable_key(key: bytes, secret: str) -> bytes:
    """Return the key of one study's pseudonyms that match no other export's, by that of all."""
    return hmac.digest(key, f"study:{secret}".encode(), hashlib.sha256)


def session_chance(secret: str, crowd: str, worker: str, session: str) -> random.Random:
    """Return what a session's order and sides are drawn from.

    Args:
        secret: of the study, or what else they follow from.
        crowd: the platform.
        worker: the worker's id there.
        session: the platform's id of the assignment.
    """
    return random.Random(f"{secret}/{crowd}/{worker}/{session}")


def size_chance(secret: str) -> random.Random:
    """Return what the sizes of files are drawn from, where one pair may not differ from others."""
    return random.Random(f"{secret}/sizes")


def _keyed(secret: str, message: str) -> bytes:
    return hmac.digest(secret.encode(), message.encode(), hashlib.sha256)


def _hashed(secret: str, *parts: str | int) -> bytes:
    return hashlib.sha256("\x1f".join([secret, *map(str, parts)]).encode()).digest()
