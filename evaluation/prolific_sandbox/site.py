"""The participants' site: sign in, find studies, take part, come back with a code, look back.

A cookie on this site remembers who is signed in, as Prolific's does: the address that a finished
study leads to has no name in it. Nobody proves who they are: it is a sandbox.
"""

import hashlib
import re
from typing import Any

from flask import Blueprint, Response, redirect, render_template, request, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response as BaseResponse

from evaluation.prolific_sandbox import submissions
from evaluation.prolific_sandbox.errors import ApiError
from evaluation.prolific_sandbox.state import current_sandbox
from evaluation.prolific_sandbox.store import (
    Participant,
    Study,
    StudyStatus,
    Submission,
    SubmissionStatus,
    Unit,
)
from evaluation.services.web import Refusal, protected

blueprint = Blueprint(
    "prolific_site",
    __name__,
    template_folder="templates",
    static_folder="static",
    static_url_path="/participant/static",
)

COOKIE = "participant"
_NAME = re.compile(r"[\w.-]{1,64}")
_CSP = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self' http: https:; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_WORKING = (SubmissionStatus.RESERVED, SubmissionStatus.ACTIVE)


@blueprint.after_request
def set_headers(response: Response) -> Response:
    """Forbid framing and scripts."""
    return protected(response, _CSP)


@blueprint.errorhandler(Refusal)
def refused(error: Refusal) -> tuple[str, int]:
    """Tell a participant why something cannot be."""
    return render_template("prolific_sandbox/refused.html", message=error.message), error.status


@blueprint.errorhandler(ApiError)
def unknown(error: ApiError) -> tuple[str, int]:
    """Tell that there is no such thing."""
    return refused(Refusal(f"{error.detail}.", error.status))


@blueprint.app_template_filter("minor_units")
def minor_units(cents: int) -> str:
    """Write an amount in whole units.

    >>> minor_units(1205)
    '12.05'
    """
    return f"{cents / 100:,.2f}"


def participant_id(name: str) -> str:
    """Return the id of a participant, always the same for a name.

    >>> len(participant_id("ann"))
    24
    """
    return hashlib.sha256(name.encode()).hexdigest()[:24]


def get_participant(unit: Unit, name: str) -> Participant:
    """Return the participant of a name, made on first sight.

    Raises:
        Refusal: not a name.
    """
    if not _NAME.fullmatch(name):
        raise Refusal("A name has 1 to 64 letters, digits, dots, dashes and underscores.", 400)
    found = unit.session.scalar(select(Participant).where(Participant.name == name))
    if found is None:
        found = Participant(name=name, external_id=participant_id(name))
        unit.session.add(found)
        unit.session.flush()
    return found


def _signed_in(unit: Unit) -> Participant:
    name = request.cookies.get(COOKIE, "")
    if not name:
        raise Refusal("Please sign in first.", 401)
    return get_participant(unit, name)


def _own(unit: Unit, external_id: str) -> Submission:
    submission = submissions.find(unit, external_id)
    if submission.participant_id != _signed_in(unit).id:
        raise Refusal("This submission belongs to somebody else.", 404)
    return submission


def _show(name: str, **values: Any) -> str:
    return render_template(f"prolific_sandbox/{name}.html", **values)


def _to_submission(submission: Submission) -> BaseResponse:
    return redirect(url_for("prolific_site.submission", submission_id=submission.external_id), 303)


@blueprint.get("/")
def home() -> str:
    """Ask who takes part; list the studies for those who have said."""
    with current_sandbox().begin() as unit:
        name = request.cookies.get(COOKIE)
        if not name:
            known = unit.session.scalars(select(Participant).order_by(Participant.id)).all()
            return _show("sign_in", known=known)
        who = get_participant(unit, name)
        open_ones = unit.session.scalars(select(Study).where(Study.status == StudyStatus.ACTIVE))
        offers = [(study, submissions.why_not(unit, who, study)) for study in open_ones]
        mine = _newest_first(unit, who)
        shown = {s.id: sum(b.cents for b in s.bonuses if b.shows_at <= unit.now) for s in mine}
        return _show(
            "studies",
            who=who,
            offers=offers,
            mine=mine,
            bonuses=shown,
            working=_WORKING,
            currency=unit.service.currency,
        )


@blueprint.post("/participant/sign-in")
def sign_in() -> BaseResponse:
    """Remember who takes part."""
    name = request.form.get("name", "").strip()
    with current_sandbox().begin() as unit:
        get_participant(unit, name)
    response = redirect(url_for("prolific_site.home"), 303)
    response.set_cookie(COOKIE, name, httponly=True, samesite="Lax")
    return response


@blueprint.post("/participant/sign-out")
def sign_out() -> BaseResponse:
    """Forget who takes part."""
    response = redirect(url_for("prolific_site.home"), 303)
    response.delete_cookie(COOKIE)
    return response


@blueprint.post("/participant/studies/<study_id>/take-part")
def take_part(study_id: str) -> BaseResponse:
    """Hold a place."""
    with current_sandbox().begin() as unit:
        who = _signed_in(unit)
        study = unit.session.scalar(select(Study).where(Study.external_id == study_id))
        if study is None:
            raise Refusal("There is no such study.", 404)
        return _to_submission(submissions.reserve(unit, who, study))


@blueprint.get("/participant/submissions/<submission_id>")
def submission(submission_id: str) -> str:
    """Show a submission that is being worked on: open the study, enter a code, return."""
    with current_sandbox().begin() as unit:
        found = _own(unit, submission_id)
        return _show(
            "submission",
            who=found.participant,
            submission=found,
            is_open=found.status in _WORKING,
            currency=unit.service.currency,
        )


@blueprint.post("/participant/submissions/<submission_id>/open")
def open_study(submission_id: str) -> BaseResponse:
    """Begin: go to the study's own page with the three ids."""
    with current_sandbox().begin() as unit:
        return redirect(submissions.start(unit, _own(unit, submission_id)), 303)


@blueprint.post("/participant/submissions/<submission_id>/code")
def enter_code(submission_id: str) -> BaseResponse:
    """Hand in under a typed code; empty is NOCODE."""
    with current_sandbox().begin() as unit:
        found = _own(unit, submission_id)
        submissions.hand_in(unit, found, request.form.get("code", "").strip())
        return _to_submission(found)


@blueprint.post("/participant/submissions/<submission_id>/return")
def give_back(submission_id: str) -> BaseResponse:
    """Return a submission."""
    with current_sandbox().begin() as unit:
        submissions.give_back(_own(unit, submission_id))
    return redirect(url_for("prolific_site.home"), 303)


@blueprint.get("/submissions/complete")
def complete() -> BaseResponse:
    """Hand in what the signed-in participant works on; a finished study leads here."""
    code = request.args.get("cc", "").strip()
    with current_sandbox().begin() as unit:
        who = _signed_in(unit)
        of_code = [s for s in _newest_first(unit, who) if code in _codes(s.study)]
        # Opened again, the address leads to what was handed in; Prolific says so too.
        found = next((s for s in of_code if s.status is SubmissionStatus.ACTIVE), None)
        if found is not None:
            submissions.hand_in(unit, found, code)
            return _to_submission(found)
        if of_code:
            return _to_submission(of_code[0])
        raise Refusal("You are in no study with this completion code.", 404)


def _newest_first(unit: Unit, who: Participant) -> list[Submission]:
    query = select(Submission).where(Submission.participant_id == who.id)
    return list(unit.session.scalars(query.order_by(Submission.id.desc())))


def _codes(study: Study) -> set[str]:
    return {str(code["code"]) for code in study.body["completion_codes"]}
