"""Submissions: reserve, start, hand in, return, time out, approve, reject."""

from datetime import timedelta
from typing import Any

from sqlalchemy import select

from evaluation.prolific_sandbox import money, studies
from evaluation.prolific_sandbox.errors import ApiError, missing
from evaluation.prolific_sandbox.store import (
    Group,
    Participant,
    Study,
    StudyStatus,
    Submission,
    SubmissionStatus,
    Unit,
    new_id,
)
from evaluation.services.web import Refusal

RESERVED_FOR = timedelta(minutes=10)
APPROVED_AFTER = timedelta(days=21)
SHORTEST_MESSAGE = 100
NO_CODE = "NOCODE"
CATEGORIES = frozenset(
    {
        "TOO_QUICKLY", "TOO_SLOWLY", "FAILED_INSTRUCTIONS", "INCOMP_LONGITUDINAL", "FAILED_CHECK",
        "LOW_EFFORT", "MALINGERING", "NO_CODE", "BAD_CODE", "NO_DATA", "UNSUPP_DEVICE", "OTHER",
    }
)  # fmt: skip
_WORKING = (SubmissionStatus.RESERVED, SubmissionStatus.ACTIVE)
_AFTER = {"APPROVE": SubmissionStatus.APPROVED, "REJECT": SubmissionStatus.REJECTED}


def settle(unit: Unit) -> None:
    """Do what the passing of time brings about."""
    waiting = select(Study).where(Study.status == StudyStatus.PUBLISHING)
    delay = timedelta(seconds=unit.service.publish_delay_s)
    for study in unit.session.scalars(waiting):
        if study.published_at is not None and study.published_at + delay <= unit.now:
            study.status = StudyStatus.ACTIVE
    open_ones = (*_WORKING, SubmissionStatus.AWAITING_REVIEW)
    for submission in unit.session.scalars(
        select(Submission).where(Submission.status.in_(open_ones))
    ):
        _age(unit, submission)


def _age(unit: Unit, submission: Submission) -> None:
    status = submission.status
    if status is SubmissionStatus.RESERVED:
        if submission.reserved_at + RESERVED_FOR <= unit.now:
            _move(submission, SubmissionStatus.RETURNED)
    elif status is SubmissionStatus.ACTIVE:
        assert submission.started_at is not None
        if submission.started_at + allowed_time(submission.study) <= unit.now:
            _move(submission, SubmissionStatus.TIMED_OUT)
    elif submission.completed_at and submission.completed_at + APPROVED_AFTER <= unit.now:
        _approve(unit, submission)


def allowed_time(study: Study) -> timedelta:
    """Return how long a participant may take."""
    return timedelta(minutes=float(study.body.get("maximum_allowed_time", 24 * 60 - 1)))


def _move(submission: Submission, status: SubmissionStatus) -> None:
    submission.status = status
    studies.refresh(submission.study)


def _approve(unit: Unit, submission: Submission) -> None:
    _move(submission, SubmissionStatus.APPROVED)
    money.book(unit, submission, "reward", submission.study.reward)


def of_participant(participant: Participant, study: Study) -> list[Submission]:
    """Return a participant's submissions of a study, oldest first."""
    return [s for s in study.submissions if s.participant_id == participant.id]


def why_not(unit: Unit, participant: Participant, study: Study) -> str | None:
    """Say why somebody cannot take part, or None. Filters on people's lives are not looked at."""
    if study.status is not StudyStatus.ACTIVE or studies.places_taken(study) >= study.places:
        return "This study has no free places."
    had = of_participant(participant, study)
    config = study.body.get("submissions_config") or {}
    most = int(config.get("max_submissions_per_participant", 1))
    if most >= 0 and len(had) >= most:
        return "You have taken part in this study."
    for one in study.body.get("filters") or []:
        if not _passes(unit, participant, one):
            return "This study is not for you."
    return None


def _passes(unit: Unit, participant: Participant, one: dict[str, Any]) -> bool:
    name = one["filter_id"]
    if name == "approval_rate":
        bounds = one["selected_range"]
        return bool(bounds["lower"] <= participant.approval_rate <= bounds["upper"])
    if name not in ("participant_group_blocklist", "participant_group_allowlist"):
        return True
    query = select(Group).where(Group.external_id.in_(one["selected_values"]))
    member = any(participant.external_id in g.members for g in unit.session.scalars(query))
    return bool(member == name.endswith("allowlist"))


def reserve(unit: Unit, participant: Participant, study: Study) -> Submission:
    """Hold a place for ten minutes; the one already held or worked on is given again.

    Raises:
        Refusal: nothing free, done before, or shut out.
    """
    for held in of_participant(participant, study):
        if held.status in _WORKING:
            return held
    reason = why_not(unit, participant, study)
    if reason:
        raise Refusal(reason)
    made = Submission(
        external_id=new_id(),
        study=study,
        participant=participant,
        status=SubmissionStatus.RESERVED,
        reserved_at=unit.now,
        bonuses=[],
    )
    unit.session.add(made)
    unit.session.flush()
    return made


def start(unit: Unit, submission: Submission) -> str:
    """Begin, and return the study's address with the three ids in it.

    Raises:
        Refusal: it is over.
    """
    if submission.status not in _WORKING:
        raise Refusal(f"This submission is {submission.status}.")
    if submission.status is SubmissionStatus.RESERVED:
        submission.started_at = unit.now
        _move(submission, SubmissionStatus.ACTIVE)
    url = str(submission.study.body["external_study_url"])
    for name, value in (
        ("PROLIFIC_PID", submission.participant.external_id),
        ("STUDY_ID", submission.study.external_id),
        ("SESSION_ID", submission.external_id),
    ):
        url = url.replace("{{%" + name + "%}}", value)
    return url


def give_back(submission: Submission) -> None:
    """Return a submission, before or after handing it in.

    Raises:
        Refusal: it has been judged, or is over.
    """
    if submission.status not in (*_WORKING, SubmissionStatus.AWAITING_REVIEW):
        raise Refusal(f"This submission is {submission.status}; it cannot be returned.")
    _move(submission, SubmissionStatus.RETURNED)


def hand_in(unit: Unit, submission: Submission, code: str) -> None:
    """Hand in under a code; one that the study does not have runs no action.

    Raises:
        Refusal: nothing is being worked on.
    """
    if submission.status is not SubmissionStatus.ACTIVE:
        raise Refusal(f"This submission is {submission.status}; it cannot be handed in.")
    submission.entered_code = code[:64] or NO_CODE
    submission.completed_at = unit.now
    known = {c["code"]: c.get("actions", []) for c in submission.study.body["completion_codes"]}
    names = {action["action"]: action for action in known.get(code, [])}
    if "FIXED_SCREEN_OUT_PAYMENT" in names:
        _move(submission, SubmissionStatus.SCREENED_OUT)
        reward = int(names["FIXED_SCREEN_OUT_PAYMENT"]["fixed_screen_out_reward"])
        money.book(unit, submission, "screen-out", reward)
        return
    _move(submission, SubmissionStatus.AWAITING_REVIEW)
    if "AUTOMATICALLY_APPROVE" in names and not _too_fast(submission):
        _approve(unit, submission)


def _too_fast(submission: Submission) -> bool:
    """Whether an automatic approval is held back: under half of the estimated time."""
    assert submission.completed_at is not None
    assert submission.started_at is not None
    estimate = timedelta(minutes=float(submission.study.body["estimated_completion_time"]))
    return submission.completed_at - submission.started_at < estimate / 2


def find(unit: Unit, external_id: str) -> Submission:
    """Return a submission by its id. Raises ApiError (404)."""
    query = select(Submission).where(Submission.external_id == external_id)
    found = unit.session.scalar(query)
    if found is None:
        raise missing("Submission")
    return found


def transition(unit: Unit, submission: Submission, body: dict[str, Any]) -> None:
    """Approve or reject; a repeat is ignored.

    Raises:
        ApiError: not from this state, a short message, or an unknown category.
    """
    action = str(body.get("action"))
    if action not in _AFTER:
        raise ApiError({"action": [f"Unknown action {action}."]})
    if submission.status is _AFTER[action]:
        return
    if action == "REJECT":
        _check_rejection(body)
    may = [SubmissionStatus.AWAITING_REVIEW]
    if action == "APPROVE":
        may += [SubmissionStatus.TIMED_OUT, SubmissionStatus.RETURNED]
    if submission.status not in may:
        raise ApiError(f"Cannot {action} a submission that is {submission.status}")
    if action == "APPROVE":
        _approve(unit, submission)
    else:
        submission.message = str(body["message"])
        submission.category = str(body["rejection_category"])
        _move(submission, SubmissionStatus.REJECTED)


def _check_rejection(body: dict[str, Any]) -> None:
    if len(str(body.get("message", ""))) < SHORTEST_MESSAGE:
        raise ApiError({"message": [f"At least {SHORTEST_MESSAGE} characters."]})
    if body.get("rejection_category") not in CATEGORIES:
        raise ApiError({"rejection_category": ["Not a valid choice."]})


def row(submission: Submission) -> dict[str, Any]:
    """Return a submission as lists show it."""
    return {
        "id": submission.external_id,
        "participant_id": submission.participant.external_id,
        "status": submission.status,
        "started_at": _iso(submission.started_at or submission.reserved_at),
        "completed_at": _iso(submission.completed_at),
        "is_complete": submission.completed_at is not None,
        "study_code": submission.entered_code,
        "has_siblings": False,
        "return_requested": None,
        "reward": submission.study.reward,
    }


def detail(unit: Unit, submission: Submission) -> dict[str, Any]:
    """Return a submission as it is shown alone; it differs from its row in a list."""
    shown = [bonus.cents for bonus in submission.bonuses if bonus.shows_at <= unit.now]
    return {
        "id": submission.external_id,
        "participant": submission.participant.external_id,
        "study_id": submission.study.external_id,
        "status": submission.status,
        "started_at": _iso(submission.started_at or submission.reserved_at),
        "completed_at": _iso(submission.completed_at),
        "entered_code": submission.entered_code or None,
        "bonus_payments": shown,
        "return_requested": None,
    }


def _iso(time: Any) -> str | None:
    return time.isoformat() if time else None
