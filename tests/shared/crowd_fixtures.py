"""A study on the bundled service: both databases, workers on the site, and calls that can die."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select

from crashes import Clock, Killed, break_everywhere
from evaluation import schema
from evaluation.allocation import finish_session, get_worker, start_session
from evaluation.crowd.mturk import MTurk, connect
from evaluation.crowd.mturk_calls import Calls
from evaluation.database import Database, find_study
from evaluation.publish import publish
from evaluation.sandbox import create_service
from evaluation.sandbox import store as service_store
from evaluation.schema import Environment
from evaluation.sessions.arrivals import published_hit
from evaluation.study import Pay, Recruit, Workers
from serving import running

KEY = "AKIDREQUESTER"
URL = "http://localhost:8000"
# A call meets a failing service (a command killed before the call leaves the same), is killed after
# it was done, and loses its reply (seen as an error, and then as a retry by boto3 itself).
_FATES = (
    {"how": "fault"},
    {"how": "after"},
    {"how": "lost"},
    {"how": "lost", "attempts": 4},
)


class MortalCalls(Calls):
    """Lists its calls; one of them dies after it, loses its reply, or meets a fault."""

    def __init__(self, client: Any, sandbox: Any, at: int, how: str) -> None:
        super().__init__(client)
        self.sandbox, self.at, self.how = sandbox, at, how
        self.made: list[str] = []

    def call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        self.made.append(operation)
        now = len(self.made) == self.at
        if now and self.how in ("lost", "fault"):
            name = self._client.meta.method_to_api_mapping[operation]
            self.sandbox.inject(self.how, name)
        reply = super().call(operation, **arguments)
        if now and self.how == "after":
            raise Killed
        return reply


class Front:
    """The WSGI application of the one server of the test session; each test's service is behind."""

    app: Any = None

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self.app(environ, start_response)


class Crowded:
    """A study, a service, and what happens between them.

    Args:
        database: of the study.
        service: URL of the service's database.
        front: the server before the service.
        clients: of boto3, by number of attempts.
        answer_all: the fixture.
    """

    def __init__(
        self, database: Database, service: str, front: Front, clients: dict[int, Any], answer: Any
    ) -> None:
        self.clock = Clock()
        self.database = database
        self.app = create_service(service, clock=self.clock, wait=lambda _: None)
        self.sandbox = self.app.extensions["sandbox"]
        self.site = self.app.test_client()
        self._front, self._clients, self._answer = front, clients, answer
        front.app = self.app

    def crowd(
        self,
        at: int = 0,
        how: str = "",
        *,
        attempts: int = 1,
        environment: Environment = Environment.SANDBOX,
    ) -> MTurk:
        """A requester, whose `_calls.made` lists the calls."""
        calls = MortalCalls(self._clients[attempts], self.sandbox, at, how)
        return MTurk(calls, environment)

    def publish(self, crowd: MTurk | None = None, **options: Any) -> Any:
        return publish(
            self.database, None, crowd or self.crowd(), URL, now=self.clock, **options
        )  # fmt: skip

    def rows(self, table: Any, *where: Any) -> list[Any]:
        with self.database.read() as session:
            return list(session.scalars(select(table).where(*where).order_by(table.id)))

    def service_rows(self, table: Any) -> list[Any]:
        with self.sandbox.begin() as unit:
            return list(unit.session.scalars(select(table).order_by(table.id)))

    def hits(self) -> list[str]:
        """The platform's ids of the published HITs, in the order of their rows."""
        return [hit.external_id for hit in self.rows(schema.Hit) if hit.external_id]

    def accept(self, worker: str, hit: str) -> str:
        reply = self.site.post(f"/worker/{worker}/hits/{hit}/accept")
        assert reply.status_code == 303, reply.text
        return reply.location.rpartition("/")[2]

    def submit(self, assignment: str) -> None:
        data = {"assignmentId": assignment, "checksum": "0"}
        reply = self.site.post("/mturk/externalSubmit", data=data)
        assert reply.status_code == 200, reply.text

    def start(self, worker: str, hit: str, assignment: str, showings: int | None = None) -> None:
        """Begin a session on our page and answer some of its showings, or all and finish."""
        with self.database.write() as session:
            study = find_study(session, None)
            row = published_hit(session, study, "mturk", hit)
            person = get_worker(session, "mturk", row.environment, worker, self.clock())
            ours = start_session(
                session, study, hit=row, worker=person, external_id=assignment, now=self.clock()
            )
            self._answer(session, ours, showings=showings, now=self.clock())
            if showings is None:
                finish_session(session, ours, self.clock())

    def work(self, worker: str, hit: str) -> str:
        """Accept, rate everything, hand in; return the assignment's id."""
        assignment = self.accept(worker, hit)
        self.start(worker, hit, assignment)
        self.submit(assignment)
        return assignment

    def by_worker(self) -> dict[str, Any]:
        """The service's assignments by their worker; each worker has one."""
        with self.sandbox.begin() as unit:
            found = unit.session.scalars(select(service_store.Assignment))
            return {assignment.worker.external_id: assignment for assignment in found}

    def bonuses(self) -> list[tuple[str, int]]:
        """Worker and cents of every bonus that the service paid."""
        with self.sandbox.begin() as unit:
            found = unit.session.scalars(select(service_store.Bonus))
            return sorted((bonus.assignment.worker.external_id, bonus.cents) for bonus in found)

    def balance(self) -> int:
        (account,) = self.service_rows(service_store.Account)
        return int(account.balance_cents)

    def books(self) -> dict[str, Any]:
        """Everything that a crash must not change, in both databases, without random ids."""
        annotation = {}
        with self.sandbox.begin() as unit:
            for hit in unit.session.scalars(select(service_store.Hit)):
                annotation[hit.external_id] = hit.annotation
            service = {
                "hits": sorted(
                    (h.annotation, h.status, h.max_assignments, h.n_approved, h.n_rejected)
                    for h in unit.session.scalars(select(service_store.Hit))
                ),
                "accounts": [
                    (a.balance_cents, a.held_cents)
                    for a in unit.session.scalars(select(service_store.Account))
                ],
                "bonuses": sorted(
                    (b.assignment.worker.external_id, b.cents, b.reason)
                    for b in unit.session.scalars(select(service_store.Bonus))
                ),
                "barred": sorted(
                    q.worker.external_id
                    for q in unit.session.scalars(select(service_store.Qualification))
                ),
                "types": len(unit.session.scalars(select(service_store.QualificationType)).all()),
            }
        with self.database.read() as session:
            of_worker = {
                a.id: (a.worker.external_id, a.status)
                for a in session.scalars(select(schema.Assignment))
            }
            study = {
                "our hits": sorted(
                    (h.token, h.state, h.max_assignments, annotation.get(h.external_id))
                    for h in session.scalars(select(schema.Hit))
                ),
                "assignments": sorted(of_worker.values()),
                "reviews": sorted(
                    (of_worker[r.assignment_id], r.number, r.decision, r.reason, r.state)
                    for r in session.scalars(select(schema.Review))
                ),
                "payments": sorted(
                    (p.token, p.kind, p.cents, p.state)
                    for p in session.scalars(select(schema.Payment))
                ),
            }
        return service | study

    def close(self) -> None:
        self.sandbox.close()


@pytest.fixture(scope="session")
def crowd_front() -> Iterator[tuple[Front, str]]:
    front = Front()
    with running(front) as url:
        yield front, url


@pytest.fixture(scope="session")
def crowd_clients(crowd_front: tuple[Front, str]) -> Iterator[dict[int, Any]]:
    """boto3 clients that try a call so many times."""
    clients = {n: connect(crowd_front[1], KEY, attempts=n)._client for n in (1, 4)}
    yield clients
    for client in clients.values():
        client.close()


@pytest.fixture(scope="session")
def service_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "service.db"
    create_service(f"sqlite:///{path}").extensions["sandbox"].close()
    return path


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 tries again at once."""
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))


@pytest.fixture
def recruit(plan_study: Callable[..., schema.Study]) -> Callable[..., None]:
    """Write a planned study that can be published: `recruit(database, reward=10, trials=88)`."""

    def write(
        database: Database,
        *,
        reward: int = 10,
        trials: int = 88,
        sessions_per_worker: int = 1,
        clips: int = 50,
        **more: Any,
    ) -> None:
        cells = {("a", "b", "golf"): trials // 2, ("a", "b", "beach"): trials - trials // 2}
        plan_study(
            database,
            cells=cells,
            clips=clips,
            workers=Workers(sessions_per_worker=sessions_per_worker, **more),
            pay=Pay(reward_cents=reward, bonus_cents=3),
            recruit=Recruit(crowd="mturk", keywords=("video", "choice")),
        )

    return write


@pytest.fixture
def crowd_on(
    crowd_front: tuple[Front, str],
    crowd_clients: dict[int, Any],
    service_template: Path,
    answer_all: Callable[..., int],
    tmp_path: Path,
) -> Iterator[Callable[..., Crowded]]:
    """Join a study database to a service: `crowd_on(database, service_path)`."""
    made: list[Crowded] = []

    def join(database: Database, path: Path | None = None) -> Crowded:
        if path is None:
            path = tmp_path / "service.db"
            shutil.copy(service_template, path)
        made.append(
            Crowded(database, f"sqlite:///{path}", crowd_front[0], crowd_clients, answer_all)
        )
        return made[-1]

    yield join
    for one in made:
        one.close()


@pytest.fixture
def crowded(
    sqlite_database: Database, recruit: Callable[..., None], crowd_on: Callable[..., Crowded]
) -> Crowded:
    """A study of 22 sessions at ten cents on a fresh service, in SQLite."""
    recruit(sqlite_database)
    return crowd_on(sqlite_database)


def _fates(operation: str) -> Sequence[dict[str, Any]]:
    # A call that only reads has no reply worth losing.
    return _FATES[:2] if operation.startswith(("list_", "get_")) else _FATES


@pytest.fixture
def walk(
    crowd_on: Callable[..., Crowded], tmp_path: Path, no_pauses: None
) -> Callable[..., list[str]]:
    """Break a command at every call it makes: `walk(crowded, act)`, see `break_everywhere`."""
    return partial(break_everywhere, crowd_on, tmp_path, _fates)
