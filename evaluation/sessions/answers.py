"""What a rater answered, as the page sent it, and the checks that it must pass."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from evaluation import frozen
from evaluation.errors import UsageError
from evaluation.schema import Choice, Study

DETAIL_KEYS = frozenset(
    {
        "frames_drawn",  # on the canvases, or shown by the players, until the answer
        "loops",  # passes through both clips until the answer
        "largest_gap_ms",  # longest pause between two drawn frames
        "start_offset_ms",  # between the first frames of left and right; 0 on one clock
        "early_presses",  # answers tried before they were unlocked
        "replays",
        "hidden_ms",  # with the page hidden
        "blurs",  # times the page lost the focus
        "device_pixel_ratio",
        "viewport",  # [width, height], CSS pixels
        "displayed",  # [width, height] of one clip on screen, CSS pixels
        "input",  # "key", "click" or "touch"
        "client_time",  # the browser's clock at the answer, ms since 1970
        "reduced_motion",
        "stalls",  # times a player that ran had to wait for data
    }
)
_DETAILS_BYTES = 2000


@dataclass(frozen=True)
class Answer:
    """One answer as the page sent it.

    Args:
        question: the question's name.
        choice: `left`, `right`, or `tie` where the study allows it.
        rt_ms: response time from the first frame of both clips, at least 0.
        clip_ms: how long the clips ran, at least 0.
        at: when it arrived; aware.
        details: what else the page measured, of `DETAIL_KEYS`.
    """

    question: str
    choice: str
    rt_ms: float
    clip_ms: float
    at: datetime
    details: Mapping[str, Any] = field(default_factory=dict)


def check_answers(study: Study, answers: Sequence[Answer]) -> None:
    """Refuse answers that the study does not ask for.

    Raises:
        UsageError: no such question, a choice that is not offered, a time that is no number or
            negative, or unknown or too many details.
    """
    questions = [question.name for question in study.questions]
    tie = [Choice.TIE.value] if frozen.design(study).allow_tie else []
    choices = [Choice.LEFT.value, Choice.RIGHT.value, *tie]
    for answer in answers:
        _check(answer, questions, choices)


def _check(answer: Answer, questions: Sequence[str], choices: Sequence[str]) -> None:
    if answer.question not in questions:
        raise UsageError(
            f"no question {answer.question!r} in this study; it asks: {', '.join(questions)}"
        )
    if answer.choice not in choices:
        raise UsageError(f"choice {answer.choice!r} is not offered; choose {' or '.join(choices)}")
    for name, value in (("rt_ms", answer.rt_ms), ("clip_ms", answer.clip_ms)):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or value < 0:
            raise UsageError(f"{name} must be a number of milliseconds, at least 0, got {value!r}")
    if answer.details:
        _check_details(answer.details)


def _check_details(details: Mapping[str, Any]) -> None:
    if unknown := sorted(set(details) - DETAIL_KEYS):
        raise UsageError(f"details has the unknown key {unknown[0]!r}")
    try:
        text = json.dumps(dict(details), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UsageError(f"details is not plain JSON ({error})") from None
    if len(text) > _DETAILS_BYTES:
        raise UsageError(f"details has {len(text)} bytes of JSON; at most {_DETAILS_BYTES} fit")
