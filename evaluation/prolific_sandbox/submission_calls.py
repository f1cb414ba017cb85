"""The API's calls about submissions and bonuses."""

from flask import Response, request
from sqlalchemy import select

from evaluation.prolific_sandbox import money, studies, submissions
from evaluation.prolific_sandbox.api import blueprint, field, json_body, page_of, reply
from evaluation.prolific_sandbox.errors import ApiError, missing
from evaluation.prolific_sandbox.state import current_sandbox
from evaluation.prolific_sandbox.store import BonusSetUp, Submission, SubmissionStatus


@blueprint.get("/studies/<study>/submissions/counts/")
def count_submissions(study: str) -> Response:
    """Count a study's submissions by state."""
    with current_sandbox().begin() as unit:
        states = [s.status for s in studies.find(unit, study).submissions]
        # The reference lets every number be null.
        counts = {str(state): states.count(state) or None for state in SubmissionStatus}
        return reply({**counts, "TOTAL": len(states)})


@blueprint.get("/submissions/")
@blueprint.get("/studies/<study>/submissions/")
def list_submissions(study: str | None = None) -> Response:
    """List a study's submissions, in order of their start."""
    wanted = study or request.args.get("study")
    if not wanted:
        raise ApiError({"study": ["This field is required."]})
    status = request.args.get("status", "").replace("_", " ")
    with current_sandbox().begin() as unit:
        query = select(Submission).where(Submission.study_id == studies.find(unit, wanted).id)
        rows = unit.session.scalars(query.order_by(Submission.id)).all()
        return page_of([s for s in rows if status in ("", s.status)], submissions.row)


@blueprint.get("/submissions/<submission>/")
def get_submission(submission: str) -> Response:
    """Show a submission."""
    with current_sandbox().begin() as unit:
        return reply(submissions.detail(unit, submissions.find(unit, submission)))


@blueprint.post("/submissions/<submission>/transition/")
def judge(submission: str) -> Response:
    """Approve or reject a submission."""
    body = json_body()
    with current_sandbox().begin() as unit:
        found = submissions.find(unit, submission)
        submissions.transition(unit, found, body)
        return reply(submissions.detail(unit, found))


@blueprint.post("/submissions/bulk-approve/")
def approve_many() -> Response:
    """Approve many submissions."""
    ids = field(json_body(), "submission_ids", list)
    with current_sandbox().begin() as unit:
        for one in ids:
            submissions.transition(unit, submissions.find(unit, str(one)), {"action": "APPROVE"})
        return reply("The request to bulk approve has been made successfully.")


@blueprint.post("/submissions/bonus-payments/")
def set_up_bonuses() -> Response:
    """Prepare bonuses."""
    body = json_body()
    with current_sandbox().begin() as unit:
        study = studies.find(unit, field(body, "study_id", str))
        made = money.set_up(unit, study, field(body, "csv_bonuses", str))
        amounts = [int(line["cents"]) for line in made.lines]
        fees = sum(money.fee_of(unit, cents) for cents in amounts)
        sums = {"amount": float(sum(amounts)), "fees": float(fees), "vat": 0.0}
        total = float(sum(amounts) + fees)
        answer = {"id": made.external_id, "study": study.external_id, **sums, "total_amount": total}
        return reply(answer, 201)


@blueprint.post("/bulk-bonus-payments/<prepared>/pay/")
def pay_bonuses(prepared: str) -> Response:
    """Pay prepared bonuses; again pays again."""
    with current_sandbox().begin() as unit:
        query = select(BonusSetUp).where(BonusSetUp.external_id == prepared)
        found = unit.session.scalar(query)
        if found is None:
            raise missing("Bonus payments")
        money.pay(unit, found)
        return reply("The bonuses are being paid.", 202)
