"""Fixtures of the web and the browser tests: small studies with drawn clips."""

import gc
import shutil
from pathlib import Path

import pytest

import rating_study as module
from evaluation.database import create_database, open_database
from evaluation.storage import LocalStore


@pytest.fixture(scope="session")
def rating_study():
    """The module that makes small studies."""
    return module


@pytest.fixture(scope="session")
def study_template(rating_study, tmp_path_factory):
    """Make each kind of study once; the tests work on copies of its database and clips."""
    made = {}

    def template(recipe) -> tuple[Path, dict]:
        if repr(recipe) not in made:
            folder = tmp_path_factory.mktemp("study")
            # imageio collects garbage at every file it closes, which takes long in a test process.
            gc.freeze()
            with create_database(f"sqlite:///{folder / 'study.db'}") as database:
                pixels = rating_study.build_study(database, folder, recipe)
            gc.unfreeze()
            made[repr(recipe)] = (folder, pixels)
        return made[repr(recipe)]

    return template


@pytest.fixture
def make_study(rating_study, study_template, tmp_path):
    """Return a study of a recipe in this test's own folder."""

    def make(recipe=None):
        folder, pixels = study_template(recipe or rating_study.Recipe())
        shutil.copy(folder / "study.db", tmp_path)
        shutil.copytree(folder / "media", tmp_path / "media")
        url = f"sqlite:///{tmp_path / 'study.db'}"
        return rating_study.Built(url, LocalStore(tmp_path / "media"), pixels)

    return make


@pytest.fixture
def stored(make_study, tmp_path):
    """Read rows of this test's study."""
    url = f"sqlite:///{tmp_path / 'study.db'}"

    def read(query):
        with open_database(url) as database, database.read() as session:
            return session.scalars(query).all()

    return read
