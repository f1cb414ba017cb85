"""The API's calls about studies."""

from flask import Response, request
from sqlalchemy import select

from evaluation.prolific_sandbox import studies
from evaluation.prolific_sandbox.api import blueprint, json_body, page_of, reply
from evaluation.prolific_sandbox.errors import ApiError, missing
from evaluation.prolific_sandbox.state import current_sandbox
from evaluation.prolific_sandbox.store import Study, StudyStatus


@blueprint.get("/studies/")
@blueprint.get("/projects/<project>/studies/")
def list_studies(project: str | None = None) -> Response:
    """List studies, the newest first."""
    with current_sandbox().begin() as unit:
        if project not in (None, unit.service.project):
            raise missing("Project")
        query = select(Study).order_by(Study.id.desc())
        state = request.args.get("state")
        rows = [s for s in unit.session.scalars(query) if state in (None, s.status)]
        return page_of(rows, lambda study: studies.short(unit, study))


@blueprint.post("/studies/")
def create_study() -> Response:
    """Draft a study."""
    body = json_body()
    with current_sandbox().begin() as unit:
        return reply(studies.full(unit, studies.create(unit, body)), 201)


@blueprint.get("/studies/<study>/")
def get_study(study: str) -> Response:
    """Show a study."""
    with current_sandbox().begin() as unit:
        return reply(studies.full(unit, studies.find(unit, study)))


@blueprint.patch("/studies/<study>/")
def change_study(study: str) -> Response:
    """Change a study."""
    body = json_body()
    with current_sandbox().begin() as unit:
        found = studies.find(unit, study)
        studies.change(unit, found, body)
        return reply(studies.full(unit, found))


@blueprint.delete("/studies/<study>/")
def delete_study(study: str) -> Response:
    """Throw a draft away."""
    with current_sandbox().begin() as unit:
        found = studies.find(unit, study)
        if found.status is not StudyStatus.UNPUBLISHED:
            raise ApiError("Only drafts can be deleted")
        unit.session.delete(found)
        return reply(None)


@blueprint.post("/studies/<study>/transition/")
def change_state(study: str) -> Response:
    """Publish, pause, start or stop a study."""
    action = str(json_body().get("action"))
    with current_sandbox().begin() as unit:
        found = studies.find(unit, study)
        studies.transition(unit, found, action)
        return reply(studies.full(unit, found))


@blueprint.get("/studies/<study>/cost/")
def cost(study: str) -> Response:
    """Tell what a study has cost so far."""
    with current_sandbox().begin() as unit:
        return reply(studies.cost(unit, studies.find(unit, study)))
