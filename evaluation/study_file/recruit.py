"""Reads [recruit] of a study file, with what one kind of crowd alone needs."""

import re
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from evaluation.study import Link, Prolific, Recruit
from evaluation.study_file.tables import TomlFile, read_table

# What each site calls its participant, and what such an id looks like. Both give the address that
# people go back to: it is pasted into `completion`.
LINK_PRESETS: dict[str, dict[str, str]] = {
    "connect": {"participant": "participantId", "pattern": "[A-Za-z0-9]{1,64}"},
    "sona": {"participant": "survey_code", "pattern": "[1-9][0-9]{1,6}"},
}
_PLACEHOLDERS = ("{code}", "{participant}")


def read_recruit(file: TomlFile) -> Recruit:
    """Read and check [recruit] and its own tables."""
    raw = dict(file.table("recruit") or {})
    link = _link(file, raw.pop("link", {}))
    prolific = raw.pop("prolific", {})
    if not isinstance(prolific, dict):
        raise file.error("recruit", "prolific", "must be a table; write [recruit.prolific]")
    given = {"link": link, "prolific": read_table(file, "recruit.prolific", prolific, Prolific)}
    return read_table(file, "recruit", raw, Recruit, given=given)


def _link(file: TomlFile, raw: Any) -> Link:
    if not isinstance(raw, dict):
        raise file.error("recruit", "link", "must be a table; write [recruit.link]")
    known = LINK_PRESETS.get(str(raw.get("preset")), {})
    link = read_table(file, "recruit.link", known | raw, Link)
    try:
        re.compile(link.pattern)
    except re.error as error:
        raise file.error("recruit.link", "pattern", f"is no regular expression ({error})") from None
    _check_completion(file, link)
    if link.preset == "sona" and "XXXX" in link.completion:
        link = replace(link, completion=link.completion.replace("XXXX", "{participant}"))
    if link.preset == "sona" and "{participant}" not in link.completion:
        raise file.error(
            "recruit.link",
            "completion",
            "is what grants the credit on SONA: paste the study's client-side completion URL",
        )
    return link


def _check_completion(file: TomlFile, link: Link) -> None:
    """Refuse an address that no participant could go back to."""
    if not link.completion:
        return
    for found in re.findall(r"\{[^}]*\}", link.completion):
        if found not in _PLACEHOLDERS:
            raise file.error(
                "recruit.link", "completion",
                f"{found} is not known; known: {', '.join(_PLACEHOLDERS)}",
            )  # fmt: skip
    try:
        parts = urlsplit(link.completion)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or "{" in parts.netloc:
        raise file.error(
            "recruit.link", "completion", "must be a web address such as https://site.example/done"
        )
