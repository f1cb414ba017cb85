"""The study database, typed SQLAlchemy 2. Alembic (`migrations/`) is the only way it is built.

Our keys are `id`; a platform's are `external_id` beside `crowd` and `environment`. Money is in
whole cents. Times are aware and in UTC. Enums are stored by value. No nullable column is part of
a unique key, because SQL holds two NULLs to be different.
"""

import enum
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    CheckConstraint,
    DateTime,
    Dialect,
    Enum,
    ForeignKey,
    Index,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

CONSTRAINT_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime in UTC, on SQLite too (which stores no zone)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times: their zone would be a guess."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"naive datetime {value!r}: give it a time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give back what was stored, aware."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _enum(cls: type[enum.StrEnum]) -> Enum:
    """An enum column stored by value as text, checked by the database."""
    name = "".join("_" + c.lower() if c.isupper() else c for c in cls.__name__).lstrip("_")
    return Enum(
        cls,
        values_callable=lambda members: [m.value for m in members],
        native_enum=False,
        create_constraint=True,
        name=name,
        length=24,
        validate_strings=True,
    )


class TrialKind(enum.StrEnum):
    """What a trial is for; only `test` trials enter Table 1."""

    TEST = "test"
    GOLD = "gold"
    PRACTICE = "practice"
    REPEAT = "repeat"
    IDENTICAL = "identical"


class Side(enum.StrEnum):
    """A side of the screen."""

    LEFT = "left"
    RIGHT = "right"


class Choice(enum.StrEnum):
    """An answer; `tie` only where the study allows it."""

    LEFT = "left"
    RIGHT = "right"
    TIE = "tie"


class ShowingStatus(enum.StrEnum):
    """Where one lease of a trial stands."""

    LEASED = "leased"
    ANSWERED = "answered"
    EXPIRED = "expired"
    RETURNED = "returned"
    WITHDRAWN = "withdrawn"


class JudgmentStatus(enum.StrEnum):
    """At most one judgment of a trial and question is `counted`; the others say why not."""

    COUNTED = "counted"
    LATE = "late"
    RETURNED = "returned"
    WITHDRAWN = "withdrawn"


class AssignmentStatus(enum.StrEnum):
    """One worker's copy of a HIT: MTurk's states and those before and beside them."""

    ACCEPTED = "accepted"
    SUBMITTED = "submitted"
    APPROVED = "approved"
    REJECTED = "rejected"
    RETURNED = "returned"
    WITHDRAWN = "withdrawn"


class Environment(enum.StrEnum):
    """Where a row comes from. `simulated` rows never mix with people's unless asked for."""

    SANDBOX = "sandbox"
    PRODUCTION = "production"
    SIMULATED = "simulated"


class PaymentKind(enum.StrEnum):
    """What money was owed for."""

    REWARD = "reward"
    BONUS = "bonus"
    FEE = "fee"
    SCREEN_OUT = "screen-out"


class CallState(enum.StrEnum):
    """An outside call is written down as `intended` before it is made."""

    INTENDED = "intended"
    DONE = "done"
    FAILED = "failed"


class ReviewDecision(enum.StrEnum):
    """What was decided about a submitted assignment."""

    APPROVE = "approve"
    REJECT = "reject"


class Base(DeclarativeBase):
    """Base of all tables, with one naming rule for constraints."""

    metadata = MetaData(naming_convention=CONSTRAINT_NAMES)
    type_annotation_map = {  # noqa: RUF012 (SQLAlchemy reads it from the class)
        datetime: UtcDateTime,
        dict[str, Any]: JSON,
    }


class Study(Base):
    """A frozen design. `design` is the canonical JSON that `design_hash` is the SHA-256 of."""

    __tablename__ = "study"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    title: Mapped[str] = mapped_column(Text)
    seed: Mapped[int]
    design_hash: Mapped[str] = mapped_column(String(64))
    design: Mapped[dict[str, Any]]
    settings: Mapped[dict[str, Any]]  # what is not hashed: pay, recruit, text, paths
    study_file: Mapped[str] = mapped_column(Text)  # the TOML as given, for export
    secret: Mapped[str] = mapped_column(String(64))  # keys media names, tokens and pseudonyms
    paused: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]

    sources: Mapped[list["Source"]] = relationship(order_by="Source.position")
    questions: Mapped[list["Question"]] = relationship(order_by="Question.position")


class Question(Base):
    """A question asked of every pair; `name` is its slug."""

    __tablename__ = "question"
    __table_args__ = (UniqueConstraint("study_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id"))
    position: Mapped[int]
    name: Mapped[str] = mapped_column(String(64))
    text: Mapped[str] = mapped_column(Text)


class Source(Base):
    """A set of clips under one name. Gold and spoilt clips have sources of their own (`hidden`)."""

    __tablename__ = "source"
    __table_args__ = (UniqueConstraint("study_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id"))
    position: Mapped[int]
    name: Mapped[str] = mapped_column(String(64))
    display_name: Mapped[str] = mapped_column(Text)
    hidden: Mapped[bool] = mapped_column(default=False)


class Clip(Base):
    """One clip. `name` is the clip id of the contract: `source/relative-path`."""

    __tablename__ = "clip"
    __table_args__ = (UniqueConstraint("study_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id"))
    source_id: Mapped[int] = mapped_column(ForeignKey("source.id"))
    name: Mapped[str] = mapped_column(String(400))
    category: Mapped[str] = mapped_column(String(64))
    sha256: Mapped[str] = mapped_column(String(64))
    path: Mapped[str] = mapped_column(Text)  # where the file lay at import
    frames: Mapped[int]
    fps: Mapped[float]
    width: Mapped[int]
    height: Mapped[int]
    item: Mapped[str] = mapped_column(String(400), default="")  # empty: none
    prompt: Mapped[str] = mapped_column(Text, default="")
    origin_video: Mapped[str] = mapped_column(String(400), default="")
    origin_frame: Mapped[int] = mapped_column(default=0)

    source: Mapped[Source] = relationship()


class Stimulus(Base):
    """A clip encoded for the browser and padded to one size step, under an opaque key.

    `key` is an HMAC under the study's secret, so it names no source; both files of a pair have the
    same `padded_bytes`. `layout` is what the page needs to play it (format, frame size, columns).
    """

    __tablename__ = "stimulus"
    __table_args__ = (UniqueConstraint("clip_id", "padded_bytes"), UniqueConstraint("key"))

    id: Mapped[int] = mapped_column(primary_key=True)
    clip_id: Mapped[int] = mapped_column(ForeignKey("clip.id"))
    key: Mapped[str] = mapped_column(String(64))
    padded_bytes: Mapped[int]
    mime: Mapped[str] = mapped_column(String(32))
    layout: Mapped[dict[str, Any]]

    clip: Mapped[Clip] = relationship()


class Pair(Base):
    """Two clips of one cell in the design's order: `clip_a` of the row's A, `clip_b` of its B.

    The two may be the same clip only for identical trials. `padded_bytes` selects the stimuli.
    """

    __tablename__ = "pair"
    __table_args__ = (UniqueConstraint("study_id", "clip_a_id", "clip_b_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id"))
    clip_a_id: Mapped[int] = mapped_column(ForeignKey("clip.id"))
    clip_b_id: Mapped[int] = mapped_column(ForeignKey("clip.id"))
    source_a: Mapped[str] = mapped_column(String(64))
    source_b: Mapped[str] = mapped_column(String(64))
    category: Mapped[str] = mapped_column(String(64))
    item: Mapped[str] = mapped_column(String(400), default="")
    padded_bytes: Mapped[int] = mapped_column(default=0)

    clip_a: Mapped[Clip] = relationship(foreign_keys=[clip_a_id])
    clip_b: Mapped[Clip] = relationship(foreign_keys=[clip_b_id])


class PlanBatch(Base):
    """An append-only batch of trials: who asked for it, by which rule and seed."""

    __tablename__ = "plan_batch"
    __table_args__ = (UniqueConstraint("study_id", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id"))
    number: Mapped[int]
    seed: Mapped[int]
    rule: Mapped[str] = mapped_column(String(64))
    reason: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]


class Trial(Base):
    """A planned slot: a pair and which of its clips is on the left.

    `correct` is the side that gold and practice trials expect. `repeat_of` is the trial that a
    repeat shows again with sides swapped. Session trials (all kinds but `test`) are made when an
    assignment starts, in the study's `session` batch.

    `evaluation.allocation` keeps two columns so that it finds the next trials by one index,
    however large the plan: `free` (neither under a live lease nor counted for every question) and
    `turn` (its place in the order in which trials are handed out; -1 until it has one).
    """

    __tablename__ = "trial"
    __table_args__ = (
        UniqueConstraint("batch_id", "number"),
        Index("ix_trial_study_id_kind", "study_id", "kind"),
        Index(
            "ix_trial_study_id_turn_free",
            "study_id",
            "turn",
            sqlite_where=text("free = 1"),
            postgresql_where=text("free"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id"))
    batch_id: Mapped[int] = mapped_column(ForeignKey("plan_batch.id"))
    number: Mapped[int]
    pair_id: Mapped[int] = mapped_column(ForeignKey("pair.id"))
    kind: Mapped[TrialKind] = mapped_column(_enum(TrialKind))
    a_is_left: Mapped[bool]
    correct: Mapped[Side | None] = mapped_column(_enum(Side))
    repeat_of_id: Mapped[int | None] = mapped_column(ForeignKey("trial.id"))
    free: Mapped[bool] = mapped_column(default=True)
    turn: Mapped[int] = mapped_column(default=-1)

    pair: Mapped[Pair] = relationship()
    batch: Mapped[PlanBatch] = relationship()


class Hit(Base):
    """One published HIT (or study, or link, on other crowds), written down before it is created."""

    __tablename__ = "hit"
    __table_args__ = (
        UniqueConstraint("crowd", "environment", "token"),
        Index("ix_hit_external_id", "external_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id"))
    crowd: Mapped[str] = mapped_column(String(24))
    environment: Mapped[Environment] = mapped_column(_enum(Environment))
    token: Mapped[str] = mapped_column(String(64))  # idempotency token of the create call
    external_id: Mapped[str | None] = mapped_column(String(255))
    state: Mapped[CallState] = mapped_column(_enum(CallState))
    max_assignments: Mapped[int] = mapped_column(default=1)
    reward_cents: Mapped[int] = mapped_column(default=0)
    currency: Mapped[str] = mapped_column(String(3), default="USD")
    expires_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)

    def is_open(self, now: datetime) -> bool:
        """Whether it lets workers in as far as its time goes; the row of local raters has none."""
        return self.expires_at is not None and self.expires_at > now


class Worker(Base):
    """A person on one crowd, by the platform's id, in whose place exports have a pseudonym.

    The list of completion codes gives the id (`publishing.codes`), the token of a personal link is
    one (`Invitation`), and HITs, payments, reviews and events may mention it in what was written
    down of calls: `privacy.erasing.scrub` is for those.
    """

    __tablename__ = "worker"
    __table_args__ = (UniqueConstraint("crowd", "environment", "external_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    crowd: Mapped[str] = mapped_column(String(24))
    environment: Mapped[Environment] = mapped_column(_enum(Environment))
    external_id: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime]
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Assignment(Base):
    """One worker's copy of a HIT: a session. Platforms reuse the ids of returned assignments."""

    __tablename__ = "assignment"
    __table_args__ = (UniqueConstraint("crowd", "environment", "external_id", "worker_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id"), index=True)
    hit_id: Mapped[int] = mapped_column(ForeignKey("hit.id"))
    worker_id: Mapped[int] = mapped_column(ForeignKey("worker.id"), index=True)
    crowd: Mapped[str] = mapped_column(String(24))
    environment: Mapped[Environment] = mapped_column(_enum(Environment))
    external_id: Mapped[str] = mapped_column(String(255))
    status: Mapped[AssignmentStatus] = mapped_column(_enum(AssignmentStatus))
    accepted_at: Mapped[datetime]
    lease_until: Mapped[datetime]
    submitted_at: Mapped[datetime | None]
    completion_code: Mapped[str] = mapped_column(String(64), default="")
    environment_details: Mapped[dict[str, Any]] = mapped_column(default=dict)  # screen, browser
    survey: Mapped[dict[str, Any]] = mapped_column(default=dict)
    # Drawn at the start, because a restored database gives ids out again; the page's token and the
    # completion code stand on it. Of no other use; None: begun before there was one, or forgotten.
    nonce: Mapped[str | None] = mapped_column(String(32))

    hit: Mapped[Hit] = relationship()
    worker: Mapped[Worker] = relationship()


class Showing(Base):
    """One lease of a trial to one assignment, kept for ever.

    `repeat` is 0 but for the second look of a declared repeat: a worker never sees a pair twice
    otherwise, and the database holds that.
    """

    __tablename__ = "showing"
    __table_args__ = (
        UniqueConstraint("assignment_id", "position"),
        UniqueConstraint("worker_id", "pair_id", "repeat"),
        Index(
            "uq_showing_trial_id_live",
            "trial_id",
            unique=True,
            sqlite_where=text("status = 'leased'"),
            postgresql_where=text("status = 'leased'"),
        ),
        Index("ix_showing_status_expires_at", "status", "expires_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    assignment_id: Mapped[int] = mapped_column(ForeignKey("assignment.id"))
    trial_id: Mapped[int] = mapped_column(ForeignKey("trial.id"), index=True)
    worker_id: Mapped[int] = mapped_column(ForeignKey("worker.id"))
    pair_id: Mapped[int] = mapped_column(ForeignKey("pair.id"))
    repeat: Mapped[int] = mapped_column(default=0)
    position: Mapped[int]
    status: Mapped[ShowingStatus] = mapped_column(_enum(ShowingStatus))
    leased_at: Mapped[datetime]
    expires_at: Mapped[datetime]

    assignment: Mapped[Assignment] = relationship()
    trial: Mapped[Trial] = relationship()


class Judgment(Base):
    """One answer. `clip_ms` is how long the clips ran; `details` is what the page measured."""

    __tablename__ = "judgment"
    __table_args__ = (
        UniqueConstraint("showing_id", "question_id"),
        Index(
            "uq_judgment_trial_id_question_id_counted",
            "trial_id",
            "question_id",
            unique=True,
            sqlite_where=text("status = 'counted'"),
            postgresql_where=text("status = 'counted'"),
        ),
        CheckConstraint("rt_ms >= 0", name="rt_ms_not_negative"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    showing_id: Mapped[int] = mapped_column(ForeignKey("showing.id"))
    trial_id: Mapped[int] = mapped_column(ForeignKey("trial.id"))
    question_id: Mapped[int] = mapped_column(ForeignKey("question.id"))
    choice: Mapped[Choice] = mapped_column(_enum(Choice))
    rt_ms: Mapped[float]
    clip_ms: Mapped[float]
    status: Mapped[JudgmentStatus] = mapped_column(_enum(JudgmentStatus))
    answered_at: Mapped[datetime]
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)

    showing: Mapped[Showing] = relationship()
    question: Mapped[Question] = relationship()


class Consent(Base):
    """A worker agreed to one version of the consent text."""

    __tablename__ = "consent"
    __table_args__ = (UniqueConstraint("assignment_id", "version"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    assignment_id: Mapped[int] = mapped_column(ForeignKey("assignment.id"))
    version: Mapped[str] = mapped_column(String(64))
    text_sha256: Mapped[str] = mapped_column(String(64))
    given_at: Mapped[datetime]


class Invitation(Base):
    """A link that lets one person in: `token` is its unguessable end, and then the worker's id."""

    __tablename__ = "invitation"
    __table_args__ = (UniqueConstraint("token"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    hit_id: Mapped[int] = mapped_column(ForeignKey("hit.id"), index=True)
    token: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class Review(Base):
    """An approval or rejection, written before and after the platform is told."""

    __tablename__ = "review"
    __table_args__ = (UniqueConstraint("assignment_id", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    assignment_id: Mapped[int] = mapped_column(ForeignKey("assignment.id"))
    number: Mapped[int]  # 1, then 2 when a rejection is reversed
    decision: Mapped[ReviewDecision] = mapped_column(_enum(ReviewDecision))
    reason: Mapped[str] = mapped_column(Text)
    state: Mapped[CallState] = mapped_column(_enum(CallState))
    created_at: Mapped[datetime]
    done_at: Mapped[datetime | None]


class Payment(Base):
    """The ledger. `token` makes each payment happen once.

    What a platform paid to somebody who found nothing left is of a HIT and of no session.
    """

    __tablename__ = "payment"
    __table_args__ = (UniqueConstraint("token"), CheckConstraint("cents >= 0", name="cents"))

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id"))
    assignment_id: Mapped[int | None] = mapped_column(ForeignKey("assignment.id"))
    kind: Mapped[PaymentKind] = mapped_column(_enum(PaymentKind))
    cents: Mapped[int]
    currency: Mapped[str] = mapped_column(String(3))
    token: Mapped[str] = mapped_column(String(64))
    state: Mapped[CallState] = mapped_column(_enum(CallState))
    reason: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime]
    done_at: Mapped[datetime | None]
    hit_id: Mapped[int] = mapped_column(ForeignKey("hit.id"))


class EventKind(enum.StrEnum):
    """What can happen to a study; the latest of a kind, or all of them, may say how it stands."""

    INIT = "init"
    DESIGN_CHANGED = "design changed"
    SETTINGS_CHANGED = "settings changed"
    PUBLISH = "publish"
    PAUSED = "paused"
    RESUMED = "resumed"
    STOPPING = "stopping"
    BONUSES_ASKED = "bonuses-asked"
    BONUSES_REFUSED = "bonuses-refused"
    SETTLED_SESSIONS = "settled sessions"
    IDS_FORGOTTEN = "ids forgotten"
    WITHDRAWAL = "withdrawal"


class _EventKindText(TypeDecorator[str]):
    """A kind of event by value, as plain text: what another version wrote is read as it stands."""

    impl = String(64)
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Refuse a kind that nothing would look for."""
        return None if value is None else EventKind(value).value


class Event(Base):
    """What happened to a study, in order."""

    __tablename__ = "event"

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id"), index=True)
    kind: Mapped[str] = mapped_column(_EventKindText)
    details: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
