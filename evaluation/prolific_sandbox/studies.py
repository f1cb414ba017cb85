"""Studies: what may be asked for, how one changes state, and what it costs."""

from typing import Any

from sqlalchemy import select

from evaluation.prolific_sandbox import money
from evaluation.prolific_sandbox.errors import ApiError, missing
from evaluation.prolific_sandbox.numbers import whole_number
from evaluation.prolific_sandbox.store import (
    Group,
    Study,
    StudyStatus,
    Submission,
    SubmissionStatus,
    Unit,
    new_id,
)

LEAST_PER_HOUR = {"USD": 800, "GBP": 600}
_REQUIRED: dict[str, type | tuple[type, ...]] = {
    "name": str,
    "description": str,
    "external_study_url": str,
    "prolific_id_option": str,
    "total_available_places": (int, float),
    "estimated_completion_time": (int, float),
    "reward": (int, float),
    "completion_codes": list,
}
_OPTIONAL: dict[str, type | tuple[type, ...]] = {
    "maximum_allowed_time": (int, float),
    "submissions_config": dict,
    "filters": list,
}
_RETIRED = ("completion_code", "completion_option", "eligibility_requirements")
_AFTER_PUBLISHING = frozenset(
    {
        "internal_name",
        "total_available_places",
        "access_details",
        "submissions_config",
        "completion_codes",  # their slots only
    }
)
TAKEN = (
    SubmissionStatus.RESERVED,
    SubmissionStatus.ACTIVE,
    SubmissionStatus.AWAITING_REVIEW,
    SubmissionStatus.APPROVED,
)
_OVER = (StudyStatus.AWAITING_REVIEW, StudyStatus.COMPLETED)
_HANDED_IN = (SubmissionStatus.AWAITING_REVIEW, SubmissionStatus.APPROVED)


def find(unit: Unit, external_id: str) -> Study:
    """Return a study by its id. Raises ApiError (404)."""
    found = unit.session.scalar(select(Study).where(Study.external_id == external_id))
    if found is None:
        raise missing("Study")
    return found


def create(unit: Unit, body: dict[str, Any]) -> Study:
    """Draft a study; sent twice, it makes two.

    Raises:
        ApiError: a field that is missing, of the wrong type, retired, or against a rule.
    """
    _check(unit, body)
    study = Study(
        external_id=new_id(),
        status=StudyStatus.UNPUBLISHED,
        stopped=False,
        body={"project": unit.service.project, "internal_name": "", **body},
        created_at=unit.now,
    )
    unit.session.add(study)
    unit.session.flush()
    return study


def _check(unit: Unit, body: dict[str, Any]) -> None:
    wrong: dict[str, list[str]] = {}
    for name, kinds in _REQUIRED.items():
        value = body.get(name)
        if value is None or isinstance(value, bool) or not isinstance(value, kinds):
            wrong[name] = ["This field is required." if value is None else "Not a valid value."]
    for name, kinds in _OPTIONAL.items():
        value = body.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, kinds)):
            wrong[name] = ["Not a valid value."]
    for name in _RETIRED:
        if name in body:
            wrong[name] = ["This field is no longer supported."]
    if body.get("project", unit.service.project) != unit.service.project:
        wrong["project"] = ["Project not found."]
    if wrong:
        raise ApiError(wrong)
    _check_numbers(unit, body)
    _check_codes(body)
    _check_filters(unit, body.get("filters") or [])


def _check_numbers(unit: Unit, body: dict[str, Any]) -> None:
    reward, places = (whole_number(body, name) for name in ("reward", "total_available_places"))
    minutes = float(body["estimated_completion_time"])
    if reward <= 0 or minutes <= 0 or places < 1:
        raise ApiError({"reward": ["reward, time and places must be above zero."]})
    least = LEAST_PER_HOUR[unit.service.currency]
    if reward * 60 < least * minutes:
        raise ApiError({"reward": [f"The reward is below the minimum of {least} an hour."]})
    allowed = float(body.get("maximum_allowed_time", 24 * 60 - 1))
    if allowed < 2 + 2 * minutes + 2 * minutes**0.5:
        raise ApiError({"maximum_allowed_time": ["Too short for the estimated time."]})


def _check_codes(body: dict[str, Any]) -> None:
    codes = body["completion_codes"]
    if not all(isinstance(code, dict) for code in codes):
        raise ApiError({"completion_codes": ["A code is an object."]})
    names = [str(code.get("code")) for code in codes]
    if not codes or len(set(names)) != len(names):
        raise ApiError({"completion_codes": ["At least one; each code once."]})
    actions = [action for code in codes for action in code.get("actions", [])]
    if not all(isinstance(action, dict) and "action" in action for action in actions):
        raise ApiError({"completion_codes": ["An action is an object with its name."]})
    paid = [a for a in actions if a["action"] == "FIXED_SCREEN_OUT_PAYMENT"]
    if len(paid) > 1 or any(
        not 0 < whole_number(a, "fixed_screen_out_reward") < body["reward"]
        or whole_number(a, "slots") < 1
        for a in paid
    ):
        raise ApiError({"completion_codes": ["One paid screen-out, under the reward, with slots."]})


def _check_filters(unit: Unit, filters: list[dict[str, Any]]) -> None:
    groups = set(unit.session.scalars(select(Group.external_id)))
    for one in filters:
        if not ({"selected_values", "selected_range"} & set(one)) or "filter_id" not in one:
            raise ApiError({"filters": ["A filter needs an id and values or a range."]})
        if one["filter_id"] == "approval_rate" and not _is_range(one.get("selected_range")):
            raise ApiError({"filters": ["approval_rate needs a range."]})
        named = "participant_group" in one["filter_id"]
        if named and not set(one["selected_values"]) <= groups:
            raise ApiError({"filters": ["Participant group not found."]})


def _is_range(bounds: object) -> bool:
    return isinstance(bounds, dict) and all(
        isinstance(bounds.get(end), int | float) for end in ("lower", "upper")
    )


def change(unit: Unit, study: Study, body: dict[str, Any]) -> None:
    """Change a draft at will, a published study in few things; its places only grow.

    Raises:
        ApiError: a field that is fixed, fewer places, or no funds.
    """
    if study.status is StudyStatus.UNPUBLISHED:
        _check(unit, study.body | body)
        study.body = study.body | body
        return
    fixed = sorted(set(body) - _AFTER_PUBLISHING)
    if fixed:
        raise ApiError({name: ["Cannot be changed after publishing."] for name in fixed})
    _check(unit, study.body | body)
    if "completion_codes" in body:
        _require_more_slots(unit, study, study.body | body)
    more = whole_number(study.body | body, "total_available_places") - study.places
    if more < 0:
        raise ApiError({"total_available_places": ["Places can only be increased."]})
    if more:
        money.require(unit, money.price(unit, study.reward, more))
        study.stopped = False  # as the API's reference has it; help pages call a stop final
        if study.status in _OVER:
            study.status = StudyStatus.ACTIVE
    study.body = study.body | body
    refresh(study)


def _require_more_slots(unit: Unit, study: Study, body: dict[str, Any]) -> None:
    """Refuse other codes than a published study's, but for more slots that can be paid."""
    _check_codes(body)
    before, after = (money.screen_out_action(one) or {"slots": 0} for one in (study.body, body))
    more = int(after["slots"]) - int(before["slots"])
    if more < 0 or _without_slots(body) != _without_slots(study.body):
        raise ApiError({"completion_codes": ["After publishing, only slots can be added."]})
    if more:
        money.require(unit, money.price(unit, int(after["fixed_screen_out_reward"]), more))


def _without_slots(body: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {**code, "actions": [{**action, "slots": 0} for action in code.get("actions", [])]}
        for code in body["completion_codes"]
    ]


def transition(unit: Unit, study: Study, action: str) -> None:
    """Do one of the documented changes of state.

    Raises:
        ApiError: not from this state, an unknown action, or no funds.
    """
    table = {
        "PUBLISH": (StudyStatus.UNPUBLISHED,),
        "PAUSE": (StudyStatus.ACTIVE,),
        "START": (StudyStatus.PAUSED,),
        "STOP": (StudyStatus.ACTIVE, StudyStatus.PAUSED),
    }
    if action not in table:
        raise ApiError({"action": [f"Unknown action {action}."]})
    if study.status not in table[action]:
        raise ApiError(f"Cannot {action} a study that is {study.status}")
    if action == "PUBLISH":
        cost = money.price(unit, study.reward, study.places) + money.slots_price(unit, study)
        money.require(unit, cost)
        study.published_at = unit.now
        waits = unit.service.publish_delay_s > 0
        study.status = StudyStatus.PUBLISHING if waits else StudyStatus.ACTIVE
    elif action == "PAUSE":
        study.status = StudyStatus.PAUSED
    elif action == "STOP":
        study.stopped = True
        refresh(study)
    else:
        if slots_are_used(study):
            raise ApiError("All screen-out slots are used; add slots first")
        study.status = StudyStatus.ACTIVE
        refresh(study)


def refresh(study: Study) -> None:
    """Bring a published study's state up to date with its submissions."""
    if study.status in (StudyStatus.UNPUBLISHED, StudyStatus.PUBLISHING):
        return
    states = [submission.status for submission in study.submissions]
    if study.stopped:
        waits = SubmissionStatus.AWAITING_REVIEW in states
        study.status = StudyStatus.AWAITING_REVIEW if waits else StudyStatus.COMPLETED
    elif states.count(SubmissionStatus.APPROVED) >= study.places:
        study.status = StudyStatus.COMPLETED
    elif sum(state in _HANDED_IN for state in states) >= study.places:
        study.status = StudyStatus.AWAITING_REVIEW
    elif slots_are_used(study) or study.status is StudyStatus.AWAITING_REVIEW:
        # A place that is free again in a full study is not offered before somebody starts it.
        study.status = StudyStatus.PAUSED
    elif study.status is not StudyStatus.PAUSED:
        study.status = StudyStatus.ACTIVE


def slots_are_used(study: Study) -> bool:
    """Whether every paid screen-out has been taken."""
    action = money.screen_out_action(study.body)
    used = sum(s.status is SubmissionStatus.SCREENED_OUT for s in study.submissions)
    return action is not None and used >= int(str(action["slots"]))


def places_taken(study: Study) -> int:
    """Count the places that are not free."""
    return sum(submission.status in TAKEN for submission in study.submissions)


def short(unit: Unit, study: Study) -> dict[str, Any]:
    """Return a study as lists show it."""
    body = study.body
    return {
        "id": study.external_id,
        "name": body["name"],
        "internal_name": body["internal_name"],
        "status": study.status,
        "reward": study.reward,
        "total_available_places": study.places,
        "places_taken": places_taken(study),
        "number_of_submissions": sum(s.completed_at is not None for s in study.submissions),
        "total_cost": money.price(unit, study.reward, study.places),
        "date_created": study.created_at.isoformat(),
        "published_at": study.published_at.isoformat() if study.published_at else None,
        "is_ready_to_publish": study.status is StudyStatus.UNPUBLISHED,
    }


def full(unit: Unit, study: Study) -> dict[str, Any]:
    """Return a study as it is shown alone."""
    return {**study.body, **short(unit, study), "reward_level": {}}


def cost(unit: Unit, study: Study) -> dict[str, Any]:
    """Return what a study has cost so far."""

    def line(kind: str) -> dict[str, Any]:
        amount = sum(_paid(s, kind) for s in study.submissions)
        fee = money.fee_of(unit, amount)
        money_of = {"rewards": amount, "fees": fee, "tax": 0}
        return {
            name: {"amount": cents, "currency": unit.service.currency}
            for name, cents in money_of.items()
        }

    return {"rewards": line("reward"), "bonuses": line("bonus")}


def _paid(submission: Submission, kind: str) -> int:
    if kind == "bonus":
        return sum(bonus.cents for bonus in submission.bonuses)
    return submission.study.reward if submission.status is SubmissionStatus.APPROVED else 0
