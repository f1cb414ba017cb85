"""Upgrading a database by itself."""

import shutil

import pytest

from evaluation import database as database_module
from evaluation.cli import main
from evaluation.database import create_database, migrations_folder, open_database
from evaluation.errors import DatabaseError
from evaluation.upgrading import Upgrade, newest_revision, upgrade_database


@pytest.fixture
def newer_program(tmp_path, monkeypatch):
    """This program, with one more migration than the database was made with."""
    head = newest_revision()
    folder = tmp_path / "migrations"
    shutil.copytree(migrations_folder(), folder)
    (folder / "versions" / "9998_next.py").write_text(
        '"""Next."""\nfrom alembic import op\nimport sqlalchemy as sa\n'
        f'revision = "9998"\ndown_revision = "{head}"\nbranch_labels = None\ndepends_on = None\n'
        'def upgrade():\n    op.add_column("study", sa.Column("note", sa.Text()))\n'
    )
    monkeypatch.setattr(database_module, "migrations_folder", lambda: folder)
    return head


def test_an_older_database_is_upgraded_once(database_url, newer_program):
    with pytest.raises(DatabaseError, match="run `vgan-eval upgrade`"):
        open_database(database_url)

    assert upgrade_database(database_url) == Upgrade(newer_program, "9998")
    assert upgrade_database(database_url) == Upgrade("9998", "9998")
    open_database(database_url).close()


def test_upgrading_says_what_it_did(tmp_path, capsys):
    url = f"sqlite:///{tmp_path / 'study.db'}"
    create_database(url).close()

    assert main(["upgrade", "--db", url]) == 0
    told = f"The database is at revision {newest_revision()} already.\n"
    assert capsys.readouterr().out == told


def test_upgrading_makes_no_database(empty_database_url, tmp_path, capsys):
    assert main(["upgrade", "--db", empty_database_url]) == 1
    assert "vgan-eval init" in capsys.readouterr().err
    assert not (tmp_path / "study.db").exists()


def test_a_newer_database_is_left_alone(database_url, newer_program, monkeypatch):
    upgrade_database(database_url)
    monkeypatch.undo()

    with pytest.raises(DatabaseError, match="newer version"):
        upgrade_database(database_url)
