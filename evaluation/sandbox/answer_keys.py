"""AnswerKey: the score of a qualification test, and the qualification's value from it.

An option earns its score when exactly its selections were chosen. The value is the sum of the
scores, or what the key's mapping makes of it: a percentage of a maximum, a multiple, or the value
of the range the sum falls into.
"""

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from xml.etree import ElementTree

from evaluation.sandbox.errors import ApiError, invalid
from evaluation.sandbox.questions import child_text, local_name, parse_xml


def check_answer_key(document: str) -> None:
    """Check that a key can score, by scoring an empty test.

    Raises:
        ApiError: XMLParseError or InvalidParameterValue.
    """
    score(document, {})


def score(document: str, selections: Mapping[str, frozenset[str]]) -> int:
    """Return the qualification value that a worker's selections earn.

    Args:
        document: the AnswerKey XML.
        selections: the chosen selection identifiers by question identifier.

    Raises:
        ApiError: the key is not an AnswerKey, or one of its numbers is missing.
    """
    root = parse_xml(document, "AnswerKey")
    if local_name(root) != "AnswerKey":
        raise invalid("AnswerKey", f"must be an AnswerKey, not {local_name(root)}")
    total = Decimal(0)
    mapping: ElementTree.Element | None = None
    for child in root:
        if local_name(child) == "Question":
            total += _question_score(child, selections)
        elif local_name(child) == "QualificationValueMapping":
            mapping = next(iter(child), None)
    return _mapped(total, mapping)


def _question_score(
    question: ElementTree.Element, selections: Mapping[str, frozenset[str]]
) -> Decimal:
    """The score of one question: of the matching option, else the default, else 0."""
    chosen = selections.get(child_text(question, "QuestionIdentifier") or "", frozenset())
    matched: Decimal | None = None
    for option in question:
        if local_name(option) != "AnswerOption":
            continue
        wanted = {
            (child.text or "").strip()
            for child in option
            if local_name(child) == "SelectionIdentifier"
        }
        points = _number(option, "AnswerScore")
        if matched is None and wanted == chosen:
            matched = points
    if matched is not None:
        return matched
    return _number(question, "DefaultScore", Decimal(0))


def _mapped(total: Decimal, mapping: ElementTree.Element | None) -> int:
    """The qualification value of a summed score."""
    if mapping is None:
        return _whole(total)
    kind = local_name(mapping)
    if kind == "PercentageMapping":
        maximum = _number(mapping, "MaximumSummedScore")
        if maximum <= 0:
            raise invalid("AnswerKey", "MaximumSummedScore must be above 0")
        return _whole(100 * total / maximum)
    if kind == "ScaleMapping":
        return _whole(total * _number(mapping, "SummedScoreMultiplier"))
    if kind == "RangeMapping":
        return _in_range(total, mapping)
    raise invalid("AnswerKey", f"unknown mapping {kind}")


def _in_range(total: Decimal, mapping: ElementTree.Element) -> int:
    """The value of the range that holds the sum, or the one for outside."""
    found: int | None = None
    for part in mapping:
        if local_name(part) != "SummedScoreRange":
            continue
        low, high = _number(part, "InclusiveLowerBound"), _number(part, "InclusiveUpperBound")
        value = _whole(_number(part, "QualificationValue"))
        if found is None and low <= total <= high:
            found = value
    outside = _whole(_number(mapping, "OutOfRangeQualificationValue"))
    return outside if found is None else found


def _number(element: ElementTree.Element, name: str, default: Decimal | None = None) -> Decimal:
    """A number among an element's children."""
    text = child_text(element, name)
    if text is None and default is not None:
        return default
    try:
        number = Decimal(text or "")
    except InvalidOperation as error:
        raise _bad_number(element, name) from error
    if not number.is_finite():
        raise _bad_number(element, name)
    return number


def _bad_number(element: ElementTree.Element, name: str) -> ApiError:
    """A key whose number is missing or is none."""
    return invalid("AnswerKey", f"{local_name(element)} needs a number in {name}")


def _whole(number: Decimal) -> int:
    """Round halves up."""
    return int(number.quantize(Decimal(1), rounding=ROUND_HALF_UP))
