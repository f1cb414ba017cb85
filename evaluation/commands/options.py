"""What several `vgan-eval` commands share: options, questions before anything is done, bars."""

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from evaluation.errors import UsageError
from evaluation.locations import DATABASE_URL

if TYPE_CHECKING:
    from evaluation.database import Database
    from evaluation.schema import Environment

F = TypeVar("F", bound=Callable[..., Any])

Folder = click.Path(path_type=Path)
SERVE_URL = "http://localhost:8000"  # where `vgan-eval serve` is on this machine


class FiniteRange(click.FloatRange):
    """A range of numbers: `nan` passes the limits of click's, and `inf` its open ends."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number, or fail with the option's name."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a number that can be used.", param, ctx)
        return number


database_option = click.option(
    "--db",
    metavar="URL",
    envvar="VGAN_EVAL_DB",
    default=DATABASE_URL,
    show_default=True,
    help="The study database: sqlite:///FILE or postgresql://USER@HOST/NAME. [env: VGAN_EVAL_DB]",
)
study_option = click.option(
    "--study", metavar="NAME", help="Which study, where the database holds more than one."
)
# Of the commands about the running app only: to others no --study means every study, or none yet.
served_study_option = click.option(
    "--study",
    metavar="NAME",
    envvar="VGAN_EVAL_STUDY",
    help="Which study, where the database holds more than one. [env: VGAN_EVAL_STUDY]",
)
files_option = click.option(
    "--files",
    metavar="DIR",
    envvar="VGAN_EVAL_FILES",
    type=Folder,
    help="Folder of the database's files: encoded clips and clips made for gold trials "
    "(default: for sqlite:///mine.db, mine.files beside it). [env: VGAN_EVAL_FILES]",
)
media_option = click.option(
    "--media",
    metavar="WHERE",
    envvar="VGAN_EVAL_MEDIA",
    help="Where encoded clips lie: a folder or s3://BUCKET/PREFIX (default: media/ in --files). "
    "[env: VGAN_EVAL_MEDIA]",
)
port_option = click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="Port to listen on; 0 takes a free one.",
)
crowd_option = click.option(
    "--crowd",
    metavar="NAME",
    help="The platform (default: crowd in [recruit] of the study file, else mturk).",
)
environment_option = click.option(
    "--sandbox/--production",
    "sandbox",
    default=True,
    show_default=True,
    help="The bundled service or test platform, or real workers and money.",
)
_yes_option = click.option("--yes", is_flag=True, help="Do not ask.")
_dry_run_option = click.option("--dry-run", is_flag=True, help="Say what would be done, and stop.")
url_option = click.option(
    "--url",
    metavar="URL",
    help="The web app's public address, https://HOST in production (default: where the study is "
    f"published already; before that, in the sandbox, {SERVE_URL}).",
)


def study_options(function: F) -> F:
    """Add --db and --study."""
    return database_option(study_option(function))


def media_options(function: F) -> F:
    """Add --files and --media."""
    return files_option(media_option(function))


@dataclass(frozen=True)
class Venue:
    """What a command is about: a study on a crowd, in its sandbox or in production."""

    db: str
    study: str | None
    crowd: str
    sandbox: bool

    @property
    def environment(self) -> "Environment":
        """The sandbox or production."""
        from evaluation.schema import Environment

        return Environment.SANDBOX if self.sandbox else Environment.PRODUCTION

    @property
    def name(self) -> str:
        """The environment in a sentence."""
        return "the sandbox" if self.sandbox else "production"

    @property
    def warning(self) -> str:
        """Crowd and environment in what is to be agreed to."""
        return f"{self.crowd}, {'sandbox' if self.sandbox else 'PRODUCTION'}"


def venue_options(crowd: str) -> Callable[[F], F]:
    """Return what adds --db, --study and --sandbox/--production, of one crowd, as a `Venue`."""

    def add(function: F) -> F:
        @wraps(function)
        def with_venue(db: str, study: str | None, sandbox: bool, **options: Any) -> Any:
            return function(venue=Venue(db, study, crowd, sandbox), **options)

        return study_options(environment_option(cast(F, with_venue)))

    return add


def crowd_options(function: F) -> F:
    """Add --db, --study, --crowd and --sandbox/--production, as a `Venue`."""

    @wraps(function)
    def with_venue(
        db: str, study: str | None, crowd: str | None, sandbox: bool, **options: Any
    ) -> Any:
        from evaluation.crowd.open import study_crowd

        venue = Venue(db, study, crowd or study_crowd(db, study), sandbox)
        return function(venue=venue, **options)

    return study_options(crowd_option(environment_option(cast(F, with_venue))))


def check_published(database: "Database", venue: Venue) -> None:
    """Look whether a command is about where the study is published; say so where that is twice.

    Raises:
        UsageError: it is published in the other environment only.
    """
    from evaluation.database import find_study
    from evaluation.publishing.environments import check_environment

    with database.read() as session:
        found = find_study(session, venue.study)
        places = check_environment(session, found, venue.crowd, venue.environment)
        if len(places) > 1:
            click.echo(
                f"Study `{found.name}` is published on {venue.crowd} in the sandbox and in "
                f"production; this is about {venue.name}."
            )


@dataclass(frozen=True)
class Asking:
    """How a command asks before it does anything: --yes and --dry-run."""

    yes: bool
    dry_run: bool

    def agreed(self, text: str, *, unasked: bool = False) -> bool:
        """Show what is about to happen; ask unless told not to, or where it is done `unasked`.

        Raises:
            UsageError: there is nobody to ask.
        """
        click.echo(text)
        if self.dry_run or not (self.yes or unasked or _confirmed()):
            click.echo("Nothing was done.")
            return False
        return True


def asking_options(function: F) -> F:
    """Add --yes and --dry-run, as `Asking`."""

    @wraps(function)
    def with_asking(yes: bool, dry_run: bool, **options: Any) -> Any:
        return function(asking=Asking(yes, dry_run), **options)

    return _yes_option(_dry_run_option(cast(F, with_asking)))


def _confirmed() -> bool:
    try:
        return click.confirm("Go on?", default=False)
    except click.Abort:
        if sys.stdin.isatty():
            raise
        click.echo()  # ends the line of the question
        raise UsageError("nobody can be asked here; give --yes") from None


@dataclass(frozen=True)
class Address:
    """Where workers reach the web app: `url` from now on, `before` by what is published already."""

    url: str
    before: str

    def line(self, *, grown: bool = False) -> str:
        """Say where workers are sent; a HIT that is `grown` keeps the address it has."""
        if not self.before or self.before == self.url:
            return f"Workers are sent to {self.url}."
        if grown:
            return f"Workers are sent to {self.before}: the published HIT keeps its address."
        return (
            f"Workers are sent to {self.url}; what was published before sends them to "
            f"{self.before}."
        )


def checked_address(venue: Venue, url: str | None) -> Address:
    """Return the address of the web app; one that workers cannot reach is refused.

    So is a crowd without an endpoint, before an address is asked for that could not help.
    """
    from evaluation.crowd.open import check_endpoint
    from evaluation.database import find_study, open_database
    from evaluation.publish import check_public_url
    from evaluation.publishing.environments import published_address

    environment = venue.environment
    check_endpoint(venue.crowd, environment)
    with open_database(venue.db) as database, database.read() as session:
        before = published_address(session, find_study(session, venue.study), environment) or ""
    found = url or before or (SERVE_URL if venue.sandbox else "")
    if not found:
        raise UsageError("--url is missing: the address at which workers reach `vgan-eval serve`")
    check_public_url(found, environment)
    return Address(found.rstrip("/"), before)


@contextmanager
def progress_bars() -> Iterator[Callable[[str, int, int], None]]:
    """Yield a function (stage, done, total) that draws one progress bar per stage."""
    from tqdm import tqdm

    bars: dict[str, tqdm] = {}  # type: ignore[type-arg] # a bar that counts has no items

    def show(stage: str, done: int, total: int) -> None:
        if stage not in bars:
            bars[stage] = tqdm(total=total, desc=stage, unit="", leave=False, disable=None)
        bars[stage].update(done - bars[stage].n)

    try:
        yield show
    finally:
        for bar in bars.values():
            bar.close()
