"""The study file as an export has it: without the address that grants a participant credit."""

import re
import tomllib

_COMPLETION = re.compile(
    r"""\bcompletion["']?\s*=\s*(?P<value>\"{3}.*?\"{3}|'{3}.*?'{3}|"(?:\\.|[^"\\\n])*"|'[^'\n]*')""",
    re.DOTALL,
)


def public_text(text: str) -> str:
    """Return a study file with the value of `completion` under [recruit.link] left out.

    Whoever has that address can take the credit without taking part. Every other line stays as it
    is, comments too; a key that is written so that it is not found costs the whole of the file.
    """
    study = tomllib.loads(text)
    link = study.get("recruit", {}).get("link", {})
    if not link.get("completion"):
        return text
    link["completion"] = ""
    for found in _COMPLETION.finditer(text):
        public = text[: found.start("value")] + '""' + text[found.end("value") :]
        if _is(public, study):
            return public
    return ""


def _is(text: str, study: dict[str, object]) -> bool:
    try:
        return tomllib.loads(text) == study
    except tomllib.TOMLDecodeError:  # what was found was no key but part of a text
        return False
