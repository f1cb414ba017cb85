"""What a rating page needs to know of its study: texts, consent, survey, questions, size."""

from dataclasses import dataclass, replace
from typing import Any

from flask import request
from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session, joinedload

from evaluation import frozen, schema
from evaluation.languages import Wording, choose
from evaluation.study import Consent, Question, SurveyQuestion
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


@dataclass(frozen=True)
class RatingSettings:
    """What workers see of a study; never its name, its sources or its categories.

    Args:
        title: shown at the top.
        wording: every text of the page, in the page's language.
        questions: what the study asks of a pair, by name, in the page's language.
        consent: what is agreed to, in the page's language, or None.
        survey: questions after the last trial, in the page's language but for their choices.
        devices: of `desktop`, `tablet` and `phone`, those that may take part.
        allow_tie: whether "no difference" is an answer.
        layout: of one clip; all clips of a study have the same size.
        minutes: that a session is expected to take.
        trials: that a session has, practice and checks included.
    """

    title: str
    wording: Wording
    questions: dict[str, str]
    consent: Consent | None
    survey: tuple[SurveyQuestion, ...]
    devices: tuple[str, ...]
    allow_tie: bool
    layout: dict[str, Any]
    minutes: float
    trials: int


def current_study(session: Session) -> schema.Study:
    """Return the application's study as it is now, with its questions."""
    return session.scalars(_STUDY, {"name": services().study}).unique().one()


def page_wording(study: schema.Study, language: str | None = None) -> Wording:
    """Return the texts for whoever sent this request, or in a language that a page had before."""
    texts = frozen.text(study)
    asked = language if language is not None else request.args.get("lang", "")
    chosen = choose(texts, asked, list(request.accept_languages.values()))
    return Wording(chosen, texts.get(chosen, {}))


def consent_of(study: schema.Study, wording: Wording) -> Consent | None:
    """Return what is consented to, in the page's language; None where nothing is."""
    consent = frozen.consent(study)
    return consent and replace(consent, text=wording.own.get("consent", consent.text))


def _translated_question(question: schema.Question, wording: Wording) -> str:
    default = question.text == Question().text
    text = wording.say("trial.question") if default else question.text
    return wording.translated("questions", question.name, text)


def rating_settings(session: Session, study: schema.Study) -> RatingSettings:
    """Read a study's settings for the page of whoever sent this request."""
    wording = page_wording(study)
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
        survey=tuple(
            replace(question, text=wording.translated("survey", question.id, question.text))
            for question in frozen.survey(study)
        ),
        devices=frozen.workers(study).devices,
        allow_tie=frozen.design(study).allow_tie,
        layout=layout or {},
        minutes=frozen.pay(study).expected_minutes,
        trials=frozen.session(study).shown,
    )
