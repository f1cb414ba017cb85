"""Reads [text.LANGUAGE] of a study file: what it says instead of the built-in texts."""

from collections.abc import Mapping
from typing import Any

from evaluation.languages import (
    DEFAULT,
    OWN_KEYS,
    OWN_TABLES,
    built_in,
    flattened,
    is_known_key,
    placeholders,
)
from evaluation.study_file.tables import Length, TomlFile, did_you_mean

_LENGTH = Length(20_000)


def read_texts(file: TomlFile, language: str, table: Mapping[str, Any]) -> dict[str, str]:
    """Return the texts by key, such as `instructions` or `trial.pause`.

    Raises:
        StudyFileError: an unknown key, a value that is no text, or a {name} that is not set in.
    """
    texts: dict[str, str] = {}
    for key, value in flattened(table).items():
        where, _, last = f"text.{language}.{key}".rpartition(".")
        if key.split(".")[0] in OWN_TABLES and "." in key:  # a choice may have dots of its own
            first, last = key.split(".", 1)
            where = f"text.{language}.{first}"
        if not is_known_key(key):
            known = [*OWN_KEYS, *built_in(DEFAULT)]
            raise file.error(where, last, f"unknown key{did_you_mean(key, known)}")
        if not isinstance(value, str):
            raise file.error(where, last, f"must be text in quotes, got {value!r}")
        complaint = _LENGTH.complaint(value) or _names_complaint(key, value)
        if complaint:
            raise file.error(where, last, complaint)
        texts[key] = value
    return texts


def _names_complaint(key: str, value: str) -> str | None:
    if key not in built_in(DEFAULT):
        return None
    known = placeholders(built_in(DEFAULT)[key])
    unknown = sorted(placeholders(value) - known)
    if not unknown:
        return None
    said = ", ".join(f"{{{name}}}" for name in sorted(known)) or "none"
    return f"{{{unknown[0]}}} is not set in here; known: {said}"
