"""Scores of qualification tests, by worked examples."""

import pytest

from evaluation.sandbox.answer_keys import score
from evaluation.sandbox.errors import ApiError

QUESTION = """<Question><QuestionIdentifier>q</QuestionIdentifier>
<AnswerOption><SelectionIdentifier>a</SelectionIdentifier><SelectionIdentifier>b</SelectionIdentifier>
<AnswerScore>15</AnswerScore></AnswerOption>
<AnswerOption><SelectionIdentifier>a</SelectionIdentifier><AnswerScore>10</AnswerScore></AnswerOption>
<DefaultScore>5</DefaultScore></Question>"""


def key(mapping=""):
    inside = mapping and f"<QualificationValueMapping>{mapping}</QualificationValueMapping>"
    return f"<AnswerKey>{QUESTION}{inside}</AnswerKey>"


@pytest.mark.parametrize(
    ("chosen", "value"), [("ab", 15), ("a", 10), ("b", 5), ("abc", 5), ("", 5)]
)
def test_option_counts_when_exactly_its_selections_were_chosen(chosen, value):
    assert score(key(), {"q": frozenset(chosen)}) == value


@pytest.mark.parametrize(
    ("mapping", "value"),
    [
        ("<PercentageMapping><MaximumSummedScore>15</MaximumSummedScore></PercentageMapping>", 67),
        ("<ScaleMapping><SummedScoreMultiplier>3</SummedScoreMultiplier></ScaleMapping>", 30),
        ("<ScaleMapping><SummedScoreMultiplier>0.25</SummedScoreMultiplier></ScaleMapping>", 3),
        (
            "<RangeMapping><SummedScoreRange><InclusiveLowerBound>5</InclusiveLowerBound>"
            "<InclusiveUpperBound>10</InclusiveUpperBound><QualificationValue>1"
            "</QualificationValue></SummedScoreRange><SummedScoreRange><InclusiveLowerBound>11"
            "</InclusiveLowerBound><InclusiveUpperBound>15</InclusiveUpperBound>"
            "<QualificationValue>2</QualificationValue></SummedScoreRange>"
            "<OutOfRangeQualificationValue>0</OutOfRangeQualificationValue></RangeMapping>",
            1,
        ),
    ],
)
def test_sum_of_ten_is_mapped(mapping, value):
    assert score(key(mapping), {"q": frozenset("a")}) == value


@pytest.mark.parametrize(
    "document",
    [
        "<AnswerKey>",
        "<Other/>",
        key("<PercentageMapping/>"),
        key("<PercentageMapping><MaximumSummedScore>0</MaximumSummedScore></PercentageMapping>"),
        key("<ScaleMapping><SummedScoreMultiplier>inf</SummedScoreMultiplier></ScaleMapping>"),
        key("<MagicMapping/>"),
        '<!DOCTYPE a [<!ENTITY x "y">]><AnswerKey/>',
    ],
)
def test_key_that_cannot_score_is_refused(document):
    with pytest.raises(ApiError):
        score(document, {})
