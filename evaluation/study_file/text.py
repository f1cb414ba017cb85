"""Reads [text.LANGUAGE] of a study file: what it says instead of the built-in texts."""

from collections.abc import Collection, Mapping
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
_NONE_SUCH = {
    "questions": "no question has this id",
    "survey": "no question of [[survey]] has this id",
    "choices": "no question of [[survey]] has this choice",
}


def read_texts(
    file: TomlFile,
    language: str,
    table: Mapping[str, Any],
    translated: Mapping[str, Collection[str]],
) -> dict[str, str]:
    """Return the texts by key, such as `instructions` or `trial.pause`.

    Args:
        file: where the table stands.
        language: its code.
        table: what [text.LANGUAGE] holds.
        translated: what the study has of each of `OWN_TABLES`: ids of questions, choices.

    Raises:
        StudyFileError: an unknown key, a translation of what the study does not have, a value
            that is no text, or a {name} that is not set in.
    """
    texts: dict[str, str] = {}
    for key, value in flattened(table).items():
        where, _, last = f"text.{language}.{key}".rpartition(".")
        if key.split(".")[0] in OWN_TABLES and "." in key:  # a choice may have dots of its own
            first, last = key.split(".", 1)
            where = f"text.{language}.{first}"
            if last not in translated[first]:
                hint = did_you_mean(last, translated[first])
                raise file.error(where, last, f"{_NONE_SUCH[first]}{hint}")
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
