"""What a worker does with HITs: find, accept, return, submit."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, select

from evaluation.sandbox import eligibility, lifecycle
from evaluation.sandbox.eligibility import Action, Check
from evaluation.sandbox.question_form import Answer, answers_xml, check_answers, read_form
from evaluation.sandbox.questions import read_question
from evaluation.sandbox.store import (
    Assignment,
    AssignmentStatus,
    Hit,
    HitStatus,
    Unit,
    Worker,
    is_id,
    new_id,
)
from evaluation.services.web import Refusal

_GONE = (AssignmentStatus.RETURNED, AssignmentStatus.ABANDONED)


@dataclass(frozen=True)
class Offer:
    """HITs of one type as a worker sees them; `hit` is the one they would get."""

    hit: Hit
    n_hits: int
    checks: list[Check]
    blocked: bool

    @property
    def can_preview(self) -> bool:
        """Whether the worker may look at the task."""
        return not self.blocked and eligibility.permits(self.checks, Action.PREVIEW)

    @property
    def can_accept(self) -> bool:
        """Whether the worker may do the task."""
        return not self.blocked and eligibility.permits(self.checks, Action.ACCEPT)


def offers(unit: Unit, worker: Worker) -> list[Offer]:
    """Return the HIT types a worker can see, the newest first."""
    taken = select(Assignment.hit_id).where(
        Assignment.worker_id == worker.id, Assignment.status.not_in(_GONE)
    )
    rows = unit.session.execute(
        select(func.count(Hit.id), func.min(Hit.id))
        .where(Hit.status == HitStatus.ASSIGNABLE, Hit.id.not_in(taken))
        .group_by(Hit.type_id)
        .order_by(func.max(Hit.id).desc())
    ).all()
    found = []
    for n_hits, hit_id in rows:
        offer = offer_of(unit, worker, unit.session.get_one(Hit, hit_id), n_hits)
        if eligibility.permits(offer.checks, Action.DISCOVER):
            found.append(offer)
    return found


def offer_of(unit: Unit, worker: Worker, hit: Hit, n_hits: int = 1) -> Offer:
    """Return a HIT as an offer to a worker."""
    return Offer(
        hit=hit,
        n_hits=n_hits,
        checks=eligibility.checks(unit, worker, hit.type),
        blocked=eligibility.is_blocked(unit, worker, hit.account_id),
    )


def find_hit(unit: Unit, external_id: str) -> Hit:
    """Return a HIT by its id.

    Raises:
        Refusal: there is none.
    """
    query = select(Hit).where(Hit.external_id == external_id)
    hit = unit.session.scalar(query) if is_id(external_id) else None
    if hit is None:
        raise Refusal("There is no such HIT.", 404)
    return hit


def held(unit: Unit, worker: Worker, hit: Hit) -> Assignment | None:
    """Return the live assignment that a worker has of a HIT."""
    return unit.session.scalar(
        select(Assignment).where(
            Assignment.hit_id == hit.id,
            Assignment.worker_id == worker.id,
            Assignment.status.not_in(_GONE),
        )
    )


def accept(unit: Unit, worker: Worker, hit: Hit) -> Assignment:
    """Give a worker an assignment of a HIT; the one they are working on is given again.

    Raises:
        Refusal: done already, blocked, not eligible, or nothing left.
    """
    already = held(unit, worker, hit)
    if already is not None:
        if already.status is AssignmentStatus.ACCEPTED:
            return already
        raise Refusal("You have already done this HIT.")
    offer = offer_of(unit, worker, hit)
    if offer.blocked:
        raise Refusal("This requester has blocked you.", 403)
    if not offer.can_accept:
        unmet = "; ".join(check.text for check in offer.checks if not check.met)
        raise Refusal(f"You do not have the qualifications for this HIT: {unmet}.", 403)
    if hit.status is not HitStatus.ASSIGNABLE:
        raise Refusal("There are no more available assignments of this HIT.")
    assignment = Assignment(
        hit=hit,
        type=hit.type,
        worker=worker,
        external_id=_give_id(unit, hit, worker),
        status=AssignmentStatus.RETURNED,  # counts as nothing until it is moved
        submission=0,
        accepted_at=unit.now,
        deadline=unit.now + timedelta(seconds=hit.type.duration_s),
        answer="",
        feedback="",
    )
    unit.session.add(assignment)
    lifecycle.move(unit, assignment, AssignmentStatus.ACCEPTED)
    unit.session.flush()
    return assignment


def _give_id(unit: Unit, hit: Hit, worker: Worker) -> str:
    """A new id, or if so set, one that another worker gave back, as was seen on Amazon's site."""
    if not unit.service.reuse_returned_ids:
        return new_id()
    of_hit = select(Assignment.external_id).where(Assignment.hit_id == hit.id)
    free = unit.session.scalar(
        of_hit.where(
            Assignment.status.in_(_GONE),
            Assignment.external_id.not_in(of_hit.where(Assignment.worker_id == worker.id)),
            Assignment.external_id.not_in(of_hit.where(Assignment.status.not_in(_GONE))),
        )
        .order_by(Assignment.id)
        .limit(1)
    )
    return free or new_id()


def find_accepted(unit: Unit, assignment_id: str) -> Assignment:
    """Return the assignment that is being worked on under an id.

    Raises:
        Refusal: unknown, out of time, returned, or submitted already.
    """
    query = select(Assignment).where(Assignment.external_id == assignment_id)
    newest = None
    if is_id(assignment_id):
        newest = unit.session.scalar(query.order_by(Assignment.id.desc()).limit(1))
    if newest is None:
        raise Refusal("There is no such assignment.", 404)
    if newest.status is AssignmentStatus.ACCEPTED:
        return newest
    if newest.status is AssignmentStatus.ABANDONED:
        raise Refusal("The time for this assignment has run out.")
    if newest.status is AssignmentStatus.RETURNED:
        raise Refusal("This assignment was returned.")
    raise Refusal("This assignment was already submitted.")


def give_back(unit: Unit, assignment: Assignment) -> None:
    """Return an accepted assignment, so that someone else can take it."""
    lifecycle.move(unit, assignment, AssignmentStatus.RETURNED)


def submit(unit: Unit, assignment: Assignment, answers: list[Answer]) -> None:
    """Submit an accepted assignment with its answers.

    Raises:
        Refusal: the answers do not fit the HIT's QuestionForm.
    """
    hit = assignment.hit
    question = read_question(hit.question)
    if question.kind == "QuestionForm":
        form = read_form(question.content, "Question")
        assignment.answer = answers_xml(check_answers(form, answers), form)
    else:
        assignment.answer = answers_xml(answers)
    hit.n_submissions += 1
    assignment.submission = hit.n_submissions
    assignment.submitted_at = unit.now
    assignment.auto_approve_at = unit.now + timedelta(seconds=assignment.type.auto_approval_s)
    lifecycle.move(unit, assignment, AssignmentStatus.SUBMITTED)
    unit.session.flush()
    lifecycle.settle(unit)  # a delay of 0 approves at once
