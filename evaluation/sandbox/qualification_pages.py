"""The worker site's pages for qualifications: ask for one, take its test."""

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from evaluation.sandbox import worker_qualifications as standing
from evaluation.sandbox.frames import submitted_answers
from evaluation.sandbox.question_form import read_form
from evaluation.sandbox.state import current_sandbox
from evaluation.sandbox.store import RequestStatus
from evaluation.sandbox.worker_site import set_headers
from evaluation.sandbox.workers import get_worker

blueprint = Blueprint("qualifications", __name__, url_prefix="/worker/<worker_id>/qualifications")
blueprint.after_request(set_headers)


def _list(worker_id: str) -> BaseResponse:
    """Back to the list."""
    return redirect(url_for("qualifications.show", worker_id=worker_id), 303)


@blueprint.get("")
def show(worker_id: str) -> str:
    """List what can be asked for and what the worker holds."""
    with current_sandbox().begin() as unit:
        worker = get_worker(unit, worker_id)
        return render_template(
            "sandbox/qualifications.html",
            worker=worker,
            page="qualifications",
            standings=standing.standings(unit, worker),
        )


@blueprint.post("/<type_id>/request")
def ask(worker_id: str, type_id: str) -> BaseResponse:
    """Ask for a qualification; a test begins at once."""
    with current_sandbox().begin() as unit:
        kind = standing.find_type(unit, type_id)
        asked = standing.ask(unit, get_worker(unit, worker_id), kind)
    if asked.status is RequestStatus.STARTED:
        return redirect(url_for("qualifications.test", worker_id=worker_id, type_id=type_id), 303)
    return _list(worker_id)


@blueprint.get("/<type_id>/test")
def test(worker_id: str, type_id: str) -> str:
    """Show the running test."""
    with current_sandbox().begin() as unit:
        worker, kind = get_worker(unit, worker_id), standing.find_type(unit, type_id)
        running = standing.open_test(unit, worker, kind)
        limit = running.test_duration_s or 0
        return render_template(
            "sandbox/test.html",
            worker=worker,
            page="qualifications",
            kind=kind,
            form=read_form(running.test or "", "Test"),
            seconds=limit - int((unit.now - running.started_at).total_seconds()),
        )


@blueprint.post("/<type_id>/test")
def submit(worker_id: str, type_id: str) -> BaseResponse:
    """Take the answers of the test."""
    with current_sandbox().begin() as unit:
        worker, kind = get_worker(unit, worker_id), standing.find_type(unit, type_id)
        running = standing.open_test(unit, worker, kind)
        standing.submit_test(unit, running, submitted_answers(request.form))
    return _list(worker_id)
