"""The one door to the database: what it opens, what it refuses, and how units behave."""

import os
import shutil
import sqlite3
import stat
import threading
from datetime import UTC, datetime

import pytest
from sqlalchemy import create_engine, event, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, StatementError

from evaluation import database as database_module
from evaluation import schema
from evaluation.database import (
    create_database,
    database_to_fill,
    find_study,
    migrations_folder,
    open_database,
)
from evaluation.engine import make_engine, parsed_url
from evaluation.errors import DatabaseError, UsageError
from evaluation.events import note_event
from evaluation.schema import Event, EventKind


def _study(name="one"):
    return schema.Study(
        name=name, title="t", seed=1, design_hash="0" * 64, design={}, settings={},
        study_file="", secret=name, created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip


def _add_study(database, name="one"):
    with database.write() as session:
        session.add(_study(name))


def _add_event(database, kind):
    with database.write() as session:
        note_event(session, 1, kind, {}, datetime(2026, 1, 1, tzinfo=UTC))


def _execute(url, *statements):
    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def end_connections(url):
    """End all other connections to a database, as a server that restarts does."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    others = "datname = current_database() AND pid <> pg_backend_pid()"
    with engine.connect() as connection:
        ended = connection.scalars(
            text(f"SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE {others}")
        ).all()
    engine.dispose()
    assert ended
    assert all(ended)


def test_a_write_unit_is_committed_and_read_back_aware(database):
    with database.write() as session:
        session.add(_study())
    with database.read() as session:
        study = find_study(session, None)

    assert study.created_at == datetime(2026, 1, 1, tzinfo=UTC)


def test_a_kind_of_event_is_one_that_is_known_and_stays_readable_when_it_is_not(database):
    _add_study(database)
    _add_event(database, EventKind.SETTLED_SESSIONS)
    with database.write() as session:
        older = "INSERT INTO event SELECT 2, study_id, 'bonus', details, created_at FROM event"
        session.execute(text(older))
    with database.read() as session:
        stored = session.scalars(text("SELECT kind FROM event ORDER BY id")).all()
        events = session.scalars(select(Event).order_by(Event.id)).all()
        known = Event.kind.in_([EventKind.SETTLED_SESSIONS, EventKind.INIT])
        found = session.scalars(select(Event).where(known)).all()

    assert stored == ["settled sessions", "bonus"]
    assert [event.kind for event in events] == [EventKind.SETTLED_SESSIONS, "bonus"]
    assert found == events[:1]
    with pytest.raises(StatementError, match="'paid' is not a valid EventKind"):
        _add_event(database, "paid")


def test_a_write_unit_that_raises_leaves_nothing(database):
    def fail_half_way():
        with database.write() as session:
            session.add(_study())
            session.flush()
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail_half_way()
    with database.read() as session:
        assert session.query(schema.Study).count() == 0


def test_a_read_session_cannot_write(database):
    with database.read() as session:
        session.add(_study())
        with pytest.raises(DBAPIError, match=r"read.?only"):
            session.flush()


def test_a_connection_that_wrote_can_only_read_in_the_next_read_session(database):
    for name in ("one", "two"):  # twice, because a connection keeps how it was set
        _add_study(database, name)
        with database.read() as session:
            session.add(_study("three"))
            with pytest.raises(DBAPIError, match=r"read.?only"):
                session.flush()

    assert database._engine.pool.checkedin() == 1


@pytest.mark.postgres
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_connections_that_the_server_has_ended_are_made_anew(database, database_url):
    with database.write(), database.read() as second:
        second.execute(text("SELECT 1"))
    end_connections(database_url)

    _add_study(database)
    with database.read() as session:
        assert find_study(session, None).name == "one"


def test_a_full_disk_is_told_in_one_line(sqlite_database):
    with sqlite_database.write() as session:  # the connection stays in the pool
        session.execute(text("PRAGMA max_page_count = 1"))  # the file cannot grow any more

    with pytest.raises(DatabaseError, match=r"\(database or disk is full\); .*try again") as full:
        _add_study(sqlite_database, "A1WORKER" * 1000)

    assert "\n" not in str(full.value)
    assert "A1WORKER" not in str(full.value)


@pytest.mark.postgres
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_server_that_can_only_be_read_is_told_in_one_line(database):
    def write_there(name):
        with database.write() as session:
            session.execute(text("SET TRANSACTION READ ONLY"))
            session.add(_study(name))

    with pytest.raises(DatabaseError, match=r"read-only transaction\); .*try again") as refused:
        write_there("A1WORKER")

    assert "A1WORKER" not in str(refused.value)
    assert database.writes.fail


@pytest.mark.parametrize(
    "words",
    ["attempt to write a readonly database", "unable to open database file", "disk I/O error"],
)
def test_a_database_that_cannot_be_written_says_what_to_do(sqlite_database, words):
    def reading_without_permission():
        with sqlite_database.read():
            raise OperationalError("SELECT 1", {}, sqlite3.OperationalError(words))

    with pytest.raises(DatabaseError, match=rf"\({words}: .*copy the file, and its -wal"):
        reading_without_permission()


def test_a_database_in_a_folder_without_permission_says_what_to_do(tmp_path):
    # Whoever may write anywhere is kept out too: a folder is where the -wal file has to be.
    create_database(str(tmp_path / "study.db")).close()
    (tmp_path / "study.db-wal").mkdir()

    with pytest.raises(DatabaseError, match=r"study\.db: .*copy the file, and its -wal"):
        open_database(str(tmp_path / "study.db"))


def test_a_copy_that_cannot_be_written_is_read_and_nothing_appears_beside_it(tmp_path, monkeypatch):
    file = tmp_path / "a copy#1.db"
    create_database(str(file)).close()
    monkeypatch.setattr("os.access", lambda _, mode: mode != os.W_OK)

    with open_database(str(file)) as copy:
        with copy.read() as session:
            assert session.scalars(select(schema.Study)).all() == []
        assert list(tmp_path.iterdir()) == [file]
        with pytest.raises(DatabaseError, match=r"readonly database: to be written, .*copy"):
            _add_study(copy, "new")


def test_a_database_that_others_may_be_writing_is_never_read_as_one_that_stays(
    tmp_path, monkeypatch
):
    file = tmp_path / "study.db"
    with create_database(str(file)) as open_elsewhere:
        monkeypatch.setattr("os.access", lambda _, mode: mode != os.W_OK)
        with open_database(str(file)) as reader, reader.read() as session:
            _add_study(open_elsewhere, "new")

            assert [s.name for s in session.scalars(select(schema.Study))] == ["new"]


@pytest.mark.postgres
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("unit", ["read", "write"])
def test_a_connection_that_ends_within_a_unit_is_told_in_one_line(database, database_url, unit):
    def asking_after_the_end():
        with getattr(database, unit)() as session:
            session.execute(text("SELECT 1"))
            end_connections(database_url)
            session.execute(text("SELECT :worker"), {"worker": "A1WORKER"})

    with pytest.raises(DatabaseError, match=r"the database failed .*try again") as failed:
        asking_after_the_end()

    assert "\n" not in str(failed.value)
    assert "A1WORKER" not in str(failed.value)


def test_foreign_keys_are_enforced(database):
    with pytest.raises(IntegrityError) as refused, database.write() as session:
        session.add(schema.Question(study_id=999, position=0, name="A1WORKER", text="?"))

    assert "A1WORKER" not in str(refused.value)  # a log may hold it


def test_a_snapshot_does_not_see_what_is_committed_meanwhile(database):
    with database.read(snapshot=True) as reader:
        before = reader.query(schema.Study).count()
        with database.write() as writer:
            writer.add(_study())
        during = reader.query(schema.Study).count()
    with database.read() as reader:
        after = reader.query(schema.Study).count()

    assert (before, during, after) == (0, 0, 1)


def test_read_then_write_units_of_many_threads_lose_no_update(database):
    with database.write() as session:
        session.add(_study())

    def add_one():
        for _ in range(5):
            with database.write() as session:
                study = session.query(schema.Study).with_for_update().one()
                study.seed += 1

    threads = [threading.Thread(target=add_one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with database.read() as session:
        assert find_study(session, "one").seed == 31


def test_a_sqlite_database_is_durable_and_in_wal_mode(sqlite_database):
    with sqlite_database.read() as session:
        pragmas = {
            name: session.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }

    assert pragmas == {
        "journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 15000
    }  # fmt: skip


def test_a_new_sqlite_database_is_for_its_owner_only_and_an_old_one_keeps_its_mode(tmp_path):
    path = tmp_path / "study.db"
    with create_database(str(path)) as database:
        with database.write() as session:
            session.execute(text("CREATE TABLE noted (n INTEGER)"))
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}

    assert modes == {"study.db": 0o600, "study.db-wal": 0o600, "study.db-shm": 0o600}
    path.chmod(0o640)
    create_database(str(path)).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_sqlite_overwrites_what_is_deleted_whatever_its_own_default(tmp_path):
    engine = make_engine(parsed_url(str(tmp_path / "study.db")), 1.0)
    event.listen(
        engine, "connect", lambda line, _: line.execute("PRAGMA secure_delete = OFF"), insert=True
    )

    with engine.connect() as connection:
        assert connection.scalar(text("PRAGMA secure_delete")) == 1
    engine.dispose()


def test_a_locked_sqlite_database_says_so(tmp_path):
    path = tmp_path / "study.db"
    with create_database(str(path), busy_timeout_s=0) as database:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseError, match="another program keeps the database locked"):
            _add_study(database)
        other.close()
        _add_study(database)  # the connection is usable again


def test_a_failure_closes_the_database_too(tmp_path):
    path = str(tmp_path / "study.db")
    with pytest.raises(DatabaseError), create_database(path) as database, database.read() as unit:
        find_study(unit, None)

    # The last connection that is closed takes the -wal and -shm files away.
    assert [file.name for file in tmp_path.iterdir()] == ["study.db"]


def test_creating_twice_keeps_the_rows(database_url):
    with create_database(database_url) as first, first.write() as session:
        session.add(_study())
    with create_database(database_url) as second, second.read() as session:
        assert find_study(session, None).name == "one"


def test_a_missing_file_is_not_created_by_opening(tmp_path):
    path = tmp_path / "none.db"

    with pytest.raises(DatabaseError, match=r"none\.db: no database here; .*vgan-eval init"):
        open_database(f"sqlite:///{path}")
    assert not path.exists()


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DatabaseError, match=r"the folder .*nowhere does not exist"):
        create_database(f"sqlite:///{tmp_path}/nowhere/study.db")


def test_a_file_that_is_no_database_is_refused(tmp_path):
    path = tmp_path / "notes.db"
    path.write_text("These are notes, and no database at all, of no particular length.\n" * 20)

    with pytest.raises(DatabaseError, match=r"notes\.db: .*not a database"):
        open_database(str(path))
    with pytest.raises(DatabaseError, match=r"notes\.db: .*not a database"):
        create_database(str(path))
    assert path.read_text().startswith("These are notes")


def test_an_empty_database_asks_for_init(empty_database_url, tmp_path):
    if empty_database_url.startswith("sqlite"):
        sqlite3.connect(tmp_path / "study.db").close()

    with pytest.raises(DatabaseError, match="the database is empty; run `vgan-eval init"):
        open_database(empty_database_url)


def test_somebody_elses_database_is_left_alone(empty_database_url):
    _execute(empty_database_url, "CREATE TABLE recipes (id INTEGER)")

    for door in (open_database, create_database):
        with pytest.raises(DatabaseError, match="not a study database"):
            door(empty_database_url)
    engine = create_engine(empty_database_url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM recipes")).scalar() == 0
    engine.dispose()


def test_a_database_of_a_newer_version_is_refused(database_url):
    _execute(database_url, "UPDATE alembic_version SET version_num = '9999'")

    for door in (open_database, create_database):
        with pytest.raises(DatabaseError, match=r"newer version of vgan-eval \(revision 9999"):
            door(database_url)


def test_a_database_of_an_older_version_is_refused_until_upgraded(
    database_url, tmp_path, monkeypatch
):
    folder = tmp_path / "migrations"
    shutil.copytree(migrations_folder(), folder)
    newest = max(file.name[:4] for file in (folder / "versions").glob("0*.py"))
    (folder / "versions" / "9999_next.py").write_text(
        '"""Next."""\nfrom alembic import op\nimport sqlalchemy as sa\n'
        f'revision = "9999"\ndown_revision = "{newest}"\nbranch_labels = None\n'
        "depends_on = None\n"
        'def upgrade():\n    op.add_column("study", sa.Column("note", sa.Text()))\n'
    )
    monkeypatch.setattr(database_module, "migrations_folder", lambda: folder)

    with pytest.raises(DatabaseError, match=rf"older version of vgan-eval \(revision {newest}"):
        open_database(database_url)
    create_database(database_url).close()
    open_database(database_url).close()


def test_a_failed_build_leaves_no_file(tmp_path, monkeypatch):
    def no_space(*args):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(database_module, "_upgrade", no_space)
    with pytest.raises(sqlite3.OperationalError):
        create_database(str(tmp_path / "study.db"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("open_still", [False, True])
def test_a_failed_fill_keeps_what_another_program_made_of_the_file(tmp_path, open_still):
    url = str(tmp_path / "study.db")
    others = []

    def fail_after_another():
        with database_to_fill(url):
            others.append(create_database(url))
            if not open_still:  # it has done its work; else it is about to
                _add_study(others[0])
                others[0].close()
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        fail_after_another()
    if open_still:
        _add_study(others[0])
        others[0].close()

    with open_database(url) as again, again.read() as session:
        assert find_study(session, None).name == "one"


def test_a_failed_build_keeps_what_another_program_made_of_the_file(tmp_path, monkeypatch):
    build = database_module._upgrade
    url = str(tmp_path / "study.db")

    def another_first(*args):
        monkeypatch.setattr(database_module, "_upgrade", build)
        with create_database(url) as other:
            _add_study(other)
        raise KeyboardInterrupt

    monkeypatch.setattr(database_module, "_upgrade", another_first)
    with pytest.raises(KeyboardInterrupt):
        create_database(url)

    with open_database(url) as again, again.read() as session:
        assert find_study(session, None).name == "one"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://host/name", "mysql databases are not supported"),
        ("sqlite://", "must be a file"),
        ("sqlite:///:memory:", "must be a file"),
        ("://study.db", "cannot be read"),
        ("postgresql://host:port/name", "cannot be read"),
    ],
)
def test_other_urls_are_refused(url, message):
    with pytest.raises(DatabaseError, match=message):
        create_database(url)


@pytest.mark.postgres
@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_spelling_of_a_postgresql_url_opens(postgres_server, scheme):
    with pytest.raises(DatabaseError, match=r"empty|not a study"):
        open_database(postgres_server.replace("postgresql+psycopg", scheme, 1))


@pytest.mark.postgres
def test_an_unreachable_server_is_named_without_its_password(tmp_path):
    with pytest.raises(DatabaseError) as caught:
        open_database(f"postgresql://me:hunter2@/name?host={tmp_path}")

    assert "cannot be used" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_several_studies_need_a_name(database):
    with database.read() as session, pytest.raises(DatabaseError, match="holds no study"):
        find_study(session, None)
    with database.write() as session:
        session.add_all([_study("one"), _study("two")])
    with database.read() as session:
        assert find_study(session, "two").name == "two"
        with pytest.raises(UsageError, match="say which with --study: one, two"):
            find_study(session, None)
        with pytest.raises(UsageError, match="no study `three`"):
            find_study(session, "three")
