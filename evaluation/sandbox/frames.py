"""What is loaded inside a HIT's frame: HTML and form questions, and the submission.

Amazon took answers as a form POST only and let a GET hang; here it is refused with 400. Of the
query string of a POST only `assignmentId` is read, where jsPsych writes it. Whose browser posts is
not known: the assignment id counts, and a `workerId` field, if there is one, must match it.
"""

from flask import Blueprint, Response, render_template, request, url_for
from werkzeug.datastructures import MultiDict

from evaluation.sandbox import work
from evaluation.sandbox.question_form import Answer, read_form
from evaluation.sandbox.questions import read_question
from evaluation.sandbox.state import current_sandbox
from evaluation.services.web import Refusal

blueprint = Blueprint("frames", __name__)

SUBMIT_PATH = "/mturk/externalSubmit"

# What pages written for Amazon's site name in full; here they must come back to this service.
_AMAZON_SUBMIT = (
    "https://www.mturk.com/mturk/externalSubmit",
    "https://workersandbox.mturk.com/mturk/externalSubmit",
)
_AMAZON_SCRIPT = "https://s3.amazonaws.com/mturk-public/externalHIT_v1.js"


def submitted_answers(form: MultiDict[str, str]) -> list[Answer]:
    """Return a form's fields in their order; Amazon left out the assignment's id only."""
    return [(name, values) for name, values in form.lists() if name != "assignmentId"]


@blueprint.get("/worker/content/<hit_id>")
def content(hit_id: str) -> Response:
    """Show an HTML question as the requester wrote it, or a form question as a form."""
    with current_sandbox().begin() as unit:
        question = read_question(work.find_hit(unit, hit_id).question)
    submit_url = current_sandbox().site_url() + SUBMIT_PATH
    if question.kind == "HTMLQuestion":
        html = question.content
        for address in _AMAZON_SUBMIT:
            html = html.replace(address, submit_url)
        script = url_for("worker.static", filename="external_hit.js")
        html = html.replace(_AMAZON_SCRIPT, script)
        response = Response(html, content_type="text/html; charset=utf-8")
        # The requester's page must not act as this site: it runs as an origin of its own.
        policy = "sandbox allow-scripts allow-forms allow-popups allow-modals"
        response.headers["Content-Security-Policy"] = policy
        return response
    if question.kind != "QuestionForm":
        raise Refusal("This HIT is shown by its requester's own page.", 404)
    return Response(
        render_template(
            "sandbox/form.html",
            form=read_form(question.content, "Question"),
            action=submit_url,
            assignment_id=request.args.get("assignmentId", ""),
        )
    )


@blueprint.route(SUBMIT_PATH, methods=["GET", "POST"], strict_slashes=False)
def external_submit() -> tuple[str, int]:
    """Take a worker's answers."""
    if request.method != "POST":
        raise Refusal("Answers must be sent as a form POST.", 400)
    assignment_id = request.form.get("assignmentId") or request.args.get("assignmentId", "")
    if not assignment_id:
        raise Refusal("The form has no assignmentId.", 400)
    with current_sandbox().begin() as unit:
        assignment = work.find_accepted(unit, assignment_id)
        worker_id = assignment.worker.external_id
        if request.form.get("workerId", worker_id) != worker_id:
            raise Refusal("This assignment is another worker's.", 403)
        work.submit(unit, assignment, submitted_answers(request.form))
    return (
        render_template("sandbox/submitted.html", worker_id=worker_id, assignment_id=assignment_id),
        200,
    )
