"""The threads of one program write to SQLite one after the other, without polling for its lock."""

import threading

import pytest
from sqlalchemy import event, text

from evaluation.database import open_database
from evaluation.errors import DatabaseError


@pytest.fixture
def opened(sqlite_database):
    with open_database(sqlite_database.url, busy_timeout_s=0.02) as impatient:
        yield impatient


def test_a_thread_waits_for_its_turn_without_asking_sqlite(opened):
    refused, sent = [], []

    @event.listens_for(opened._engine, "before_cursor_execute")
    def note(_connection, _cursor, statement, *_):
        sent.append(statement)

    def write():
        try:
            with opened.write():
                refused.append(False)
        except DatabaseError as error:
            refused.append("keeps the database locked" in str(error))

    with opened.write() as session:
        session.execute(text("SELECT 'first'"))
        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
    assert (refused, sent) == ([True], ["BEGIN IMMEDIATE", "SELECT 'first'"])
    with opened.write():  # the turn was given back
        pass


def test_a_failed_unit_gives_its_turn_back(opened):
    with pytest.raises(ZeroDivisionError), opened.write():
        raise ZeroDivisionError
    with opened.write() as session:
        assert session.is_active
