"""QuestionForm: Amazon's own questions, read for the worker site; answers written as XML.

Free text and selections are asked; formatted content is shown as its plain text.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree

from evaluation.sandbox.errors import invalid
from evaluation.sandbox.questions import (
    NO_FILE_UPLOAD,
    Question,
    child_text,
    local_name,
    parse_xml,
    read_question,
)
from evaluation.services.web import Refusal, is_count

ANSWERS_SCHEMA = (
    "http://mechanicalturk.amazonaws.com/AWSMechanicalTurkDataSchemas/"
    "2005-10-01/QuestionFormAnswers.xsd"
)

# What XML 1.0 cannot hold; a browser can send it.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Block:
    """A piece of shown content; a list has one line per item."""

    kind: Literal["title", "text", "list"]
    lines: tuple[str, ...]


@dataclass(frozen=True)
class FormQuestion:
    """One question. Without `choices` it takes free text of about `n_lines` lines."""

    identifier: str
    required: bool
    blocks: tuple[Block, ...]
    choices: tuple[tuple[str, str], ...]
    min_choices: int
    max_choices: int
    n_lines: int
    default: str


@dataclass(frozen=True)
class Form:
    """A QuestionForm: what stands above the questions, and the questions."""

    overview: tuple[Block, ...]
    questions: tuple[FormQuestion, ...]


Answer = tuple[str, Sequence[str]]
"""A question's identifier and the submitted values."""


def check_question(document: str) -> Question:
    """Parse a HIT's question of any kind, a QuestionForm down to its questions.

    Raises:
        ApiError: it cannot be shown to a worker.
    """
    question = read_question(document)
    if question.kind == "QuestionForm":
        read_form(document, "Question")
    return question


def read_form(document: str, parameter: str) -> Form:
    """Parse a QuestionForm.

    Raises:
        ApiError: not a QuestionForm, no question, or a question that cannot be asked here.
    """
    root = parse_xml(document, parameter)
    if local_name(root) != "QuestionForm":
        raise invalid(parameter, f"must be a QuestionForm, not {local_name(root)}")
    overview: list[Block] = []
    questions: list[FormQuestion] = []
    for child in root:
        if local_name(child) == "Overview":
            overview.extend(_blocks(child))
        elif local_name(child) == "Question":
            questions.append(_question(child, parameter))
    names = [question.identifier for question in questions]
    if not names or len(set(names)) < len(names):
        raise invalid(parameter, "a QuestionForm needs questions with different identifiers")
    return Form(tuple(overview), tuple(questions))


def _question(element: ElementTree.Element, parameter: str) -> FormQuestion:
    """One `Question` element."""
    parts = {local_name(child): child for child in element}
    identifier = child_text(element, "QuestionIdentifier")
    specification = parts.get("AnswerSpecification")
    answer = next(iter(specification), None) if specification is not None else None
    if not identifier or answer is None:
        raise invalid(parameter, "a Question needs QuestionIdentifier and AnswerSpecification")
    kind = local_name(answer)
    if kind == "FileUploadAnswer":
        raise invalid(parameter, NO_FILE_UPLOAD)
    if kind not in {"FreeTextAnswer", "SelectionAnswer"}:
        raise invalid(parameter, f"unknown answer specification {kind}")
    choices = tuple(_choices(answer))
    if kind == "SelectionAnswer" and not choices:
        raise invalid(parameter, f"{identifier} has no selections")
    content = parts.get("QuestionContent")
    return FormQuestion(
        identifier=identifier,
        required=child_text(element, "IsRequired") == "true",
        blocks=tuple(_blocks(content)) if content is not None else (),
        choices=choices,
        min_choices=_count(answer, "MinSelectionCount", 1),
        max_choices=_count(answer, "MaxSelectionCount", 1),
        n_lines=_count(answer, "NumberOfLinesSuggestion", 1),
        default=child_text(answer, "DefaultText") or "",
    )


def _count(element: ElementTree.Element, name: str, default: int) -> int:
    """A whole number among an element's children."""
    text = child_text(element, name)
    return int(text) if text and is_count(text) else default


def _choices(answer: ElementTree.Element) -> Iterable[tuple[str, str]]:
    """The identifier and label of each selection."""
    for selection in answer.iter():
        if local_name(selection) == "Selection":
            identifier = child_text(selection, "SelectionIdentifier") or ""
            shown = [child for child in selection if local_name(child) != "SelectionIdentifier"]
            yield identifier, " ".join(_plain(child) for child in shown) or identifier


def _blocks(content: ElementTree.Element) -> Iterable[Block]:
    """The content that is shown; pictures and applications are named, not shown."""
    for child in content:
        kind = local_name(child)
        if kind == "Title":
            yield Block("title", (_plain(child),))
        elif kind == "List":
            yield Block("list", tuple(_plain(item) for item in child))
        elif kind in {"Text", "FormattedContent"}:
            yield Block("text", (_plain(child),))
        else:
            yield Block("text", (f"[{kind} is not shown by this site]",))


def _plain(element: ElementTree.Element) -> str:
    """An element's text without markup; FormattedContent holds XHTML as text."""
    text = "".join(element.itertext())
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", text)).strip()


def check_answers(form: Form, answers: Iterable[Answer]) -> list[Answer]:
    """Return the answers to a form's questions, in its order.

    Raises:
        Refusal: a required one is missing, or a selection is unknown, too few or too many.
    """
    given = {name: [value for value in values if value] for name, values in answers}
    checked: list[Answer] = []
    for question in form.questions:
        values = given.get(question.identifier, [])
        if question.required and not values:
            raise Refusal(f"Question “{question.identifier}” needs an answer.", 400)
        if question.choices:
            known = {identifier for identifier, _ in question.choices}
            if set(values) - known or len(values) > question.max_choices:
                raise Refusal(f"The answer to “{question.identifier}” is not a choice.", 400)
            if values and len(values) < question.min_choices:
                raise Refusal(f"“{question.identifier}” needs more selections.", 400)
        checked.append((question.identifier, values))
    return checked


def answers_xml(answers: Iterable[Answer], form: Form | None = None) -> str:
    """Write answers as a QuestionFormAnswers document.

    Args:
        answers: of an external or HTML question every field is free text, several values of one
            field joined by `|`.
        form: the QuestionForm they belong to; its selections are written as such.
    """
    selections = {q.identifier for q in form.questions if q.choices} if form else set()
    root = ElementTree.Element("QuestionFormAnswers", xmlns=ANSWERS_SCHEMA)
    for name, values in answers:
        answer = ElementTree.SubElement(root, "Answer")
        ElementTree.SubElement(answer, "QuestionIdentifier").text = _NOT_XML.sub("\ufffd", name)
        if name in selections:
            for value in values:
                ElementTree.SubElement(answer, "SelectionIdentifier").text = value
        else:
            text = ElementTree.SubElement(answer, "FreeText")
            text.text = _NOT_XML.sub("\ufffd", "|".join(values))
    body = ElementTree.tostring(root, encoding="unicode", short_empty_elements=False)
    return f'<?xml version="1.0" encoding="UTF-8" standalone="no"?>\n{body}'
