"""What the crowds are like, and that each can do what is said of it."""

import pytest

from evaluation.crowd.base import BulkBonuses, Growing, TokenBonuses
from evaluation.crowd.link import LinkCrowd
from evaluation.crowd.mturk import MTurk
from evaluation.crowd.open import CROWDS
from evaluation.crowd.prolific import Prolific
from evaluation.crowd.terms import TERMS, Bonuses, Terms, terms_of

OWN = {
    Growing: lambda terms: terms.grows,
    TokenBonuses: lambda terms: terms.bonuses is Bonuses.BY_TOKEN,
    BulkBonuses: lambda terms: terms.bonuses is Bonuses.IN_BULK,
}


def test_every_crowd_but_local_raters_takes_hits():
    assert set(TERMS) - set(CROWDS) == {"local"}


@pytest.mark.parametrize("crowd", [MTurk, LinkCrowd, Prolific])
def test_a_crowd_can_do_what_its_terms_say_and_no_more(crowd):
    for protocol, said in OWN.items():
        methods = {name for name in vars(protocol) if not name.startswith("_")}

        assert methods
        assert (methods <= set(dir(crowd))) == said(crowd.terms)


def test_simulated_raters_have_the_terms_of_nobody():
    assert terms_of("simulated") == Terms()
