"""A study on the fake of Prolific: both databases, participants, and calls that can die."""

from sqlalchemy import select

from crashes import Clock, Killed
from evaluation import schema
from evaluation.allocation import finish_session, get_worker, start_session
from evaluation.crowd.addresses import PROLIFIC_SANDBOX_TOKEN
from evaluation.crowd.prolific import Prolific
from evaluation.crowd.prolific_calls import Calls
from evaluation.database import find_study
from evaluation.payments import pay_bonuses
from evaluation.prolific_sandbox import Sandbox, store, submissions
from evaluation.prolific_sandbox.site import get_participant
from evaluation.publish import publish
from evaluation.reviews import review
from evaluation.schema import Environment
from evaluation.sessions.arrivals import published_hit
from evaluation.sessions.closing import withdraw_session
from evaluation.study import Pay, Recruit, Workers

URL = "http://localhost:8000"
REASON = "x" * 100


class MortalCalls(Calls):
    """Lists its calls; one of them dies before or after it, or loses its reply, or meets a 500."""

    def __init__(self, base, sandbox, at, how):
        self.waited = []
        super().__init__(base, PROLIFIC_SANDBOX_TOKEN, wait=self.waited.append)
        self.sandbox, self.at, self.how = sandbox, at, how
        self.made = []

    def call(self, method, path, body=None, query=None):
        self.made.append(f"{method} {path}")
        now = len(self.made) == self.at
        if now and self.how == "before":
            raise Killed
        if now and self.how in ("lost", "fault"):
            self.sandbox.inject(self.how)
        reply = super().call(method, path, body, query)
        if now and self.how == "after":
            raise Killed
        return reply


class World:
    """A study, a fake of Prolific, and what happens between them.

    Args:
        database: of the study.
        path: of the fake's database.
        app: the one service of the test session, which serves the newest world.
        base: its URL.
        answer: the fixture `answer_all`.
    """

    def __init__(self, database, path, app, base, answer):
        self.clock = Clock()
        self.database = database
        self.sandbox = Sandbox(f"sqlite:///{path}", clock=self.clock)
        app.extensions["prolific_sandbox"] = self.sandbox
        self.api = f"{base}/api/v1/"
        self._answer = answer

    def crowd(self, at=0, how="", *, environment=Environment.SANDBOX):
        return Prolific(MortalCalls(self.api, self.sandbox, at, how), environment)

    def publish(self, crowd=None, **options):
        return publish(self.database, None, crowd or self.crowd(), URL, now=self.clock, **options)

    def review(self, crowd=None, policy=None):
        return review(self.database, None, crowd or self.crowd(), policy, now=self.clock)

    def pay(self, crowd=None, cents=25, reason="Thanks"):
        return pay_bonuses(
            self.database, None, crowd or self.crowd(), cents=cents, reason=reason, now=self.clock
        )

    def rows(self, table):
        with self.database.read() as session:
            return list(session.scalars(select(table).order_by(table.id)))

    def fake_rows(self, table):
        with self.sandbox.begin() as unit:
            return list(unit.session.scalars(select(table).order_by(table.id)))

    def hit(self):
        return [hit for hit in self.rows(schema.Hit) if hit.external_id][-1]

    def begin(self, name):
        """Take part on the fake's site; return participant's and submission's ids."""
        with self.sandbox.begin() as unit:
            study = unit.session.scalars(select(store.Study)).one()
            submission = submissions.reserve(unit, get_participant(unit, name), study)
            submissions.start(unit, submission)
            return submission.participant.external_id, submission.external_id

    def rate(self, participant, submission, showings=None):
        """Answer some showings of a session on our page, or all and finish."""
        with self.database.write() as session:
            study = find_study(session, None)
            hit = published_hit(session, study, "prolific", self.hit().external_id)
            worker = get_worker(session, "prolific", hit.environment, participant, self.clock())
            ours = start_session(
                session, study, hit=hit, worker=worker, external_id=submission, now=self.clock()
            )
            self._answer(session, ours, showings=showings, now=self.clock())
            if showings is None:
                finish_session(session, ours, self.clock())

    def hand_in(self, submission, code=None):
        with self.sandbox.begin() as unit:
            if code is None:
                code = self.hit().details["offer"]["completion_code"]
            submissions.hand_in(unit, submissions.find(unit, submission), code)

    def give_back(self, submission):
        with self.sandbox.begin() as unit:
            submissions.give_back(submissions.find(unit, submission))

    def work(self, name):
        """Take part, rate everything, hand in; return the submission's id."""
        participant, submission = self.begin(name)
        self.rate(participant, submission)
        self.hand_in(submission)
        return submission

    def take_back(self, submission):
        """What was approved and paid is withdrawn later: its place stays taken, its trials free."""
        self.review()
        with self.database.write() as session:
            query = select(schema.Assignment).where(schema.Assignment.external_id == submission)
            withdraw_session(session, session.scalars(query).one())

    def statuses(self):
        """The fake's submissions by participant's name."""
        with self.sandbox.begin() as unit:
            found = unit.session.scalars(select(store.Submission))
            return {s.participant.name: s.status.value for s in found}

    def bonuses(self):
        """Participant and cents of every bonus that the fake paid."""
        with self.sandbox.begin() as unit:
            found = unit.session.scalars(select(store.Submission)).all()
            return sorted((s.participant.name, b.cents) for s in found for b in s.bonuses)

    def books(self):
        """Everything that a crash must not change, in both databases, without random ids."""
        with self.sandbox.begin() as unit:
            fake = {
                "studies": sorted(
                    (s.body["internal_name"], s.status, s.places)
                    for s in unit.session.scalars(select(store.Study))
                ),
                "submissions": sorted(
                    (s.participant.name, s.status, s.category, len(s.message))
                    for s in unit.session.scalars(select(store.Submission))
                ),
                "wallet": unit.service.balance_cents,
                "groups": sorted(
                    (g.name, len(g.members)) for g in unit.session.scalars(select(store.Group))
                ),
            }
        with self.database.read() as session:
            ours = {
                "hits": sorted(
                    (h.token, h.state, h.max_assignments)
                    for h in session.scalars(select(schema.Hit))
                ),
                "sessions": sorted(
                    (a.worker.external_id, a.status)
                    for a in session.scalars(select(schema.Assignment))
                ),
                "reviews": sorted(
                    (r.assignment_id, r.number, r.decision, r.state)
                    for r in session.scalars(select(schema.Review))
                ),
                "payments": sorted(
                    (p.token, p.kind, p.cents, p.state)
                    for p in session.scalars(select(schema.Payment))
                ),
            }
        return fake | ours | {"bonuses": self.bonuses()}

    def close(self):
        self.sandbox.close()


def recruit(plan_study, database, *, reward=80, minutes=5.0, trials=20, **workers):
    """Write a planned study of four trials a session that can be published on Prolific."""
    cells = {("a", "b", "golf"): trials // 2, ("a", "b", "beach"): trials - trials // 2}
    plan_study(
        database, cells=cells, workers=Workers(**workers), recruit=Recruit(crowd="prolific"),
        pay=Pay(reward_cents=reward, bonus_cents=3, expected_minutes=minutes),
    )  # fmt: skip
