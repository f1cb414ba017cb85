"""A copy of a database that is in use: whole, of one moment, and never in another's place."""

import errno
import os
import sqlite3
import stat

import pytest
from sqlalchemy import text

from evaluation import backup
from evaluation.backup import back_up
from evaluation.cli import main
from evaluation.database import open_database
from evaluation.errors import DatabaseError, UsageError


def count(database):
    with database.read() as session:
        return session.scalar(text("SELECT count(*) FROM noted"))


def test_a_copy_holds_what_was_committed_while_another_writes(sqlite_database, tmp_path):
    with sqlite_database.write() as session:
        session.execute(text("CREATE TABLE noted (n INTEGER)"))
    for n in range(3):  # all of it is in the -wal file still
        with sqlite_database.write() as session:
            session.execute(text("INSERT INTO noted VALUES (:n)"), {"n": n})
    copy = tmp_path / "copy.db"
    with sqlite_database.write() as session:
        session.execute(text("INSERT INTO noted VALUES (99)"))

        assert main(["backup", str(copy), "--db", sqlite_database.url]) == 0

    assert {path.name for path in tmp_path.iterdir() if "copy" in path.name} == {"copy.db"}
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with open_database(str(copy)) as restored:
        with restored.read() as session:
            assert session.scalar(text("PRAGMA journal_mode")) == "wal"
        assert (count(restored), count(sqlite_database)) == (3, 4)


def test_a_database_of_an_older_version_is_copied_before_its_upgrade(sqlite_database, tmp_path):
    with sqlite_database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0000'"))

    back_up(sqlite_database.url, tmp_path / "copy.db")

    with sqlite3.connect(tmp_path / "copy.db") as copy:
        assert copy.execute("SELECT version_num FROM alembic_version").fetchall() == [("0000",)]
    copy.close()


@pytest.mark.parametrize(
    ("database", "copy", "error", "words"),
    [
        ("good.db", "there.db", UsageError, r"there\.db: exists already"),
        ("none.db", "copy.db", DatabaseError, r"none\.db: no database here"),
        ("junk.db", "copy.db", DatabaseError, r"junk\.db: cannot be copied .*not a database"),
        ("good.db", "none/copy.db", DatabaseError, r"the folder .*none does not exist"),
    ],
)
def test_a_copy_that_cannot_be_made_is_refused_and_leaves_nothing(
    tmp_path, database, copy, error, words
):
    for name in ("junk.db", "there.db"):
        (tmp_path / name).write_text("no database\n" * 100)
    sqlite3.connect(tmp_path / "good.db").close()

    with pytest.raises(error, match=words):
        back_up(str(tmp_path / database), tmp_path / copy)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["good.db", "junk.db", "there.db"]
    assert (tmp_path / "there.db").read_text() == "no database\n" * 100


def _files(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("study.db"))


def test_a_stopped_copy_leaves_nothing(sqlite_database, tmp_path, monkeypatch):
    def stopped(_, part):
        part.write_text("half of the people's ids")
        part.with_name(part.name + "-journal").write_text("and more")
        raise KeyboardInterrupt

    monkeypatch.setattr(backup, "_copy", stopped)
    with pytest.raises(KeyboardInterrupt):
        back_up(sqlite_database.url, tmp_path / "copy.db")

    assert _files(tmp_path) == []


@pytest.mark.parametrize("links", [True, False])
def test_a_copy_never_takes_the_place_of_a_file_made_meanwhile(
    sqlite_database, tmp_path, monkeypatch, links
):
    copied = backup._copy

    def copy_while_another_is_made(*files):
        copied(*files)
        (tmp_path / "copy.db").write_text("another's")

    _link_or_not(monkeypatch, links)
    monkeypatch.setattr(backup, "_copy", copy_while_another_is_made)
    with pytest.raises(UsageError, match=r"copy\.db: exists already"):
        back_up(sqlite_database.url, tmp_path / "copy.db")

    assert _files(tmp_path) == ["copy.db"]
    assert (tmp_path / "copy.db").read_text() == "another's"


def test_a_copy_is_made_on_a_disk_without_links(sqlite_database, tmp_path, monkeypatch):
    _link_or_not(monkeypatch, False)

    back_up(sqlite_database.url, tmp_path / "copy.db")

    open_database(str(tmp_path / "copy.db")).close()
    assert _files(tmp_path) == ["copy.db"]


def _link_or_not(monkeypatch, links):
    def refused(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    if not links:
        monkeypatch.setattr(os, "link", refused)


def test_postgresql_is_referred_to_its_own_program(tmp_path):
    with pytest.raises(UsageError, match=r"pg_dump --format=custom --file=\S+copy\.dump --dbname"):
        back_up("postgresql://user:secret@host/name", tmp_path / "copy.dump")
