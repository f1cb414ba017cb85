"""A study's link has as many places as its plan lacks, and every code is one person's."""

import csv
import json
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, select, update

from evaluation import frozen
from evaluation.allocation import finish_session, get_worker, local_hit, start_session
from evaluation.cli import main
from evaluation.crowd.link import LinkCrowd
from evaluation.errors import NothingLeft, StudyFileError, UsageError
from evaluation.export import session_rows
from evaluation.forgetting import Forgotten, forget
from evaluation.links import (
    LinkFull,
    LinkOver,
    LinkRevoked,
    claim_place,
    completion_url,
    publish_link,
    published_link,
    read_participant,
    session_for,
)
from evaluation.money.ledger import ledger
from evaluation.planning.design import settings_of
from evaluation.publish import extend
from evaluation.publishing.codes import code_rows
from evaluation.publishing.invitations import find_invitation, make_invitations, revoke
from evaluation.reviews import review
from evaluation.schema import (
    Assignment,
    CallState,
    Environment,
    Event,
    Hit,
    Invitation,
    Study,
    Trial,
)
from evaluation.study import Link, Pay, Recruit
from evaluation.study_file.reader import load_study
from evaluation.withdrawing import withdraw

START = datetime(2026, 5, 1, 9, 0, tzinfo=UTC)
# Where the two databases cannot differ.
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
SANDBOX = Environment.SANDBOX
URL = "http://localhost:8000"


def now():
    return START


def refused(plan):
    raise AssertionError("nobody is to be asked")


@pytest.fixture
def linked(database, plan_study):
    """A planned study with [recruit.link], its link open: four places for its sixteen trials."""

    def make(*, link=None, reward=0, sessions=1, publish=True):
        study = plan_study(
            database, sessions_per_worker=sessions, pay=Pay(reward_cents=reward),
            recruit=Recruit(crowd="link", link=link or Link(participant="pid")),
        )  # fmt: skip
        if publish:
            publish_link(database, None, SANDBOX, URL, now=now)
        return study

    return make


def come(database, participant, at=START):
    """Open the link and start; returns the assignment's id."""
    with database.write() as unit:
        study = unit.scalars(select(Study)).one()
        hit = published_link(unit, study, SANDBOX)
        theirs = session_for(unit, study, hit, participant, at)
        claim_place(unit, hit, participant, theirs, at)
        worker = get_worker(unit, "link", SANDBOX, participant, at)
        return start_session(unit, study, hit=hit, worker=worker, external_id=theirs, now=at).id


def finish(database, assignment, answer_all):
    with database.write() as unit:
        one = unit.get_one(Assignment, assignment)
        answer_all(unit, one)
        return finish_session(unit, one, START + timedelta(minutes=5))


def test_a_link_has_the_places_that_the_plan_lacks(database, linked):
    linked(publish=False, reward=25)

    plan = publish_link(database, None, SANDBOX, URL, now=now)

    assert (plan.places, plan.taken, plan.open, plan.trials) == (4, 0, 4, 16)
    assert plan.reward_cents == 25
    assert plan.address.startswith(f"{URL}/link/")
    assert plan.address.endswith("?pid=ID")
    again = publish_link(database, None, SANDBOX, URL, now=now)
    assert (again.places, again.trials, again.address) == (4, 0, plan.address)


def link_row(database):
    with database.read() as session:
        hit = session.scalars(select(Hit)).one()
        published = session.scalars(select(Event).where(Event.kind == "publish")).all()
        return hit.max_assignments, hit.expires_at, hit.details["url"], len(published)


@on_sqlite
def test_publishing_a_link_again_never_ends_it_sooner(database, linked, answer_all):
    linked(reward=25)
    extend(database, None, LinkCrowd(database, SANDBOX), timedelta(days=30), now)
    extended = START + timedelta(days=30)

    again = publish_link(database, None, SANDBOX, URL, confirm=refused, now=now)
    assert again.is_empty
    assert link_row(database) == (4, extended, URL, 1)  # nothing lacks
    with database.write() as unit:
        unit.scalars(select(Hit)).one().max_assignments = 3

    assert not publish_link(database, None, SANDBOX, URL, now=now).is_empty  # one place lacks
    assert link_row(database) == (4, extended, URL, 2)


@on_sqlite
def test_a_link_that_lacks_nothing_can_still_be_moved_to_another_host(database, linked):
    linked()

    moved = publish_link(database, None, SANDBOX, "http://localhost:9000", now=now)

    assert not moved.is_empty
    assert link_row(database)[2:] == ("http://localhost:9000", 2)


@on_sqlite
def test_a_link_that_is_over_is_not_opened_again_for_nobody(database, linked):
    linked(link=Link(participant="pid", quota=4))
    with database.write() as unit:
        unit.execute(update(Trial).values(free=False))
    later = START + timedelta(days=60)

    assert publish_link(database, None, SANDBOX, URL, now=lambda: later).is_empty

    assert link_row(database)[1] < later


@on_sqlite
def test_a_link_that_was_over_has_as_many_places_again_as_the_plan_lacks(database, linked):
    linked()

    again = publish_link(database, None, SANDBOX, URL, now=lambda: START + timedelta(days=60))

    assert (again.places, again.taken, again.trials) == (4, 0, 16)


@on_sqlite
def test_saying_no_publishes_nothing(database, linked):
    linked(publish=False)

    assert publish_link(database, None, SANDBOX, URL, confirm=lambda _: False, now=now) is None
    with database.read() as session:
        assert session.scalars(select(Hit)).all() == []


def test_a_full_link_lets_nobody_new_in_and_everybody_inside_finish(database, linked, answer_all):
    linked(link=Link(participant="pid", quota=2))
    first, second = come(database, "a"), come(database, "b")

    with pytest.raises(LinkFull):
        come(database, "c")
    assert come(database, "a") == first
    assert finish(database, second, answer_all)
    with pytest.raises(LinkFull):
        come(database, "c")


@on_sqlite
def test_a_place_that_was_left_is_given_again(database, linked):
    linked(link=Link(participant="pid", quota=1))
    come(database, "a")

    late = START + timedelta(minutes=36)

    assert come(database, "b", late)


@on_sqlite
def test_a_link_that_is_over_keeps_those_inside(database, linked):
    linked()
    first = come(database, "a")
    after = START + timedelta(hours=169)

    with pytest.raises(LinkOver):
        come(database, "b", after)
    assert come(database, "a", after) == first


def test_twelve_at_once_take_three_places_once(database, linked):
    linked(link=Link(participant="pid", quota=3))
    barrier = threading.Barrier(12)

    def arrive(i):
        barrier.wait(timeout=30)
        try:
            return come(database, f"p{i}")
        except LinkFull:
            return None

    with ThreadPoolExecutor(12) as pool:
        got = [one for one in pool.map(arrive, range(12)) if one is not None]

    assert len(got) == len(set(got)) == 3


@on_sqlite
def test_a_participant_takes_part_once_and_sees_their_code_again(database, linked, answer_all):
    study = linked()
    first = come(database, "a")
    finish(database, first, answer_all)

    with database.read() as session:
        hit = published_link(session, study, SANDBOX)
        again = session_for(session, study, hit, "a", START)
        assert again == session.get_one(Assignment, first).external_id
    assert come(database, "a") == first


@on_sqlite
def test_a_second_session_is_another_one_where_the_study_allows_two(database, linked, answer_all):
    linked(sessions=2)
    first = come(database, "a")
    finish(database, first, answer_all)

    assert come(database, "a") != first


@on_sqlite
def test_nothing_left_is_said_before_anything_starts(database, linked, answer_all):
    linked(link=Link(participant="pid"), sessions=9)
    for _ in range(4):
        finish(database, come(database, "a"), answer_all)
    with database.write() as unit:
        unit.scalars(select(Hit)).one().max_assignments = 99

    with pytest.raises(NothingLeft):
        come(database, "b")


def reviewed(database):
    crowd = LinkCrowd(database, SANDBOX)
    return review(database, None, crowd, now=lambda: START + timedelta(hours=1))


def test_who_comes_back_has_a_new_session_that_is_reviewed_and_forgotten(
    database, linked, answer_all
):
    study = linked(reward=25)
    finish(database, come(database, "AAA"), answer_all)
    assert reviewed(database).approve == 1
    later = {"older_than_days": 1, "now": lambda: START + timedelta(days=9)}
    for goes in (
        lambda: withdraw(database, "AAA", key=b"k" * 32),
        lambda: forget(database, key=b"k" * 32, **later),
    ):
        goes()
        publish_link(database, None, SANDBOX, URL, now=now)
        finish(database, come(database, "AAA"), answer_all)
        assert reviewed(database).approve == 1

    assert forget(database, key=b"k" * 32, **later) == Forgotten(people=1, owed=0)
    with database.read() as session:
        sessions = list(session_rows(session, study, key=b"k" * 32))
    assert len({row["assignment"] for row in sessions}) == len(sessions) == 2
    assert [row["session"] for row in sessions] == [1, 2]


@on_sqlite
def test_a_session_that_an_earlier_version_numbered_like_one_that_is_gone_is_reviewed(
    database, linked, answer_all
):
    linked(reward=25)
    first = come(database, "AAA")
    with database.read() as session:
        number = session.get_one(Assignment, first).external_id
    finish(database, first, answer_all)
    reviewed(database)
    withdraw(database, "AAA", key=b"k" * 32)
    publish_link(database, None, SANDBOX, URL, now=now)
    second = come(database, "AAA")
    with database.write() as unit:
        unit.get_one(Assignment, second).external_id = number
    finish(database, second, answer_all)

    again = reviewed(database)

    assert (again.approve, again.already) == (1, 0)
    assert reviewed(database).already == 1


def test_every_code_is_one_sessions_own(database, linked, answer_all):
    study = linked()
    codes = {finish(database, come(database, who), answer_all) for who in ("a", "b")}
    come(database, "c")

    with database.read() as session:
        rows = code_rows(session, study, SANDBOX)

    assert [(row["participant"], row["status"]) for row in rows] == [
        ("a", "submitted"), ("b", "submitted"), ("c", "accepted"),
    ]  # fmt: skip
    assert {row["code"] for row in rows} == codes | {""}
    assert len(codes) == 2
    assert [row["seconds"] for row in rows] == [300.0, 300.0, ""]


@on_sqlite
def test_code_of_a_session_in_which_the_clock_was_set_back_has_no_seconds(
    database, linked, answer_all
):
    study = linked()
    finish(database, come(database, "a"), answer_all)
    with database.write() as session:
        (one,) = session.scalars(select(Assignment))
        one.submitted_at = one.accepted_at - timedelta(seconds=1)

    with database.read() as session:
        assert [row["seconds"] for row in code_rows(session, study, SANDBOX)] == [""]


@on_sqlite
def test_the_codes_of_a_room_are_listed_with_those_of_the_link(
    database, linked, begin, answer_all, typed, tmp_path
):
    linked()
    by_link = finish(database, come(database, "a"), answer_all)
    with database.write() as unit:
        study = unit.scalars(select(Study)).one()
        one = begin(unit, study, "rater-1", environment=Environment.PRODUCTION)
        answer_all(unit, one)
        in_room = finish_session(unit, one, START + timedelta(minutes=5))
    out = tmp_path / "codes.csv"

    assert typed("codes", "--out", str(out)) == (0, f"{out}: 2 submitted.\n")

    with out.open(encoding="utf-8", newline="") as file:
        rows = [(row["participant"], row["code"], row["crowd"]) for row in csv.DictReader(file)]
    assert rows == [("a", by_link, "link"), ("rater-1", in_room, "local")]


@on_sqlite
def test_codes_of_a_study_on_a_platform_only_are_refused(database, plan_study, typed, tmp_path):
    study = plan_study(database)
    with database.write() as unit:
        unit.add(
            Hit(
                study_id=study.id, crowd="mturk", environment=SANDBOX, token="t", external_id="e",
                state=CallState.DONE, created_at=START,
            )
        )  # fmt: skip
    out = tmp_path / "codes.csv"

    code, printed = typed("codes", "--out", str(out))

    assert (code, out.exists()) == (2, False)
    assert "is published on mturk, where workers hand in without a code" in printed


@on_sqlite
def test_the_completion_address_has_code_and_participant_set_in(database, linked, answer_all):
    address = "https://x.example/done?c={code}&p={participant}"
    link = Link(participant="pid", pattern=".+", completion=address)
    study = linked(link=link)
    code = finish(database, come(database, "a b&c"), answer_all)

    with database.read() as session:
        one = session.scalars(select(Assignment)).one()
        assert completion_url(study, one) == f"https://x.example/done?c={code}&p=a%20b%26c"


@pytest.mark.parametrize(
    "value", ['=HYPERLINK("https://a.example")', "@SUM(B2)", "-1+cmd|' /C x'!A0", "\x1b[2J", "a\n"]
)
def test_an_id_that_a_spreadsheet_or_terminal_would_act_on_is_none(value):
    anything = Link(participant="id", pattern=r"[\s\S]+")

    assert read_participant(anything, value) is None
    for usual in ("ann+1@lab.example", "+491701234567", "-5", "_a-b", "Ünal 7"):
        assert read_participant(anything, usual) == usual


def test_an_id_must_match_the_pattern_as_a_whole():
    settings = Link(participant="id", pattern="[1-9][0-9]{1,6}")

    assert read_participant(settings, "1234") == "1234"
    for wrong in ("", "0123", "12345678", "12\n", "12 ", "9" * 300):
        assert read_participant(settings, wrong) is None
    assert read_participant(Link(), "1234") is None


@on_sqlite
def test_invitations_are_one_persons_and_can_be_revoked(database, linked, tmp_path):
    study = linked(link=Link())
    out = tmp_path / "links.csv"

    assert make_invitations(database, None, SANDBOX, 3, out, START) == (3, False)

    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    rows = list(csv.DictReader(out.read_text().splitlines()))
    ends = [row["link"].rsplit("/", 1)[-1] for row in rows]
    assert [row["number"] for row in rows] == ["1", "2", "3"]
    assert len(set(ends)) == 3
    assert all(len(end) == 20 for end in ends)
    come(database, ends[0])
    assert revoke(database, None, SANDBOX, [rows[1]["link"]], START) == 1
    assert revoke(database, None, SANDBOX, [], START, unused=True) == 1
    with database.read() as session:
        hit = published_link(session, study, SANDBOX)
        gone = [find_invitation(session, hit, end).revoked_at is not None for end in ends]
    assert gone == [False, True, True]
    with pytest.raises(UsageError, match="no such link"):
        revoke(database, None, SANDBOX, ["nonsense"], START)
    with pytest.raises(UsageError, match="exists"):
        make_invitations(database, None, SANDBOX, 3, out, START)


@on_sqlite
def test_revoking_all_unused_links_leaves_those_of_another_study(database, linked, plan_study):
    linked(link=Link())
    other = plan_study(database, name="other")
    with database.write() as unit:
        hit = local_hit(unit, other, "link", SANDBOX, START)
        unit.add(Invitation(hit_id=hit.id, token="t" * 20, created_at=START))

    assert revoke(database, "study", SANDBOX, [], START, unused=True) == 0


@on_sqlite
def test_withdrawing_forgets_the_link_too(database, linked, tmp_path):
    linked(link=Link())
    make_invitations(database, None, SANDBOX, 1, tmp_path / "links.csv", START)
    with database.read() as session:
        token = session.scalars(select(Invitation.token)).one()
    come(database, token)

    withdraw(database, token, key=b"k" * 32)

    with database.read() as session:
        left = session.scalars(select(Invitation)).one()
    assert left.token != token
    assert left.revoked_at is not None


@on_sqlite
def test_who_withdraws_is_paid_for_a_finished_session_and_for_no_other(
    database, linked, answer_all
):
    linked(reward=25)
    code = finish(database, come(database, "ann"), answer_all)
    come(database, "ben")
    for who in ("ann", "ben"):
        withdraw(database, who, key=b"k" * 32)

    with database.read() as session:
        study = session.scalars(select(Study)).one()
        (row,) = code_rows(session, study, SANDBOX)
        hit = published_link(session, study, SANDBOX).external_id
    (listed,) = LinkCrowd(database, SANDBOX).assignments(hit)
    assert (row["participant"], row["code"]) == ("ann", code)
    assert row["accepted_at"] == row["submitted_at"] == row["seconds"] == ""  # none are kept
    assert (listed.worker, listed.status) == ("ann", "submitted")


@on_sqlite
def test_a_link_needs_publishing_before_invitations(database, linked, tmp_path):
    linked(publish=False)

    with pytest.raises(UsageError, match="publish --crowd link"):
        make_invitations(database, None, SANDBOX, 3, tmp_path / "links.csv", START)
    assert not (tmp_path / "links.csv").exists()


@pytest.fixture
def typed(database, capsys):
    def run(*arguments):
        capsys.readouterr()
        code = main([*arguments, "--db", database.url])
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return run


def test_a_participant_without_credit_is_looked_up_by_their_code(
    database, linked, answer_all, typed
):
    linked(reward=25)
    code = finish(database, come(database, "pat"), answer_all)
    come(database, "kim")

    exit_code, found = typed("worker", code)

    assert exit_code == 0
    assert found.startswith("study, link (sandbox): submitted\n  worker pat, ")
    assert "accepted 2026-05-01 09:00 UTC, finished 2026-05-01 09:05 UTC\n" in found
    assert found.endswith(f"  completion code {code}\n  not reviewed\n  no payments\n")
    assert "kim" not in found


def test_the_commands_publish_list_review_and_expire(database, linked, answer_all, typed, tmp_path):
    study = linked(reward=25, publish=False)

    code, printed = typed("publish", "--crowd", "link")
    assert code == 0, printed
    assert "lets in 4 more people" in printed
    assert "1.00 USD for you to pay" in printed
    assert "?pid=ID" in printed
    code, again = typed("publish", "--crowd", "link")
    assert again.startswith("Nothing to publish: ")
    assert "?pid=ID" in again
    finish(database, come(database, "a", datetime.now(UTC)), answer_all)
    code, printed = typed("codes", "--out", str(tmp_path / "codes.csv"))
    assert (code, printed.strip().split(": ")[1]) == (0, "1 submitted.")
    assert stat.S_IMODE((tmp_path / "codes.csv").stat().st_mode) == 0o600
    assert typed("review", "--crowd", "link")[0] == 0
    with database.read() as session:
        assert [(line.kind, line.cents) for line in ledger(session, study)] == [
            ("reward", 25), ("fee", 0),
        ]  # fmt: skip
    assert "1 were settled before" in typed("review", "--crowd", "link")[1]
    links = ("links", "--n", "2", "--out")
    assert "let nobody in" not in typed(*links, str(tmp_path / "open.csv"))[1]
    assert typed("expire", "--crowd", "link")[0] == 0
    assert "They let nobody in yet" in typed(*links, str(tmp_path / "over.csv"))[1]
    with pytest.raises(LinkOver):
        come(database, "b", datetime.now(UTC))


@on_sqlite
def test_a_reward_is_told_where_no_place_is_added(database, linked, typed):
    linked(reward=25, link=Link(participant="pid", quota=1), publish=False)
    typed("publish", "--crowd", "link")
    come(database, "a", datetime.now(UTC))

    code, printed = typed("publish", "--crowd", "link", "--dry-run")

    assert (code, "lets in 0 more people" in printed) == (0, True)
    assert "0.00 USD for you to pay" in printed
    assert "no reward" not in printed


@on_sqlite
def test_a_reward_that_changes_for_people_inside_is_told_before_it_is_agreed_to(
    database, linked, typed
):
    linked(reward=25, publish=False)
    typed("publish", "--crowd", "link")
    with database.write() as unit:
        study = unit.scalars(select(Study)).one()
        pay = {**study.settings["pay"], "reward_cents": 40, "currency": "EUR"}
        study.settings = {**study.settings, "pay": pay}

    nobody_inside = typed("publish", "--crowd", "link", "--dry-run")[1]
    come(database, "a", datetime.now(UTC))
    one_inside = typed("publish", "--crowd", "link", "--dry-run")[1]
    typed("publish", "--crowd", "link")

    assert "The link had" not in nobody_inside
    assert (
        "The link had 0.25 USD each: who has started or finished is reckoned at 0.40 EUR from now "
        "on, but for sessions that `vgan-eval review` has noted before." in one_inside
    )
    assert "The link had" not in typed("publish", "--crowd", "link", "--dry-run")[1]


@on_sqlite
def test_a_ticket_of_a_removed_link_starts_nothing(database, linked, tmp_path):
    study = linked(link=Link())
    make_invitations(database, None, SANDBOX, 1, tmp_path / "links.csv", START)
    with database.write() as unit:
        hit = published_link(unit, study, SANDBOX)
        token = unit.scalars(select(Invitation.token)).one()
        assert session_for(unit, study, hit, token, START)
        unit.execute(delete(Invitation))

    with pytest.raises(LinkRevoked), database.write() as unit:
        claim_place(unit, published_link(unit, study, SANDBOX), token, "wanted", START)


@on_sqlite
def test_production_needs_an_https_address(linked, typed):
    linked(publish=False)

    code, printed = typed("publish", "--crowd", "link", "--production", "--yes",
                          "--url", "http://study.example")  # fmt: skip

    assert code == 2
    assert "https://" in printed


@on_sqlite
@pytest.mark.parametrize("command", [["codes"], ["links", "--n", "2"]], ids=" ".join)
def test_codes_and_links_of_a_public_link_are_not_looked_for_on_this_machine(
    database, linked, typed, tmp_path, command
):
    linked(publish=False)
    publish_link(database, None, Environment.PRODUCTION, "https://study.example", now=now)
    out = ["--out", str(tmp_path / "out.csv")]

    code, printed = typed(*command, *out)

    assert code == 2
    assert "is published on link in production; add --production" in printed
    assert not (tmp_path / "out.csv").exists()
    assert typed(*command, *out, "--production")[0] == 0


@on_sqlite
def test_a_person_is_withdrawn_by_their_whole_link(database, linked, typed, tmp_path):
    linked()
    out = tmp_path / "links.csv"
    make_invitations(database, None, SANDBOX, 1, out, START)
    with out.open(encoding="utf-8", newline="") as file:
        (link,) = (row["link"] for row in csv.DictReader(file))
    come(database, link.rsplit("/", 1)[1])

    assert typed("withdraw", f"{link}/", "--yes")[1].endswith("Removed.\n")


@on_sqlite
def test_withdraw_and_forget_are_typed(database, linked, answer_all, typed, monkeypatch):
    linked()
    monkeypatch.setenv("VGAN_EVAL_PSEUDONYM_KEY", "ab" * 32)
    for who in ("PARTICIPANT1", "PARTICIPANT2"):
        finish(database, come(database, who), answer_all)

    dry = typed("withdraw", "PARTICIPANT1", "--dry-run")
    assert (dry[0], "1 session with 4 judgments; 4 trials" in dry[1]) == (0, True), dry
    assert "Removed." in typed("withdraw", "PARTICIPANT1", "--yes")[1]
    assert typed("withdraw", "PARTICIPANT1", "--yes")[1] == (
        "Nobody is stored under that id, or that pseudonym by the key of VGAN_EVAL_PSEUDONYM_KEY; "
        "nothing was done.\n"
    )
    assert "Forget the ids of 1 person" in typed("forget", "--older-than", "1", "--yes")[1]
    assert typed("forget")[0] == 2


LINK_TABLES = [
    ('[recruit.link]\npreset = "connectx"\n', r":28: \[recruit.link\] preset: .*\"connect\"\?"),
    ('[recruit.link]\nparticpant = "x"\n', r":28: .*did you mean \"participant\"\?"),
    ('[recruit.link]\nparticipant = "a b"\n', r":28: .*'a b' is not a parameter's name"),
    ('[recruit.link]\npattern = "["\n', r":28: .*pattern: is no regular expression"),
    ('[recruit.link]\ncompletion = "done"\n', r":28: .*must be a web address"),
    ('[recruit.link]\ncompletion = "https://{code}.x"\n', r":28: .*must be a web address"),
    ('[recruit.link]\ncompletion = "https://x/{id}"\n', r":28: .*\{id\} is not known"),
    ('[recruit.link]\npreset = "sona"\n', r":27: .*client-side completion URL"),
    ("[recruit.link]\nquota = 0\n", r":28: .*quota: must be from 1"),
    ("[recruit]\nlink = 3\n", r":28: \[recruit\] link: must be a table"),
]


@pytest.mark.parametrize(("extra", "message"), LINK_TABLES, ids=[t[0][15:45] for t in LINK_TABLES])
def test_a_wrong_link_table_is_named_with_its_line(study_toml, extra, message):
    with pytest.raises(StudyFileError, match=message):
        load_study(study_toml(extra=extra, clips=False))


def test_the_presets_know_their_sites(study_toml):
    connect = '[recruit.link]\npreset = "connect"\n'
    credit = "https://u.sona-systems.com/webstudy_credit.aspx?experiment_id=9&credit_token=f"
    sona = f'[recruit.link]\npreset = "sona"\ncompletion = "{credit}&survey_code=XXXX"\n'

    link = load_study(study_toml(extra=connect, clips=False)).recruit.link
    assert link.participant == "participantId"
    link = load_study(study_toml(extra=sona, clips=False)).recruit.link
    assert link.participant == "survey_code"
    assert link.completion == f"{credit}&survey_code={{participant}}"


def test_what_the_study_file_says_reaches_the_link(study_toml):
    table = '[recruit.link]\npreset = "connect"\nquota = 40\n[text.de]\n'
    study = load_study(
        study_toml(("seed = 7", "seed = 7\nretention_days = 90"), extra=table, clips=False)
    )
    settings = json.loads(json.dumps(settings_of(study)))

    assert frozen.recruit(Study(settings=settings)).link == study.recruit.link
    assert study.recruit.link == Link("connect", "participantId", "[A-Za-z0-9]{1,64}", "", 40)
    assert settings["retention_days"] == 90
    assert settings["text"] == {"de": {}}
