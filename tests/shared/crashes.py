"""Break a command at every call that it makes to a platform, and run it again."""

import shutil
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from sqlite3 import connect
from typing import Any

import pytest

from evaluation.crowd.base import CrowdUnreachable
from evaluation.database import open_database

_FILES = ("study.db", "service.db")


class Clock:
    """One time for the study and the service."""

    def __init__(self) -> None:
        self.time = datetime(2026, 5, 1, 9, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time


class Killed(BaseException):
    """The process dies here; nothing catches it."""


def break_everywhere(
    join: Callable[..., Any],
    folder: Path,
    fates: Callable[[str], Sequence[dict[str, Any]]],
    world: Any,
    act: Callable[[Any, Any], object],
    later: timedelta = timedelta(seconds=2),
) -> list[str]:
    """Break a command at every call it makes, run it again, and compare both databases.

    Args:
        join: makes a world of a study's database and the path of its service's.
        folder: holds both databases of `world`, and takes copies of them.
        fates: what may happen to a call, as `world.crowd(number of the call, ...)` takes it. With
            several `attempts` the command itself gets over it.
        world: the state from which the command starts each time.
        act: the command, of a world and a crowd.
        later: passes before it is run again.

    Returns:
        The calls that an unbroken run makes.
    """
    origin = folder / "origin"
    origin.mkdir()
    for name in _FILES:
        with closing(connect(folder / name)) as old, closing(connect(origin / name)) as copy:
            old.backup(copy)

    def restart(name: str) -> Any:
        shutil.copytree(origin, folder / name)
        study, service = (folder / name / file for file in _FILES)
        again = join(open_database(f"sqlite:///{study}"), service)
        again.clock.time = world.clock.time
        return again

    unbroken = restart("unbroken")
    crowd = unbroken.crowd()
    act(unbroken, crowd)
    wanted, made = unbroken.books(), list(crowd._calls.made)
    unbroken.database.close()
    for at, call in enumerate(made, 1):
        for number, fate in enumerate(fates(call)):
            again = restart(f"{at} {number}")
            mortal = again.crowd(at, **fate)
            if fate.get("attempts", 1) > 1:
                act(again, mortal)
            else:
                with pytest.raises((Killed, CrowdUnreachable)):
                    act(again, mortal)
                again.clock.time += later
                act(again, again.crowd())
            assert again.books() == wanted, (at, call, fate)
            again.database.close()
    return made
