"""Freeze a study without its media, where only the rows are looked at."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from evaluation.planning.plan_rows import StudyRows


@contextmanager
def without_media() -> Iterator[None]:
    """Encode and store nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StudyRows, "encode", lambda *_: None)
        patch.setattr("evaluation.stimuli.prepare_stimuli", lambda *_, **__: None)
        yield
