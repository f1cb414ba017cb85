"""What each crowd is like: the facts by which a study is priced, published, reviewed and paid.

A new crowd is a file beside this one that follows the protocol in `base`, an entry here and one in
`open.CROWDS`, and a page in [webapp] that lets its people in.

Source:
    Prolific's help pages: at least 8 USD or 6 GBP an hour.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field


class Fee(enum.Enum):
    """How a crowd charges for rewards and bonuses; `evaluation.budget` says what that comes to."""

    NONE = enum.auto()
    AMAZON = enum.auto()  # a fifth; twice that from the tenth assignment of a HIT on
    THIRD = enum.auto()


class Bonuses(enum.Enum):
    """How a crowd pays bonuses."""

    BY_HAND = enum.auto()  # which is not by the crowd
    BY_TOKEN = enum.auto()  # see `base.TokenBonuses`
    IN_BULK = enum.auto()  # see `base.BulkBonuses`


@dataclass(frozen=True)
class Terms:
    """What a crowd is like; by default one where nothing is published and nobody is paid.

    Args:
        hourly_minimum: cents that an hour must pay, by currency that the crowd pays in; empty
            where it pays nobody.
        fee: on top of rewards and bonuses.
        bonuses: how they are paid.
        knows_tokens: a HIT created twice under one token is there once. Elsewhere `create` looks
            for it first, and only one run at a time may create it.
        grows: a study has one HIT, which is enlarged as the study goes on and is offered until it
            is paused; its free places stay paid for. See `base.Growing`.
        reopens: a place that a rejection sets free can be taken again.
        pays_late: whoever ran out of time may still be paid by hand.
        approves: what waits for review is approved by itself when the HIT's time for that is over.
        by_link: people come by a link of ours, whose places are counted here; no platform is
            called, and the site that sent them pays them. See `evaluation.links`.
    """

    hourly_minimum: Mapping[str, int] = field(default_factory=dict)
    fee: Fee = Fee.NONE
    bonuses: Bonuses = Bonuses.BY_HAND
    knows_tokens: bool = True
    grows: bool = False
    reopens: bool = False
    pays_late: bool = False
    approves: bool = False
    by_link: bool = False


TERMS = {
    "local": Terms(),
    "link": Terms(by_link=True),
    "mturk": Terms(
        hourly_minimum={"USD": 0}, fee=Fee.AMAZON, bonuses=Bonuses.BY_TOKEN, approves=True
    ),
    "prolific": Terms(
        hourly_minimum={"USD": 800, "GBP": 600},
        fee=Fee.THIRD,
        bonuses=Bonuses.IN_BULK,
        knows_tokens=False,
        grows=True,
        reopens=True,
        pays_late=True,
    ),
}


def terms_of(crowd: str) -> Terms:
    """Return what a crowd is like, by its name; one that nobody can choose is as by default."""
    return TERMS.get(crowd, Terms())
