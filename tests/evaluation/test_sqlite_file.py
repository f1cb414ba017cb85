"""What lies beside a SQLite file: under which name, and through a link to it."""

import pytest

from evaluation.database import create_database, open_database
from evaluation.errors import UsageError
from evaluation.locations import files_folder
from evaluation.privacy.pseudonyms import installation_key
from evaluation.sqlite_file import files_beside, key_beside


@pytest.fixture
def linked(tmp_path):
    """A database `real/study.db`, and a link to it from `link/mine.db`."""
    for name in ("real", "link"):
        (tmp_path / name).mkdir()
    (tmp_path / "real" / "study.db").touch()
    link = tmp_path / "link" / "mine.db"
    link.symlink_to(tmp_path / "real" / "study.db")
    return link


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("study.db", "study.files"),
        ("study.sqlite", "study.files"),
        ("study.sqlite3", "study.files"),
        ("study.v1", "study.v1.files"),
        ("study.v2", "study.v2.files"),
        ("my.study.db", "my.study.files"),
        ("study", "study.files"),
        ("50%41.db", "50%41.files"),
    ],
)
def test_every_database_has_a_folder_of_its_own(tmp_path, name, folder):
    assert files_beside(str(tmp_path / name)) == tmp_path / folder


def test_a_database_keeps_the_folder_it_was_made_with(tmp_path):
    (tmp_path / "study.v1").touch()
    (tmp_path / "study.files").mkdir()

    assert files_beside(str(tmp_path / "study.v1")) == tmp_path / "study.files"
    assert files_beside(str(tmp_path / "study.v2")) == tmp_path / "study.v2.files"


def test_a_database_on_a_server_has_no_folder(tmp_path):
    assert files_folder("postgresql://host/name", tmp_path) == tmp_path
    with pytest.raises(UsageError, match="--files DIR is missing"):
        files_folder("postgresql://host/name", None)


def test_a_link_to_a_database_has_its_key_and_its_folder(linked, tmp_path):
    real = tmp_path / "real"

    key = installation_key(f"sqlite:///{linked}", {})

    assert key == installation_key(str(real / "study.db"), {})
    assert key_beside(str(linked)) == real / "study.db.key"
    assert files_beside(str(linked)) == real / "study.files"


def test_a_key_and_a_folder_beside_a_link_are_found_and_those_beside_the_file_go_first(
    linked, tmp_path
):
    key, folder = linked.with_name("mine.db.key"), linked.with_suffix(".files")
    key.touch()
    folder.mkdir()
    found = key_beside(str(linked)), files_beside(str(linked))
    (tmp_path / "real" / "study.db.key").touch()
    (tmp_path / "real" / "study.files").mkdir()

    assert found == (key, folder)
    assert key_beside(str(linked)) == tmp_path / "real" / "study.db.key"
    assert files_beside(str(linked)) == tmp_path / "real" / "study.files"


@pytest.mark.parametrize("name", ["we%41ird.db", "why?.db", "a#b.db"])
def test_a_path_is_taken_as_it_is_written(tmp_path, name):
    database = create_database(str(tmp_path / name))
    database.close()

    assert (tmp_path / name).is_file()
    open_database(database.url).close()
    assert [path.name for path in tmp_path.iterdir()] == [name]
