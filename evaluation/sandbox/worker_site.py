"""The worker site: sign in, find HITs, preview, accept, work in the frame, return, look back.

The worker's id is part of the address, so there is no cookie and several workers fit into one
browser. Nobody proves who they are: it is a sandbox.
"""

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from flask import Blueprint, Response, current_app, redirect, render_template, request, url_for
from sqlalchemy import select
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.wrappers import Response as BaseResponse

from evaluation.sandbox import eligibility, history, work
from evaluation.sandbox.accounts import dollars
from evaluation.sandbox.questions import Question, read_question
from evaluation.sandbox.state import current_sandbox
from evaluation.sandbox.store import Assignment, AssignmentStatus, Hit, Unit, Worker
from evaluation.sandbox.workers import get_worker, set_known
from evaluation.services.web import Refusal, protected

blueprint = Blueprint(
    "worker",
    __name__,
    template_folder="templates",
    static_folder="static",
    static_url_path="/worker/static",
)
blueprint.add_app_template_filter(dollars, "dollars")

PREVIEW_ID = "ASSIGNMENT_ID_NOT_AVAILABLE"
_CSP = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
    "frame-src * data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_SIGNED_IN_SHOWN = 20


@blueprint.after_request
def set_headers(response: Response) -> Response:
    """Forbid framing and foreign scripts on the site's own pages."""
    return protected(response, _CSP)


@blueprint.app_errorhandler(Refusal)
def refused(error: Refusal) -> tuple[str, int]:
    """Tell a worker why something cannot be."""
    return render_template("sandbox/refused.html", message=error.message), error.status


@blueprint.app_errorhandler(RequestEntityTooLarge)
def too_large(_error: RequestEntityTooLarge) -> tuple[str, int]:
    """Tell a worker's page how much it may send."""
    config = current_app.config
    mib, fields = config["MAX_CONTENT_LENGTH"] // 2**20, config["MAX_FORM_PARTS"]
    return refused(Refusal(f"A form has at most {mib} MiB and {fields:,} fields.", 413))


@blueprint.app_template_filter("duration")
def duration(seconds: int) -> str:
    """Write a time span in its two largest units.

    >>> duration(30), duration(3600), duration(90061)
    ('30 s', '1 h', '1 d 1 h')
    """
    parts = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


def frame_url(url: str, **parameters: str) -> str:
    """Return an external question's URL with the ids that the worker site adds to it.

    >>> frame_url("https://a.org/x?b=1#c", hitId="3H")
    'https://a.org/x?b=1&hitId=3H#c'
    """
    parts = urlsplit(url)
    query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), *parameters.items()])
    return urlunsplit(parts._replace(query=query))


def _frame(unit: Unit, question: Question, hit: Hit, assignment: Assignment | None) -> str:
    """The address of the frame: the requester's page, or our page of an HTML or form question."""
    if assignment is None:
        ids = {"assignmentId": PREVIEW_ID, "hitId": hit.external_id}
    else:
        ids = {
            "assignmentId": assignment.external_id,
            "hitId": hit.external_id,
            "workerId": assignment.worker.external_id,
            "turkSubmitTo": current_sandbox().site_url() + "/" * unit.service.submit_to_slash,
        }
    if question.kind == "ExternalQuestion":
        return frame_url(question.content, **ids)
    return frame_url(url_for("frames.content", hit_id=hit.external_id), **ids)


def _task(
    unit: Unit, worker: Worker, hit: Hit, assignment: Assignment | None = None, **values: Any
) -> str:
    """Render the page around a task."""
    question = read_question(hit.question)
    return _page(
        "task",
        worker,
        hit=hit,
        assignment=assignment,
        frame=_frame(unit, question, hit, assignment),
        height=question.frame_height,
        **values,
    )


@blueprint.get("/")
def home() -> str:
    """Ask who is working; name those who were here."""
    with current_sandbox().begin() as unit:
        known = unit.session.scalars(
            select(Worker).order_by(Worker.id.desc()).limit(_SIGNED_IN_SHOWN)
        ).all()
        return render_template("sandbox/sign_in.html", known=known, now=unit.now)


@blueprint.post("/worker/sign-in")
def sign_in() -> BaseResponse:
    """Make the worker if they are new and show them the HITs."""
    worker_id = request.form.get("worker_id", "").strip().upper()
    with current_sandbox().begin() as unit:
        get_worker(unit, worker_id)
    return redirect(url_for("worker.list_hits", worker_id=worker_id), 303)


@blueprint.get("/worker/<worker_id>/hits")
def list_hits(worker_id: str) -> str:
    """List the HITs on offer, with pay, time, qualifications and why one is not eligible."""
    with current_sandbox().begin() as unit:
        worker = get_worker(unit, worker_id)
        return _page(
            "hits",
            worker,
            offers=work.offers(unit, worker),
            working=history.assignments(unit, worker, accepted=True),
            submitted=request.args.get("submitted", ""),
            now=unit.now,
        )


@blueprint.get("/worker/<worker_id>/hits/<hit_id>")
def preview(worker_id: str, hit_id: str) -> str | BaseResponse:
    """Show the task before it is accepted."""
    with current_sandbox().begin() as unit:
        worker, hit = get_worker(unit, worker_id), work.find_hit(unit, hit_id)
        held = work.held(unit, worker, hit)
        if held is not None and held.status is AssignmentStatus.ACCEPTED:
            return _to_assignment(worker_id, held)
        offer = work.offer_of(unit, worker, hit)
        if not offer.can_preview:
            raise Refusal("You do not have the qualifications to preview this HIT.", 403)
        return _task(unit, worker, hit, offer=offer, done=held is not None)


@blueprint.post("/worker/<worker_id>/hits/<hit_id>/accept")
def accept(worker_id: str, hit_id: str) -> BaseResponse:
    """Take the task."""
    with current_sandbox().begin() as unit:
        assignment = work.accept(unit, get_worker(unit, worker_id), work.find_hit(unit, hit_id))
    return _to_assignment(worker_id, assignment)


@blueprint.get("/worker/<worker_id>/assignments/<assignment_id>")
def assignment_page(worker_id: str, assignment_id: str) -> str:
    """Show the task that the worker accepted."""
    with current_sandbox().begin() as unit:
        worker = get_worker(unit, worker_id)
        assignment = _own(work.find_accepted(unit, assignment_id), worker)
        seconds = int((assignment.deadline - unit.now).total_seconds())
        return _task(unit, worker, assignment.hit, assignment, seconds=seconds)


@blueprint.post("/worker/<worker_id>/assignments/<assignment_id>/return")
def give_back(worker_id: str, assignment_id: str) -> BaseResponse:
    """Return the task."""
    with current_sandbox().begin() as unit:
        worker = get_worker(unit, worker_id)
        work.give_back(unit, _own(work.find_accepted(unit, assignment_id), worker))
    return redirect(url_for("worker.list_hits", worker_id=worker_id), 303)


@blueprint.get("/worker/<worker_id>/history")
def show_history(worker_id: str) -> str:
    """List what the worker did, how it was judged, and what they have earned."""
    with current_sandbox().begin() as unit:
        worker = get_worker(unit, worker_id)
        return _page(
            "history",
            worker,
            assignments=history.assignments(unit, worker, accepted=False),
            bonuses=history.bonuses(unit, worker),
            earnings=history.earnings(unit, worker),
        )


@blueprint.get("/worker/<worker_id>/messages")
def show_messages(worker_id: str) -> str:
    """List what requesters wrote to the worker."""
    with current_sandbox().begin() as unit:
        worker = get_worker(unit, worker_id)
        return _page("messages", worker, messages=history.messages(unit, worker))


@blueprint.get("/worker/<worker_id>/profile")
def profile(worker_id: str) -> str:
    """Show what the platform knows of the worker."""
    with current_sandbox().begin() as unit:
        worker = get_worker(unit, worker_id)
        approved, rejected = eligibility.approvals(unit, worker)
        return _page(
            "profile",
            worker,
            approved=approved,
            rejected=rejected,
            percent=eligibility.percent_approved(approved, rejected),
        )


@blueprint.post("/worker/<worker_id>/profile")
def save_profile(worker_id: str) -> BaseResponse:
    """Change what the platform knows of the worker."""
    texts = ("country", "subdivision", "approved_before", "rejected_before")
    known: dict[str, Any] = {name: request.form.get(name, "") for name in texts}
    known |= {name: name in request.form for name in ("adult", "masters")}
    with current_sandbox().begin() as unit:
        set_known(get_worker(unit, worker_id), known)
    return redirect(url_for("worker.profile", worker_id=worker_id), 303)


def _own(assignment: Assignment, worker: Worker) -> Assignment:
    """The assignment, if it is the worker's."""
    if assignment.worker_id != worker.id:
        raise Refusal("This assignment belongs to another worker.", 404)
    return assignment


def _to_assignment(worker_id: str, assignment: Assignment) -> BaseResponse:
    """Go to the page of an accepted assignment."""
    return redirect(
        url_for(
            "worker.assignment_page", worker_id=worker_id, assignment_id=assignment.external_id
        ),
        303,
    )


def _page(name: str, worker: Worker, **values: Any) -> str:
    """Render a page of a signed-in worker."""
    return render_template(f"sandbox/{name}.html", worker=worker, page=name, **values)
