"""Thousands of requests that no page would send: none breaks the application, none is stored."""

import json
import random
import re
import string
import urllib.parse
from datetime import UTC, datetime, timedelta

import pytest
from flask import request, request_started
from sqlalchemy import MetaData, create_engine, select
from werkzeug.routing import Map

from evaluation.database import find_study, open_database
from evaluation.secret import page_key
from evaluation.sessions.tokens import PageToken, sign_token

NOWHERE = "/<nowhere>"
PARAMETERS = (
    "ticket", "rater", "assignmentId", "hitId", "workerId", "turkSubmitTo", "PROLIFIC_PID",
    "STUDY_ID", "SESSION_ID", "participant", "lang",
)  # fmt: skip
DEEP = json.loads('{"a":' + "[" * 900 + "]" * 900 + "}")
ODD = (
    None, True, -1, 0, 10**40, 10**400, 0.5, 1e308, float("nan"), float("inf"), "", " ", "\x00",
    "\ud800", "a" * 3000, "left", "realism", "../../etc/passwd", "' OR 1=1 --", "𝕏", [], [[]],
    {}, {"a": {}}, DEEP,
)  # fmt: skip


def dump(url: str) -> dict[str, list]:
    """Return every row of every table."""
    engine = create_engine(url)
    metadata = MetaData()
    metadata.reflect(engine)
    with engine.connect() as connection:
        found = {
            table.name: sorted(map(repr, connection.execute(select(table)).all()))
            for table in metadata.sorted_tables
        }
    engine.dispose()
    return found


def spoilt(chance: random.Random, text: str) -> str:
    """Return the text with one character changed, cut or doubled.

    Never the last ones: the bits that Base64 leaves over there mean nothing.
    """
    at = chance.randrange(len(text) - 2)
    changed = chance.choice([c for c in string.ascii_letters if c != text[at]])
    return chance.choice(
        (text[:at], text[:at] + changed + text[at + 1 :], text[:at] + text[at] + text[at:])
    )


class Attacker:
    """Makes requests; each has at least one thing wrong that must stop it.

    Args:
        urls: every address of the application.
        key: that a crowd's addresses carry.
        ticket: a good ticket of a rater who has not started.
        token: a good token of a session that was started.
    """

    def __init__(self, urls: Map, key: str, ticket: str, token: str, seed: int) -> None:
        rules = list(urls.iter_rules())
        self.pages = [rule.rule for rule in rules] + [NOWHERE]
        self.posts = [rule.rule for rule in rules if "POST" in rule.methods]
        self.key, self.ticket, self.token = key, ticket, token
        self.chance = random.Random(seed)

    def request(self) -> dict:
        """Return the arguments of a test client's `open`."""
        kinds = (self._page, self._raw_body, self._wrong_token, self._wrong_field, self._ticket)
        return self.chance.choice(kinds)()

    def _noise(self, longest: int = 40) -> str:
        return "".join(self.chance.choices(string.printable, k=self.chance.randrange(1, longest)))

    def _address(self, rule: str) -> str:
        """Return an address of the rule, its variables filled with noise or the crowd's key."""
        return re.sub("<[^>]+>", lambda _: self._segment(), rule)

    def _segment(self) -> str:
        return urllib.parse.quote(self.chance.choice((self._noise(), self.key)), safe="")

    def _page(self) -> dict:
        path = self._address(self.chance.choice(self.pages))
        query = {key: self._noise() + "!" for key in self.chance.sample(PARAMETERS, 3)}
        method = self.chance.choice(("GET", "HEAD", "PUT", "DELETE", "OPTIONS"))
        return {"method": method, "path": path, "query_string": urllib.parse.urlencode(query)}

    def _raw_body(self) -> dict:
        noise = (self._noise(400).encode(), self.chance.randbytes(60))
        body = self.chance.choice((*noise, b"", b"{", b"[1]", b"null", b"[" * 9999))
        kind = self.chance.choice(("application/json", "text/plain", "multipart/form-data", ""))
        path = self._address(self.chance.choice(self.posts))
        headers = self.chance.choice(({}, {"Authorization": f"Bearer {self.token}"}))
        return {
            "method": "POST", "path": path, "data": body, "content_type": kind, "headers": headers,
        }  # fmt: skip

    def _wrong_token(self) -> dict:
        token = self.chance.choice((spoilt(self.chance, self.token), self._noise().strip(), ""))
        header = "".join(c for c in f"Bearer {token}" if c.isprintable())
        good = {"position": 1, "question": "realism", "choice": "left", "rt_ms": 1, "clip_ms": 1}
        return {
            "method": "POST", "path": self.chance.choice(("/api/judgment", "/api/finish")),
            "json": good, "headers": {"Authorization": header},
        }  # fmt: skip

    def _wrong_field(self) -> dict:
        body = {
            "position": 1, "question": "realism", "choice": "left", "rt_ms": 900.0,
            "clip_ms": 500.0, "details": {},
        }  # fmt: skip
        good = {
            "position": {1}, "question": {"realism"}, "choice": {"left"},
            "rt_ms": {True, 0, 0.5}, "clip_ms": {True, 0, 0.5},
        }  # fmt: skip
        if self.chance.random() < 0.2:
            odd = [float("nan"), "\x00", "\ud800", "a" * 20_000]
            body["details"] = self.chance.choice([{"input": v} for v in odd] + [[], "text", 7])
            return self._judgment(body)
        key = self.chance.choice(sorted(good))
        wrong = [v for v in ODD if not (isinstance(v, str | float | int) and v in good[key])]
        body[key] = self.chance.choice(wrong)
        if key in ("rt_ms", "clip_ms") and body[key] is True:
            body[key] = "true"
        return self._judgment(body)

    def _judgment(self, body: dict) -> dict:
        return {
            "method": "POST", "path": "/api/judgment",
            "data": json.dumps(body).encode(), "content_type": "application/json",
            "headers": {"Authorization": f"Bearer {self.token}"},
        }  # fmt: skip

    def _ticket(self) -> dict:
        ticket = self.chance.choice((spoilt(self.chance, self.ticket), *ODD))
        body = {"ticket": ticket, "device": self.chance.choice(ODD)}
        return {
            "method": "POST", "path": self.chance.choice(("/api/open", "/api/start")),
            "data": json.dumps(body).encode(), "content_type": "application/json",
        }  # fmt: skip


@pytest.fixture
def attacked(make_client, rating_study):
    """An application with one session under way, and what an attacker knows of it."""
    client = make_client(rating_study.Recipe(trials=3, raters=3), dashboard_token="t" * 32)

    def ticket_of(rater):
        location = client.get(f"/local?rater={rater}").headers["Location"]
        return urllib.parse.parse_qs(urllib.parse.urlsplit(location).query)["ticket"][0]

    device = {"screen": [1920, 1080]}
    started = client.post("/api/start", json={"ticket": ticket_of("ann"), "device": device}).json
    with open_database(client.built.url) as database, database.read() as session:
        key = page_key(find_study(session, None).secret)
    urls = client.application.url_map
    return client, Attacker(urls, key, ticket_of("bob"), started["token"], seed=20161205)


@pytest.mark.slow
def test_malformed_requests_to_every_address_break_nothing_and_store_nothing(attacked):
    client, attacker = attacked
    reached = set()
    # An error inside a view must become a response, as it would for a stranger.
    client.application.testing = False
    client.application.config["PROPAGATE_EXCEPTIONS"] = False
    before = dump(client.built.url)
    answers: dict[int, int] = {}

    def note(*_, **__):
        reached.add(str(request.url_rule))

    with request_started.connected_to(note, client.application):
        for _ in range(2500):
            asked = attacker.request()
            status = client.open(**asked).status_code
            answers[status] = answers.get(status, 0) + 1
            assert status < 500, asked

    assert dump(client.built.url) == before
    assert answers.get(400, 0) > 250
    assert answers.get(401, 0) > 250
    assert reached == {"None", *map(str, client.application.url_map.iter_rules())}


def test_the_same_requests_put_right_are_stored(attacked):
    """The attack above would store something if it did not spoil its requests."""
    client, attacker = attacked
    before = dump(client.built.url)
    body = {"position": 1, "question": "realism", "choice": "left", "rt_ms": 900, "clip_ms": 500}
    headers = {"Authorization": f"Bearer {attacker.token}"}

    assert client.post("/api/judgment", json=body, headers=headers).status_code == 200
    assert client.post("/api/start", json={"ticket": attacker.ticket}).status_code == 200
    assert dump(client.built.url) != before


def test_an_expired_token_is_refused(attacked, make_study):
    client, _ = attacked
    old = PageToken(1, 1, 1, datetime.now(UTC) - timedelta(minutes=1))
    headers = {"Authorization": f"Bearer {sign_token('5' * 64, old)}"}

    assert client.get("/api/state", headers=headers).status_code == 401


@pytest.mark.parametrize("address", ["/local?rater=a%00", "/join/%00", "/link/key/a%00", "/%00"])
def test_nul_in_an_address_is_refused_before_any_database_sees_it(make_client, address):
    assert make_client().get(address).status_code == 400
