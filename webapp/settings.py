"""What a rating page needs to know of its study: texts, consent, survey, questions, size."""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from evaluation import schema

_SHOWN = ("trials", "practice", "gold", "repeats", "identical")
UNTITLED = "Comparing pairs of clips"


@dataclass(frozen=True)
class RatingSettings:
    """What workers see of a study; never its name, its sources or its categories.

    Args:
        title: shown at the top.
        language: of the texts, as a language code.
        text: the study's own `instructions` and `thanks`, where it has them.
        consent: `text`, `version`, `irb_id` and `contact`, or None.
        survey: questions after the last trial.
        devices: of `desktop`, `tablet` and `phone`, those that may take part.
        allow_tie: whether "no difference" is an answer.
        show_prompt: whether the pair's prompt is shown.
        layout: of one clip; all clips of a study have the same size.
        minutes: that a session is expected to take.
        trials: that a session has, practice and checks included.
    """

    title: str
    language: str
    text: dict[str, str]
    consent: dict[str, Any] | None
    survey: list[dict[str, Any]]
    devices: list[str]
    allow_tie: bool
    show_prompt: bool
    layout: dict[str, Any] = field(default_factory=dict)
    minutes: float = 0
    trials: int = 0


def rating_settings(session: Session, study: schema.Study) -> RatingSettings:
    """Read a study's settings for its page."""

    def table(name: str) -> Any:
        """Return a table of the study file, frozen in the design or kept beside it."""
        return study.design.get(name, study.settings.get(name))

    texts: dict[str, dict[str, str]] = table("text") or {}
    language = next(iter(texts), "en")
    parts = table("session") or {}
    design = table("design") or {}
    layout = session.scalar(
        select(schema.Stimulus.layout)
        .join(schema.Stimulus.clip)
        .where(schema.Clip.study_id == study.id)
        .limit(1)
    )
    return RatingSettings(
        # A study without a title has its name there, which may name a model.
        title=UNTITLED if study.title == study.name else study.title,
        language=language,
        text=texts.get(language, {}),
        consent=table("consent"),
        survey=list(table("survey") or []),
        devices=list((table("workers") or {}).get("devices", ["desktop"])),
        allow_tie=bool(design.get("allow_tie", False)),
        show_prompt=bool(design.get("show_prompt", False)),
        layout=layout or {},
        minutes=float((table("pay") or {}).get("expected_minutes", 0)),
        trials=sum(int(parts.get(kind, 0)) for kind in _SHOWN),
    )
