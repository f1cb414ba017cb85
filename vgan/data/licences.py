"""The licences under which Flickr's members share their videos, by one name each.

A name is a family and, where the licence has one, a version: `cc-by-nc-2.0`.
"""

import re
from collections.abc import Iterable

from vgan.errors import UsageError

# Numbers as flickr.photos.licenses.getInfo lists them; 11 to 16 were added in 2025.
_BY_NUMBER = dict(
    enumerate(
        (
            "all-rights-reserved",
            "cc-by-nc-sa-2.0",
            "cc-by-nc-2.0",
            "cc-by-nc-nd-2.0",
            "cc-by-2.0",
            "cc-by-sa-2.0",
            "cc-by-nd-2.0",
            "no-known-copyright-restrictions",
            "united-states-government-work",
            "cc0-1.0",
            "public-domain-mark-1.0",
            "cc-by-4.0",
            "cc-by-sa-4.0",
            "cc-by-nd-4.0",
            "cc-by-nc-4.0",
            "cc-by-nc-sa-4.0",
            "cc-by-nc-nd-4.0",
        )
    )
)
_UNKNOWN = "unknown"
_VERSION = re.compile(r"-\d+\.\d+$")
_SHARED = re.compile(r"creativecommons\.org/licenses/(?P<terms>[a-z-]+)/(?P<version>\d\.\d)")
_FREED = re.compile(r"creativecommons\.org/publicdomain/(?P<tool>zero|mark)/(?P<version>\d\.\d)")


def licence_name(number: int) -> str:
    """Return the name of Flickr's licence of that number; `flickr-17` for one not known here."""
    return _BY_NUMBER.get(number, f"flickr-{number}")


def licence_of_url(url: str) -> str:
    """Return the name of a Creative Commons licence by its address; `unknown` for any other."""
    shared, freed = _SHARED.search(url), _FREED.search(url)
    if shared is not None:
        return f"cc-{shared['terms']}-{shared['version']}"
    if freed is not None:
        family = "cc0" if freed["tool"] == "zero" else "public-domain-mark"
        return f"{family}-{freed['version']}"
    return _UNKNOWN


def parse_licences(text: str) -> frozenset[str]:
    """Read `cc-by,cc0,4`: names, families (any version), or Flickr's numbers.

    Raises:
        UsageError: one is not known; the message lists those that are.
    """
    found: set[str] = set()
    for item in filter(None, (part.strip().lower() for part in text.split(","))):
        matching = {
            name
            for number, name in _BY_NUMBER.items()
            if item in (name, _VERSION.sub("", name), str(number))
        }
        if not matching:
            families = dict.fromkeys(_VERSION.sub("", name) for name in _BY_NUMBER.values())
            raise UsageError(f"no licence {item!r}; there are {', '.join(families)}")
        found |= matching
    if not found:
        raise UsageError("no licence is named; leave the option out to take them all")
    return frozenset(found)


def licence_numbers(names: Iterable[str]) -> list[int]:
    """Return Flickr's numbers of licences, in order."""
    wanted = set(names)
    return [number for number, name in _BY_NUMBER.items() if name in wanted]
