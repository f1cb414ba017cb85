"""Pseudonyms for workers, assignments and HITs: keyed, so that nobody can guess them back.

One key serves an installation, so that a lab recognises a worker across its studies without
publishing who it is. A study exported `unlinkable` has a key of its own,
by which these pseudonyms are turned into others.
"""

import base64
import binascii
import contextlib
import hashlib
import hmac
import logging
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import select

from evaluation.database import Database
from evaluation.errors import EvaluationError, UsageError
from evaluation.schema import Assignment, Study
from evaluation.secret import unlinkable_key
from evaluation.sqlite_file import key_beside

_log = logging.getLogger(__name__)
KEY_VARIABLE = "VGAN_EVAL_PSEUDONYM_KEY"
_KEY_BYTES = 32
_FORGOTTEN = re.compile(r"~(?P<key>[0-9a-f]{12})~(?P<name>[a-z]-[a-z2-7]{16})(~[0-9]+)?")
_LENGTH = 16  # base32 digits, 80 bits: a million workers collide with a chance below 1e-12


def installation_key(database_url: str, environ: Mapping[str, str] = os.environ) -> bytes:
    """Return the installation's key, making it on first use.

    It is the 64 hexadecimal digits of the variable VGAN_EVAL_PSEUDONYM_KEY; else of the file
    `DATABASE.key` beside a SQLite database; else, for a database on a server, of the user's
    configuration file `vgan-eval/pseudonym.key`. Who has the key and a list of worker ids can
    undo the pseudonyms, so it is never exported, and the file is readable by its owner only.

    Raises:
        UsageError: the variable or the file does not hold a key.
        EvaluationError: the file can be neither read nor written.
    """
    if given := environ.get(KEY_VARIABLE):
        return _parsed(given, KEY_VARIABLE)
    path = _key_file(database_url, environ)
    try:
        if not path.exists():
            _make(path)
        return _parsed(path.read_text(encoding="ascii"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise EvaluationError(
            f"{path}: the pseudonym key cannot be read or made ({error}); set {KEY_VARIABLE}"
        ) from error


def known_key(database_url: str, environ: Mapping[str, str] = os.environ) -> bytes | None:
    """Return the `installation_key` where there is one; makes none."""
    if environ.get(KEY_VARIABLE) or _key_file(database_url, environ).exists():
        return installation_key(database_url, environ)
    return None


def key_place(database_url: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return where the `installation_key` is looked for: the variable's name, or the file."""
    if environ.get(KEY_VARIABLE):
        return KEY_VARIABLE
    return str(_key_file(database_url, environ))


def database_key(database: Database, environ: Mapping[str, str] = os.environ) -> bytes:
    """Return the `installation_key` of an open database.

    One that is made when people have taken part already is told in one line: there may be another,
    under which their pseudonyms were published.
    """
    if known := known_key(database.url, environ):
        return known
    key = installation_key(database.url, environ)
    with database.read() as session:
        finished = select(Assignment.id).where(Assignment.submitted_at.is_not(None)).limit(1)
        if session.scalar(finished) is not None:
            _log.warning(
                "%s: made a new key of the pseudonyms; keep it. If people of this database "
                "were exported before under another key, put that one there and export again",
                _key_file(database.url, environ),
            )
    return key


def pseudonym(key: bytes, kind: str, *identity: str) -> str:
    """Return the pseudonym of one thing: the kind's first letter and 16 letters and digits.

    Args:
        key: of the installation or of the study.
        kind: `worker`, `assignment` or `hit`; equal ids of two kinds get unrelated names.
        identity: what makes it unique: crowd, environment, the platform's id.
    """
    if kept := next(filter(None, (_kept(key, kind, part) for part in identity)), None):
        return kept
    # Lengths are part of the message: ("ab", "c") and ("a", "bc") must differ.
    message = "".join(f"{len(part)}:{part}" for part in (kind, *identity))
    digest = hmac.digest(key, message.encode(), hashlib.sha256)
    return f"{kind[0]}-{base64.b32encode(digest).decode()[:_LENGTH].lower()}"


def unlinkable_pseudonym(key: bytes, study: Study, kind: str, *identity: str) -> str:
    """Return a pseudonym that matches no other study's.

    Made from the installation's, which outlives the id: it is the same after the id is forgotten.

    Args:
        key: of the installation.
        study: whose pseudonyms they are.
        kind: see `pseudonym`.
        identity: likewise.
    """
    return pseudonym(unlinkable_key(key, study.secret), kind, pseudonym(key, kind, *identity))


def forgotten_id(key: bytes, kind: str, *identity: str, row: int) -> str:
    """Return what stands in the place of a platform's id that is to be forgotten.

    It carries the pseudonym under this key, which `pseudonym` then finds in it, so that exports
    made before and after name the same worker. Under another key it is an id like any other.

    Args:
        key: of the installation.
        kind: see `pseudonym`.
        identity: likewise.
        row: our id; who comes back and is forgotten again has the same pseudonym in two rows.
    """
    return f"~{_fingerprint(key)}~{pseudonym(key, kind, *identity)}~{row}"


def is_forgotten(external_id: str) -> bool:
    """Tell whether an id was made by `forgotten_id`."""
    return _FORGOTTEN.fullmatch(external_id) is not None


def _fingerprint(key: bytes) -> str:
    return hmac.digest(key, b"fingerprint", hashlib.sha256).hex()[:12]


def _kept(key: bytes, kind: str, part: str) -> str | None:
    """Return the pseudonym that a forgotten id of this kind carries, if it is this key's."""
    found = _FORGOTTEN.fullmatch(part)
    if found is None or found["name"][0] != kind[0] or found["key"] != _fingerprint(key):
        return None
    return found["name"]


def _parsed(text: str, where: str) -> bytes:
    try:
        key = binascii.unhexlify(text.strip())
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != _KEY_BYTES:
        raise UsageError(f"{where}: a pseudonym key is {2 * _KEY_BYTES} hexadecimal digits")
    return key


def _key_file(database_url: str, environ: Mapping[str, str]) -> Path:
    if beside := key_beside(database_url):
        return beside
    config = environ.get("XDG_CONFIG_HOME")
    return (Path(config) if config else Path.home() / ".config") / "vgan-eval" / "pseudonym.key"


def _make(path: Path) -> None:
    """Write a new key; of two programs that do so at once, the first one's key stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}.part")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(_KEY_BYTES) + "\n")
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)  # unlike a rename, this never replaces
    finally:
        temporary.unlink(missing_ok=True)
