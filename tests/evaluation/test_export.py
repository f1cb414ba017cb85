"""An export has the contract's columns, nobody's identity, and all files or none."""

import csv
import errno
import os
import re
import signal
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from evaluation import export as export_module
from evaluation.allocation import (
    finish_session,
    next_showing,
    return_session,
    withdraw_session,
)
from evaluation.cli import main
from evaluation.errors import EvaluationError, UsageError
from evaluation.export import export_study, judgment_rows, session_rows
from evaluation.exporting.columns import data_dictionary
from evaluation.exporting.rows import clip_rows
from evaluation.exporting.study_text import public_text
from evaluation.judgments import Answer, record_judgment
from evaluation.privacy.pseudonyms import (
    KEY_VARIABLE,
    database_key,
    installation_key,
    pseudonym,
)
from evaluation.schema import (
    Assignment,
    Clip,
    Environment,
    Judgment,
    Pair,
    Showing,
    Trial,
    TrialKind,
)
from evaluation.sqlite_file import key_beside

START = datetime(2026, 5, 1, 9, 0, tzinfo=UTC)
AFTER_LEASE = START + timedelta(minutes=36)
KEY = bytes(range(32))
CELLS = {("vgan", "real", "golf"): 8}
FULL = {"trials": 4, "practice": 1, "gold": 1, "repeats": 1, "identical": 1}
FILES = ["clips.csv", "data-dictionary.md", "judgments.csv", "sessions.csv", "study.toml"]
CONTRACT = (
    "study,worker,assignment,hit,trial,trial_kind,category,pair_type,left_source,right_source,"
    "left_clip,right_clip,label,choice,rt_ms,answered_at,crowd,"
    "study_hash,batch,session,position,question,source_a,source_b,item,left_origin,right_origin,"
    "correct_choice,repeat_of,clip_ms,loops,counted,simulated,environment"
)


def _read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def rated(database, plan_study, begin, answer_all):
    """A study with one finished session of `A1WORKERID`, and the open database."""
    study = plan_study(database, cells=CELLS, session=FULL, name="paper")
    with database.write() as unit:
        assignment = begin(unit, study, "A1WORKERID", "ASSIGNMENT77")
        assignment.environment_details = {
            "device": "desktop", "screen": [1920, 1080], "viewport": [1200, 800.5],
            "device_pixel_ratio": 1.5, "refresh_hz": 59.9, "reduced_motion": False,
            "user_agent": "Rare Browser/1.0", "languages": "fo,gl",
        }  # fmt: skip
        answer_all(unit, assignment, choice="right", now=START + timedelta(milliseconds=61_500))
        finish_session(unit, assignment, START + timedelta(seconds=90), {"age": "forty-two"})
    return study


def test_the_columns_are_the_contracts_in_its_order(database, rated, tmp_path):
    export_study(database, None, tmp_path / "out", key=KEY)

    header = (tmp_path / "out" / "judgments.csv").read_text().splitlines()[0]
    assert header == CONTRACT
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == FILES


def test_a_judgment_is_exported_as_it_was_given(database, rated, tmp_path):
    export_study(database, None, tmp_path, key=KEY)
    rows = _read(tmp_path / "judgments.csv")
    with database.read() as unit:
        trial, pair = unit.execute(
            select(Trial, Pair)
            .join(Pair, Trial.pair_id == Pair.id)
            .join(Showing, Showing.trial_id == Trial.id)
            .where(Trial.kind == TrialKind.TEST)
            .order_by(Showing.position)
        ).first()
        a, b = (c.name for c in (pair.clip_a, pair.clip_b))
        origin = pair.clip_b.origin_video
    row = next(r for r in rows if r["trial"] == str(trial.id))
    left, right = (a, b) if trial.a_is_left else (b, a)
    sources = ("vgan", "real") if trial.a_is_left else ("real", "vgan")

    assert [int(r["position"]) for r in rows] == list(range(1, 9))  # in the order of recording
    assert (row["left_clip"], row["right_clip"], row["label"]) == (left, right, right)
    assert (row["left_source"], row["right_source"]) == sources
    assert row["pair_type"] == "real__vgan"
    assert (row["source_a"], row["source_b"], row["category"]) == ("vgan", "real", "golf")
    assert row["answered_at"] == "2026-05-01T09:01:01.500Z"
    assert (float(row["rt_ms"]), float(row["clip_ms"])) == (2500.0, 4000.0)
    assert (row["counted"], row["simulated"], row["environment"]) == ("true", "false", "sandbox")
    assert (row["batch"], row["session"], row["question"]) == ("1", "1", "realism")
    assert (row["correct_choice"], row["repeat_of"], row["item"]) == ("", "", "")
    real_side = "left_origin" if sources[0] == "real" else "right_origin"
    assert row[real_side] == origin != ""
    assert row["left_origin" if real_side == "right_origin" else "right_origin"] == ""


@pytest.mark.parametrize(
    ("sent", "loops"),
    [
        ({"loops": 1.25}, 1.25), ({"loops": 0}, 0.0), ({}, None), ({"loops": None}, None),
        ({"loops": "many"}, None), ({"loops": -1}, None), ({"loops": 10**400}, None),
        ({"loops": [1]}, None), ({"loops": "nan"}, None),
    ],
)  # fmt: skip
def test_loops_are_exported_where_the_page_sent_a_number(database, rated, sent, loops):
    with database.write() as unit:
        unit.execute(update(Judgment).values(details=sent))

    with database.read() as unit:
        assert {r["loops"] for r in judgment_rows(unit, rated, key=KEY)} == {loops}


def test_gold_repeat_and_identical_rows_say_what_they_are(database, rated):
    with database.read() as unit:
        rows = {r["trial_kind"]: r for r in judgment_rows(unit, rated, key=KEY)}
        tests = {
            r["trial"]: r for r in judgment_rows(unit, rated, key=KEY) if r["trial_kind"] == "test"
        }

    gold, repeat, same = rows["gold"], rows["repeat"], rows["identical"]
    assert gold["correct_choice"] in ("left", "right")
    good = gold[f"{gold['correct_choice']}_clip"]
    assert int(good[-9:-4]) % 2 == 0  # the factory's good clips have even numbers
    original = tests[repeat["repeat_of"]]
    assert (repeat["left_clip"], repeat["right_clip"]) == (
        original["right_clip"],
        original["left_clip"],
    )
    assert same["left_clip"] == same["right_clip"] == same["label"]


def test_what_pairs_and_clips_have_in_common_is_exported(
    sqlite_database, plan_study, begin, answer_all
):
    study = plan_study(sqlite_database, cells=CELLS)
    with sqlite_database.write() as unit:
        unit.execute(update(Pair).values(item="swing"))
        unit.execute(update(Clip).values(item="swing", prompt="a golfer", origin_frame=9))
        answer_all(unit, begin(unit, study, "w"))
        judgments = list(judgment_rows(unit, study, key=KEY))
        clips = {row["clip"]: row for row in clip_rows(unit, study)}

    assert {row["item"] for row in judgments} == {"swing"}
    real, made = clips["real/golf/00000.mp4"], clips["vgan/golf/00000.mp4"]
    assert (real["item"], real["prompt"], real["origin_frame"]) == ("swing", "a golfer", 9)
    assert made["origin_frame"] is None  # it is of no video


def test_sessions_of_a_worker_in_a_study_are_numbered_as_they_began(
    sqlite_database, plan_study, begin, answer_all
):
    study, other = (plan_study(sqlite_database, name=name) for name in ("one", "two"))
    later = START + timedelta(hours=1)
    with sqlite_database.write() as unit:
        answer_all(unit, begin(unit, other, "w", "elsewhere"))
        for worker, name, now in (("w", "s2", later), ("w", "s1", START), ("v", "s3", later)):
            answer_all(unit, begin(unit, study, worker, name, now))
        sessions = list(session_rows(unit, study, key=KEY))
        judgments = list(judgment_rows(unit, study, key=KEY))

    assert [row["session"] for row in sessions] == [2, 1, 1]
    assert [row["session"] for row in judgments] == [2] * 4 + [1] * 8


def test_one_id_in_two_places_or_with_two_workers_is_two_pseudonyms(
    sqlite_database, plan_study, begin, answer_all
):
    study = plan_study(sqlite_database)
    with sqlite_database.write() as unit:
        for worker, environment in (
            ("w", Environment.SANDBOX), ("w", Environment.SIMULATED), ("v", Environment.SANDBOX)
        ):  # fmt: skip
            answer_all(unit, begin(unit, study, worker, "same", environment=environment))
        judgments = list(judgment_rows(unit, study, key=KEY))[::4]
        sessions = list(session_rows(unit, study, key=KEY))

    for rows in (judgments, sessions):
        assert [row["simulated"] for row in rows] == [False, True, False]
        assert [row["environment"] for row in rows] == ["sandbox", "simulated", "sandbox"]
        assert len({row["worker"] for row in rows}) == len({row["assignment"] for row in rows}) == 3


def test_no_id_of_a_platform_is_in_any_file(database, plan_study, begin, answer_all, tmp_path):
    study = plan_study(database, cells={("a", "b", "golf"): 40}, session=FULL, name="paper")
    workers = [f"A{i}SECRETWORKER" for i in range(5)]
    with database.write() as unit:
        for i, worker in enumerate(workers):
            assignment = begin(unit, study, worker, f"ASSIGN{i}")
            assignment.environment_details = {"user_agent": f"agent of {worker}"}
            answer_all(unit, assignment)
        hit_token = assignment.hit.token

    export_study(database, None, tmp_path / "out", key=KEY, all_judgments=True)

    text = "\n".join(path.read_text() for path in (tmp_path / "out").iterdir())
    for secret in [*workers, *(f"ASSIGN{i}" for i in range(5)), hit_token, study.secret, KEY.hex()]:
        assert secret not in text
    assert len({r["worker"] for r in _read(tmp_path / "out" / "judgments.csv")}) == 5


def test_pseudonyms_link_studies_unless_asked_not_to(
    database, plan_study, begin, answer_all, tmp_path
):
    for name in ("one", "two"):
        study = plan_study(database, name=name)
        with database.write() as unit:
            answer_all(unit, begin(unit, study, "w", name))

    def worker(name, **options):
        export_study(database, name, tmp_path / name, key=KEY, **options)
        return _read(tmp_path / name / "judgments.csv")[0]["worker"]

    assert worker("one") == worker("two")
    assert worker("one", unlinkable=True) != worker("two", unlinkable=True)
    assert worker("one", unlinkable=True) == worker("one", unlinkable=True) != worker("one")


def test_only_counted_judgments_unless_all_are_asked_for_and_never_withdrawn_ones(
    database, plan_study, begin, answer_all
):
    study = plan_study(database, cells={("a", "b", "golf"): 4})
    with database.write() as unit:
        returned = begin(unit, study, "returned")
        answer_all(unit, returned, showings=1)
        return_session(unit, returned)
        late = begin(unit, study, "late")
        on_time = begin(unit, study, "on-time", now=AFTER_LEASE)
        answer_all(unit, on_time, now=AFTER_LEASE)
        answer_all(unit, late, now=AFTER_LEASE)

    def flags(**options):
        with database.read() as unit:
            rows = judgment_rows(unit, study, key=KEY, **options)
            return sorted(r["counted"] for r in rows)

    def sessions():
        with database.read() as unit:
            return [
                (row["status"], row["judgments"], row["counted"])
                for row in session_rows(unit, study, key=KEY)
            ]

    assert flags() == [True] * 4
    assert flags(all_judgments=True) == [False] * 5 + [True] * 4
    assert sessions() == [("returned", 1, 0), ("accepted", 4, 0), ("accepted", 4, 4)]
    with database.write() as unit:
        withdraw_session(unit, unit.merge(late))
    assert flags(all_judgments=True) == [False] + [True] * 4
    assert sessions() == [("returned", 1, 0), ("accepted", 4, 4)]


def test_session_in_which_the_clock_was_set_back_took_no_known_time(database, rated, tmp_path):
    with database.write() as session:
        (one,) = session.scalars(select(Assignment))
        one.submitted_at = one.accepted_at - timedelta(hours=1)
    export_study(database, None, tmp_path, key=KEY)

    (row,) = _read(tmp_path / "sessions.csv")
    assert (row["submitted_at"], row["seconds"]) == ("2026-05-01T08:00:00.000Z", "")


def test_sessions_have_status_times_and_device_but_no_fingerprint(database, rated, tmp_path):
    export_study(database, None, tmp_path, key=KEY)

    (row,) = _read(tmp_path / "sessions.csv")
    assert (row["status"], row["seconds"]) == ("submitted", "90.0")
    assert row["accepted_at"] == "2026-05-01T09:00:00.000Z"
    assert row["submitted_at"] == "2026-05-01T09:01:30.000Z"
    assert (row["trials"], row["judgments"], row["counted"]) == ("8", "8", "4")
    assert (row["device"], row["screen"], row["viewport"]) == ("desktop", "1920x1080", "1200x800.5")
    assert (row["device_pixel_ratio"], row["reduced_motion"]) == ("1.5", "false")
    assert row["survey"] == ""
    text = (tmp_path / "sessions.csv").read_text()
    assert "Rare Browser" not in text
    assert "fo,gl" not in text


@pytest.mark.parametrize(
    ("column", "stored", "exported"),
    [
        ("screen", [10**400, 1], ""), ("screen", [-1, 1], ""), ("screen", [1, 2, 3], ""),
        ("screen", "=1+1", ""), ("device", "=HYPERLINK(1)", ""), ("device", ["desktop"], ""),
        ("device", "tablet", "tablet"), ("refresh_hz", 10**400, ""), ("refresh_hz", "@x", ""),
        ("device_pixel_ratio", "-2+3", ""), ("reduced_motion", "+1", ""),
    ],
)  # fmt: skip
def test_what_no_page_measures_is_exported_as_nothing(
    sqlite_database, plan_study, begin, tmp_path, column, stored, exported
):
    study = plan_study(sqlite_database)
    with sqlite_database.write() as unit:
        begin(unit, study, "w", "a").environment_details = {column: stored}

    export_study(sqlite_database, None, tmp_path, key=KEY)

    assert _read(tmp_path / "sessions.csv")[0][column] == exported


def test_a_trial_is_answered_when_all_its_questions_are(
    database, plan_study, begin, answer_all, tmp_path
):
    study = plan_study(database, questions=("realism", "motion"))
    with database.write() as unit:
        half, whole = (begin(unit, study, name, name) for name in ("half", "whole"))
        answer_all(unit, half, showings=1)
        answer = Answer("realism", "left", 900.0, 900.0, START)
        record_judgment(unit, half, next_showing(unit, half).id, answer)
        answer_all(unit, whole)

    export_study(database, None, tmp_path, key=KEY)

    rows = [(r["trials"], r["judgments"], r["answered"]) for r in _read(tmp_path / "sessions.csv")]
    assert rows == [("4", "3", "1"), ("4", "8", "4")]


def test_the_survey_is_exported_on_request(database, rated, tmp_path):
    export_study(database, None, tmp_path, key=KEY, survey=True)

    assert _read(tmp_path / "sessions.csv")[0]["survey"] == '{"age": "forty-two"}'


@pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX's")
def test_only_their_owner_reads_the_answers_to_a_survey(database, rated, tmp_path):
    modes = []
    for survey in (False, True):
        export_study(database, None, tmp_path, key=KEY, survey=survey)
        modes.append((tmp_path / "sessions.csv").stat().st_mode & 0o077)

    usual = (tmp_path / "judgments.csv").stat().st_mode & 0o077
    assert modes == [usual, 0]


def test_clips_and_the_study_file_are_exported(database, rated, tmp_path):
    report = export_study(database, None, tmp_path, key=KEY)

    rows = {r["clip"]: r for r in _read(tmp_path / "clips.csv")}
    assert report.clips == len(rows)
    assert rows["real/golf/00003.mp4"]["origin_video"] == "golf-video-1"
    assert rows["vgan/golf/00003.mp4"]["origin_video"] == ""
    assert {r["hidden"] for r in rows.values()} == {"true", "false"}
    assert (tmp_path / "study.toml").read_text() == '[study]\nname = "paper"\n'


@pytest.mark.parametrize(
    "link",
    [
        '[recruit.link]\ncompletion = VALUE  # SONA\nquota = 9',
        'recruit.link.completion=VALUE',
        '[recruit]\nlink = { quota = 9, "completion" = VALUE }\nkeywords = []',
    ],
)  # fmt: skip
@pytest.mark.parametrize("value", ['"https://s.example/?t=se\\u0063ret"', "'https://secret.x'"])
def test_the_exported_study_file_lacks_the_address_that_grants_credit(link, value):
    text = f"note = \"completion = 'secret'\"\n# mail: ann@lab.example\n{link}\n"

    public = public_text(text.replace("VALUE", value))

    assert public == text.replace("VALUE", '""')
    assert public_text(public) == public


def test_ties_have_no_label(database, plan_study, begin, answer_all):
    study = plan_study(database, allow_tie=True)
    with database.write() as unit:
        answer_all(unit, begin(unit, study, "w"), choice="tie")

    with database.read() as unit:
        assert {(r["choice"], r["label"]) for r in judgment_rows(unit, study, key=KEY)} == {
            ("tie", None)
        }


def test_a_full_disk_leaves_the_old_export_as_it_was(
    sqlite_database, plan_study, tmp_path, monkeypatch
):
    plan_study(sqlite_database)
    out = tmp_path / "out"
    export_study(sqlite_database, None, out, key=KEY)
    before = {p.name: p.read_bytes() for p in out.iterdir()}

    def no_space(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(export_module.os, "fsync", no_space)
    with pytest.raises(EvaluationError, match=r"judgments\.csv: cannot be written \(No space left"):
        export_study(sqlite_database, None, out, key=KEY)

    assert {p.name: p.read_bytes() for p in out.iterdir()} == before


def test_a_terminated_export_leaves_nothing_in_the_folder(
    sqlite_database, plan_study, tmp_path, monkeypatch, capsys
):
    plan_study(sqlite_database)
    monkeypatch.setattr(export_module.os, "fsync", lambda _: signal.raise_signal(signal.SIGTERM))

    code = main(["export", "--db", sqlite_database.url, "--out", str(tmp_path / "out")])

    assert code == 130
    assert "vgan-eval: interrupted" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_an_export_removes_what_a_killed_one_left_but_nothing_of_one_at_work(
    sqlite_database, plan_study, tmp_path
):
    plan_study(sqlite_database)
    out = tmp_path / "out"
    out.mkdir()
    killed, working = (out / f".judgments.csv.{n}.part" for n in ("0a1b2c3d", "4e5f6a7b"))
    for part in (killed, working, out / ".htaccess.part"):
        part.write_text("study,wor")
    for part in (killed, out / ".htaccess.part"):
        os.utime(part, (0, 0))

    export_study(sqlite_database, None, out, key=KEY)

    assert sorted(p.name for p in out.iterdir()) == [".htaccess.part", working.name, *FILES]


def test_an_export_takes_no_folder_that_holds_another_study(sqlite_database, plan_study, tmp_path):
    out = tmp_path / "out"
    for name in ("first", "second"):
        plan_study(sqlite_database, name=name)
    export_study(sqlite_database, "first", out, key=KEY)
    export_study(sqlite_database, "first", out, key=KEY)
    before = {p.name: p.read_bytes() for p in out.iterdir()}

    with pytest.raises(UsageError, match="holds study `first`, which an export of `second` would"):
        export_study(sqlite_database, "second", out, key=KEY)

    assert {p.name: p.read_bytes() for p in out.iterdir()} == before


def test_an_export_does_not_replace_the_study_file_that_somebody_wrote(
    sqlite_database, plan_study, tmp_path
):
    plan_study(sqlite_database, name="mine")
    written = tmp_path / "study.toml"
    written.write_text('[study]\nname = "mine"\n# a remark\n')

    with pytest.raises(UsageError, match=r"study\.toml is no export's"):
        export_study(sqlite_database, "mine", tmp_path, key=KEY)

    assert "# a remark" in written.read_text()


def test_an_export_over_a_file_is_one_clear_line(sqlite_database, plan_study, tmp_path):
    plan_study(sqlite_database)
    (tmp_path / "out").write_text("a file")

    with pytest.raises(EvaluationError, match=r"cannot be written \(File exists\)"):
        export_study(sqlite_database, None, tmp_path / "out", key=KEY)


def test_the_documented_dictionary_is_the_exported_one():
    documented = Path(__file__).parents[2] / "docs" / "data-dictionary.md"

    assert documented.read_text(encoding="utf-8") == data_dictionary()


def test_the_key_is_made_once_beside_the_database_for_its_owner_only(tmp_path):
    url = f"sqlite:///{tmp_path / 'study.db'}"

    key = installation_key(url, {})

    path = tmp_path / "study.db.key"
    assert len(key) == 32
    assert installation_key(url, {}) == key == bytes.fromhex(path.read_text().strip())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["study.db.key"]


def test_a_key_that_is_made_after_people_took_part_is_told_once(
    sqlite_database, plan_study, begin, answer_all, caplog
):
    study = plan_study(sqlite_database, cells=CELLS)
    before = database_key(sqlite_database, {})
    assert caplog.messages == []
    with sqlite_database.write() as unit:
        assignment = begin(unit, study, "A1WORKERID", "ASSIGNMENT77")
        answer_all(unit, assignment)
        finish_session(unit, assignment, START)
    key_beside(sqlite_database.url).unlink()

    after = database_key(sqlite_database, {})

    assert before != after == database_key(sqlite_database, {})
    assert len(caplog.messages) == 1
    assert "study.db.key: made a new key of the pseudonyms" in caplog.messages[0]


def test_the_key_of_a_server_database_is_in_the_users_configuration(tmp_path):
    key = installation_key("postgresql://host/name", {"XDG_CONFIG_HOME": str(tmp_path)})

    assert (tmp_path / "vgan-eval" / "pseudonym.key").read_text().strip() == key.hex()


def test_the_key_of_the_environment_goes_first(tmp_path):
    url = f"sqlite:///{tmp_path / 'study.db'}"

    assert installation_key(url, {KEY_VARIABLE: KEY.hex()}) == KEY
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UsageError, match=f"{KEY_VARIABLE}: a pseudonym key is 64 hexadecimal"):
        installation_key(url, {KEY_VARIABLE: "abc"})


def test_a_damaged_key_file_is_refused_not_replaced(tmp_path):
    (tmp_path / "study.db.key").write_text("not a key")

    with pytest.raises(UsageError, match=r"study\.db\.key: a pseudonym key is 64 hexadecimal"):
        installation_key(f"sqlite:///{tmp_path / 'study.db'}", {})


def test_pseudonyms_depend_on_key_kind_and_every_part():
    names = {
        pseudonym(KEY, "worker", "mturk", "A1"), pseudonym(KEY, "assignment", "mturk", "A1"),
        pseudonym(KEY, "worker", "mturkA", "1"), pseudonym(bytes(32), "worker", "mturk", "A1"),
    }  # fmt: skip

    assert len(names) == 4
    assert all(re.fullmatch(r"[wa]-[a-z2-7]{16}", name) for name in names)
