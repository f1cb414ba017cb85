"""What a rating page needs to know of its study: texts, consent, survey, questions, size."""

from dataclasses import dataclass, field
from typing import Any

from flask import request
from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session, joinedload

from evaluation import schema
from evaluation.languages import Texts, Wording, choose
from evaluation.study import Question
from webapp.services import services

# Made once: making a statement takes longer than sending it.
_STUDY = (
    select(schema.Study)
    .where(schema.Study.name == bindparam("name"))
    .options(joinedload(schema.Study.questions))
)
_LAYOUT = (
    select(schema.Stimulus.layout)
    .join(schema.Clip, schema.Clip.id == schema.Stimulus.clip_id)
    .where(schema.Clip.study_id == bindparam("study"))
    .limit(1)
)
_SHOWN = ("trials", "practice", "gold", "repeats", "identical")


@dataclass(frozen=True)
class RatingSettings:
    """What workers see of a study; never its name, its sources or its categories.

    Args:
        title: shown at the top.
        wording: every text of the page, in the page's language.
        questions: what the study asks of a pair, by name, in the page's language.
        consent: `text`, `version`, `irb_id` and `contact`, or None.
        survey: questions after the last trial, with the `labels` of their choices.
        devices: of `desktop`, `tablet` and `phone`, those that may take part.
        allow_tie: whether "no difference" is an answer.
        layout: of one clip; all clips of a study have the same size.
        minutes: that a session is expected to take.
        trials: that a session has, practice and checks included.
    """

    title: str
    wording: Wording
    questions: dict[str, str]
    consent: dict[str, Any] | None
    survey: list[dict[str, Any]]
    devices: list[str]
    allow_tie: bool
    layout: dict[str, Any] = field(default_factory=dict)
    minutes: float = 0
    trials: int = 0


def current_study(session: Session) -> schema.Study:
    """Return the application's study as it is now, with its questions."""
    return session.scalars(_STUDY, {"name": services().study}).unique().one()


def _table(study: schema.Study, name: str) -> Any:
    """Return a table of the study file, frozen in the design or kept beside it."""
    return study.design.get(name, study.settings.get(name))


def survey_questions(study: schema.Study) -> list[dict[str, Any]]:
    """Return the questions that a session ends with, as the study file has them."""
    return _table(study, "survey") or []


def shows_prompt(study: schema.Study) -> bool:
    """Tell whether the pair's prompt is shown."""
    return bool((_table(study, "design") or {}).get("show_prompt", False))


def page_wording(study: schema.Study, language: str | None = None) -> Wording:
    """Return the texts for whoever sent this request, or in a language that a page had before."""
    texts: Texts = _table(study, "text") or {}
    asked = language if language is not None else request.args.get("lang", "")
    chosen = choose(texts, asked, list(request.accept_languages.values()))
    return Wording(chosen, texts.get(chosen, {}))


def consent_of(study: schema.Study, wording: Wording) -> dict[str, Any] | None:
    """Return what is consented to, in the page's language; None where nothing is."""
    consent: dict[str, Any] | None = _table(study, "consent")
    return consent and {**consent, "text": wording.own.get("consent", consent["text"])}


def _translated_question(question: schema.Question, wording: Wording) -> str:
    default = question.text == Question().text
    text = wording.say("trial.question") if default else question.text
    return wording.translated("questions", question.name, text)


def _translated_survey(question: dict[str, Any], wording: Wording) -> dict[str, Any]:
    labels = {
        choice: wording.translated("choices", choice, choice)
        for choice in question.get("choices", ())
    }
    text = wording.translated("survey", question["id"], question["text"])
    return {**question, "text": text, "labels": labels}


def rating_settings(session: Session, study: schema.Study) -> RatingSettings:
    """Read a study's settings for the page of whoever sent this request.

    Args:
        session: of any unit.
        study: the study.
    """
    wording = page_wording(study)

    def table(name: str) -> Any:
        return _table(study, name)

    parts = table("session") or {}
    design = table("design") or {}
    layout = session.scalar(_LAYOUT, {"study": study.id})
    return RatingSettings(
        # A study without a title has its name there, which may name a model.
        title=wording.own.get("title")
        or (wording.say("page.untitled") if study.title == study.name else study.title),
        wording=wording,
        questions={
            question.name: _translated_question(question, wording) for question in study.questions
        },
        consent=consent_of(study, wording),
        survey=[_translated_survey(question, wording) for question in survey_questions(study)],
        devices=list((table("workers") or {}).get("devices", ["desktop"])),
        allow_tie=bool(design.get("allow_tie", False)),
        layout=layout or {},
        minutes=float((table("pay") or {}).get("expected_minutes", 0)),
        trials=sum(int(parts.get(kind, 0)) for kind in _SHOWN),
    )
