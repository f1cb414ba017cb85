"""An exclusion rule needs a design by which the analysis can judge workers."""

import re

import pytest

from analysis.exclusions import RULES
from evaluation.errors import UsageError
from evaluation.exclusion_rules import THRESHOLDS, chance_of_sides
from evaluation.planning.exclusions import LEAST_SIDES, check_exclusions
from evaluation.study import Analysis, Session, Workers
from freezing import study_of

GENERATED = ("a", "b", "all")
REAL = ("a", "real", "all")
OTHER = ("b", "real", "all")


def check(rule, *rows, sessions=1, **session):
    study = study_of(
        "lab",
        *rows or (REAL, OTHER),
        session=Session(**session),
        workers=Workers(sessions_per_worker=sessions),
        analysis=Analysis(exclude=(rule,)),
    )
    return check_exclusions(study)


@pytest.mark.parametrize(
    ("rule", "rows", "session", "message"),
    [
        ("gold", (), {"gold": 0}, r"from 1 gold trials on, .* at most 0, .*raise \[session\] gold"),
        ("repeats", (), {"repeats": 0}, r"from 4 repeats on, .* at most 0, so nobody"),
        ("repeats", (), {"repeats": 3}, r"from 4 repeats on, .* at most 3, so nobody"),
        ("side-bias", (), {"trials": 9}, r"from 11 answers on, .* at most 10, .* raise .* trials"),
        ("paper", (GENERATED,), {}, r"10 trials .* `real` on other rows on, .* at most 0"),
        ("paper", (REAL,), {}, r"10 trials .* `real` on other rows on, .* at most 0"),
        ("paper", (), {"trials": 9}, r"`real` on other rows on, .* at most 9"),
        ("paper-as-published", (GENERATED,), {}, r"`real` on, .* at most 0"),
    ],
)
def test_rule_that_could_judge_nobody_is_refused(rule, rows, session, message):
    with pytest.raises(UsageError, match=rf"\[analysis\] exclude: {rule} judges .*{message}"):
        check(rule, *rows, **session)


@pytest.mark.parametrize(
    ("rule", "rows", "session", "message"),
    [
        ("gold", (), {"gold": 4}, "a single slip: 80% must be right, of 4 gold trials"),
        ("paper", (), {"trials": 18}, "from 10 trials .* and one has about 9: many cannot"),
        ("paper-as-published", (GENERATED, REAL), {"trials": 16}, "and one has about 8"),
        ("too-fast", (), {}, "leaves out nobody who rates on the pages of this version"),
    ],
)
def test_rule_that_the_design_makes_weak_is_a_warning(rule, rows, session, message):
    (warning,) = check(rule, *rows, **session)

    assert re.search(message, warning), warning


@pytest.mark.parametrize(
    ("rule", "session"),
    [
        ("gold", {"gold": 5}),
        ("repeats", {"repeats": 4}),
        ("repeats", {"repeats": 1, "sessions": 4}),
        ("side-bias", {"trials": 10}),
        ("paper", {"trials": 20}),
        ("paper-as-published", {"trials": 10}),
    ],
)
def test_rule_that_has_what_it_needs_is_silent(rule, session):
    assert check(rule, **session) == ()


def test_every_rule_is_looked_at():
    for rule in RULES:
        check(rule, gold=5, repeats=4)


def test_sides_are_judged_from_the_first_number_that_can_stand_out():
    for n, stands_out in ((LEAST_SIDES - 1, False), (LEAST_SIDES, True)):
        assert (chance_of_sides(n, n, n) < THRESHOLDS["side-bias"]) is stands_out
