"""A version stands for one consent text, for ever."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from evaluation.errors import UsageError
from evaluation.freeze import init_study
from evaluation.schema import Consent, Study
from evaluation.sessions.consents import note_consent, text_digest
from evaluation.storage import LocalStore
from evaluation.study_file.reader import load_study
from freezing import without_media

START = datetime(2026, 5, 1, 9, 0, tzinfo=UTC)


@pytest.fixture
def init(sqlite_database, study_toml, tmp_path):
    """Init the small study with these tables at its end; returns what was done."""

    def run(extra):
        path = study_toml(extra=extra)
        store = LocalStore(tmp_path / "media")
        with without_media():
            return init_study(sqlite_database, load_study(path), store, tmp_path / "assets").action

    return run


def consent(text, version="1", german=None):
    translated = f'[text.de]\nconsent = "{german}"\n' if german else ""
    return f'[consent]\ntext = "{text}"\nversion = "{version}"\n{translated}'


def test_another_text_needs_another_version(init):
    init(consent("I agree."))

    with pytest.raises(UsageError, match=r"\[consent\] the text changed, but version '1'"):
        init(consent("I agree to more."))
    assert init(consent("I agree to more.", "2")) == "settings changed"
    assert init(consent("I agree to more.", "2")) == "unchanged"


def test_a_translation_is_part_of_the_version(init):
    init(consent("I agree.", german="Ja."))

    with pytest.raises(UsageError, match="version '1'"):
        init(consent("I agree.", german="Ja doch."))
    assert init(consent("I agree.", "2", german="Ja doch.")) == "settings changed"


def test_an_old_version_cannot_come_back_with_another_text(init, sqlite_database, begin):
    init(consent("I agree."))
    with sqlite_database.write() as unit:
        assignment = begin(unit, unit.scalars(select(Study)).one(), "w")
        note_consent(unit, assignment, "1", "I agree.", START)
        note_consent(unit, assignment, "1", "I agree.", START)
    init(consent("Something else.", "2"))

    with pytest.raises(UsageError, match="version '1'"):
        init(consent("A third text.", "1"))
    assert init(consent("I agree.", "1")) == "settings changed"
    with sqlite_database.read() as session:
        assert session.scalars(select(Consent.text_sha256)).all() == [text_digest("I agree.")]
