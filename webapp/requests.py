"""What the page sends, checked: everything in it is untrusted."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import request

from evaluation.errors import EvaluationError
from evaluation.exporting.reported import LARGEST
from evaluation.schema import Choice
from evaluation.sessions.answers import Answer
from evaluation.study import DEVICES, SurveyQuestion

_MAX_DETAILS = 16_000  # characters of JSON
_MAX_MS = 7 * 24 * 3600 * 1000.0
_MAX_ANSWER = 5000
_MAX_POSITION = 100_000


@dataclass(frozen=True)
class Started:
    """A rater pressed Start."""

    ticket: str
    consent: str | None
    language: str
    device: dict[str, Any]


def read_body() -> dict[str, Any]:
    """Return the JSON object that the request brings.

    Raises:
        EvaluationError: it brings none, or one nested too deeply to read.
    """
    try:
        body = request.get_json(silent=True)
    except RecursionError:
        raise EvaluationError("the request is nested too deeply") from None
    if not isinstance(body, dict):
        raise EvaluationError("the request is not a JSON object")
    return body


def text_field(body: dict[str, Any], key: str, longest: int) -> str:
    """Return a text.

    Raises:
        EvaluationError: it is missing, of another type or too long.
    """
    value = body.get(key)
    if not isinstance(value, str) or len(value) > longest or not _storable(value):
        raise EvaluationError(f"{key}: must be a text of at most {longest} characters")
    return value


def _storable(text: str) -> bool:
    """Tell whether both databases can hold a text: PostgreSQL takes no NUL, UTF-8 no half pair."""
    return "\x00" not in text and not any("\ud800" <= c <= "\udfff" for c in text)


def _milliseconds(body: dict[str, Any], key: str) -> float:
    value = body.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise EvaluationError(f"{key}: must be a number of milliseconds")
    if not 0 <= value <= _MAX_MS:  # nor is NaN
        raise EvaluationError(f"{key}: must be from 0 to {_MAX_MS:g}")
    return float(value)


def _measurements(body: dict[str, Any], key: str) -> dict[str, Any]:
    value = body.get(key, {})
    try:
        plain = json.dumps(value, ensure_ascii=False, allow_nan=False)
        json.loads(plain, parse_int=_whole)
    except ValueError:  # NaN and infinity are no JSON, though Python reads them
        raise EvaluationError(f"{key}: a number in it is not finite, or too large") from None
    except RecursionError:
        raise EvaluationError(f"{key}: it is nested too deeply") from None
    is_plain = _storable(plain) and "\\u0000" not in plain
    if not isinstance(value, dict) or len(plain) > _MAX_DETAILS or not is_plain:
        raise EvaluationError(f"{key}: must be an object of at most {_MAX_DETAILS} characters")
    return value


def _whole(text: str) -> int:
    """Read a whole number, wherever it stands. Raises ValueError where no page can measure it."""
    number = int(text)
    if abs(number) > LARGEST:
        raise ValueError(text)
    return number


def _device(body: dict[str, Any]) -> dict[str, Any]:
    measured = _measurements(body, "device")
    if measured.get("device", DEVICES[0]) not in DEVICES:
        raise EvaluationError(f"device: device must be one of {', '.join(DEVICES)}")
    return measured


def read_started(body: dict[str, Any]) -> Started:
    """Check the body of a start. Raises EvaluationError."""
    consent = body.get("consent")
    return Started(
        ticket=text_field(body, "ticket", 2000),
        consent=None if consent is None else text_field(body, "consent", 64),
        language=text_field(body, "language", 35) if "language" in body else "",
        device=_device(body),
    )


def read_judgment(body: dict[str, Any], at: datetime) -> tuple[int, Answer]:
    """Check the body of a judgment; return its position and the answer. Raises EvaluationError."""
    position = body.get("position")
    if type(position) is not int or not 0 <= position <= _MAX_POSITION:
        raise EvaluationError("position: must be a whole number")
    try:
        choice = Choice(text_field(body, "choice", 8))
    except ValueError:
        raise EvaluationError("choice: must be left, right or tie") from None
    return position, Answer(
        question=text_field(body, "question", 64),
        choice=choice,
        rt_ms=_milliseconds(body, "rt_ms"),
        clip_ms=_milliseconds(body, "clip_ms"),
        at=at,
        details=_measurements(body, "details"),
    )


def read_survey(body: dict[str, Any], survey: Sequence[SurveyQuestion]) -> dict[str, Any]:
    """Return the answers to a study's survey by question id; what was not answered is absent.

    Raises:
        EvaluationError: a required answer is missing, or a choice is not among the given ones.
    """
    given = body.get("survey", {})
    if not isinstance(given, dict):
        raise EvaluationError("survey: must be an object")
    answers = {}
    for question in survey:
        key = question.id
        answer = text_field(given, key, _MAX_ANSWER).strip() if given.get(key) else ""
        if not answer and question.required:
            raise EvaluationError(f"survey: {key} needs an answer")
        if answer and question.choices and answer not in question.choices:
            raise EvaluationError(f"survey: {key} has no such choice")
        if answer:
            answers[key] = answer
    return answers
