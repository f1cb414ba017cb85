"""What workers read, per language: `texts/LANGUAGE.toml`, and what a study file says instead.

Every text has a key such as `trial.pause`, and may hold `{names}` that are set in. A study's own
`[text.LANGUAGE]` may replace any of them, and adds its own: instructions, thanks, title, consent,
and translations of its questions, survey questions and choices.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

DEFAULT = "en"
OWN_KEYS = ("title", "instructions", "thanks", "consent")
OWN_TABLES = ("questions", "survey", "choices")  # by id, or by the choice's text
_FOLDER = Path(__file__).with_name("texts")
_NAME = re.compile(r"\{(\w+)\}")
# Languages written from right to left, by their first subtag.
_RIGHT_TO_LEFT = frozenset(
    ("ar", "arc", "ckb", "dv", "fa", "he", "ks", "nqo", "ps", "sd", "syr", "ug", "ur", "yi")
)

Texts = Mapping[str, Mapping[str, str]]


def flattened(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested tables as one, with keys such as `trial.pause`."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def placeholders(text: str) -> set[str]:
    """Return the names that a text wants set in.

    >>> sorted(placeholders("{number} of {total}"))
    ['number', 'total']
    """
    return set(_NAME.findall(text))


@cache
def built_in(language: str) -> Mapping[str, str]:
    """Return the shipped texts of a language by key; empty where it is not shipped."""
    if language not in shipped():
        return {}
    with (_FOLDER / f"{language}.toml").open("rb") as file:
        return flattened(tomllib.load(file))


@cache
def shipped() -> tuple[str, ...]:
    """Return the languages that are shipped complete."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


def is_known_key(key: str) -> bool:
    """Tell whether a study file may set this key under [text.LANGUAGE]."""
    return key in OWN_KEYS or key in built_in(DEFAULT) or key.split(".")[0] in OWN_TABLES


def choose(declared: Texts, asked: str, accepted: Sequence[str]) -> str:
    """Return the language of a page.

    Args:
        declared: the study's own texts by language, in order.
        asked: in the address (`?lang=`): one that the study declares or that is shipped.
        accepted: what the browser asks for, best first; `de-AT` takes `de` too.

    Returns:
        What was asked for, else what the browser asks for among the languages that the study
        declares, else the first of those, else English.
    """
    if asked in declared or asked in shipped():
        return asked
    if not declared:
        return DEFAULT
    for tag in accepted:
        for whole in (tag.lower(), tag.lower().split("-")[0]):
            if found := next((one for one in declared if one.lower() == whole), None):
                return found
    return next(iter(declared))


@dataclass(frozen=True)
class Wording:
    """The texts of one page.

    Args:
        language: as a language code.
        own: what the study says in it, by key.
    """

    language: str
    own: Mapping[str, str]

    @property
    def direction(self) -> str:
        """`rtl` for a language written from right to left, else `ltr`."""
        return "rtl" if self.language.split("-")[0] in _RIGHT_TO_LEFT else "ltr"

    @cached_property
    def texts(self) -> dict[str, str]:
        """All texts by key: the study's, else the language's, else the English one."""
        shorter = built_in(self.language.split("-")[0])
        return {**built_in(DEFAULT), **shorter, **built_in(self.language), **self.own}

    def say(self, key: str, **values: object) -> str:
        """Return a text with its names set in."""
        return _NAME.sub(lambda name: str(values.get(name[1], name[0])), self.texts[key])

    def translated(self, table: str, name: str, original: str) -> str:
        """Return the study's translation of a question or choice, else the original."""
        return self.own.get(f"{table}.{name}", original)
