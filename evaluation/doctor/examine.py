"""The whole examination, check by check; one that gets no answer fails and the next goes on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from evaluation.database import find_study, open_database
from evaluation.doctor.database import check_health, check_settings
from evaluation.doctor.findings import Finding, fail, skip
from evaluation.doctor.notes import sign_note
from evaluation.doctor.pages import (
    check_clocks,
    check_cookies,
    check_framing,
    check_headers,
    fetch_pages,
)
from evaluation.doctor.rehearsal import ask_app, check_proxy, check_session
from evaluation.doctor.site import Site, SiteError
from evaluation.doctor.transport import (
    HEALTH,
    check_hsts,
    check_https,
    check_redirect,
    check_sizes,
    check_speed,
)

Check = Callable[[], list[Finding]]


@dataclass(frozen=True)
class Options:
    """What to look at.

    Args:
        http_port: where plain http would answer; None when that is not known.
        frame_ancestors: sites that have to be able to show the pages in a frame.
        database_url: of the running study, which opens the checks of sessions and clips.
        study: its name; None for the only one.
    """

    http_port: int | None = 80
    frame_ancestors: Sequence[str] = ()
    database_url: str | None = None
    study: str | None = None


def examine(site: Site, options: Options) -> list[Finding]:
    """Examine a running study from outside; nothing is written anywhere.

    Args:
        site: where it answers.
        options: what to look at.

    Returns:
        The findings, in the order of the way from here to a finished session.

    Raises:
        DatabaseError: the database cannot be opened.
        UsageError: no such study in it.
    """
    note = _note(options) if options.database_url else None
    found = _guarded("https certificate", lambda: [check_https(site)])
    found += _guarded("https redirect", lambda: [check_redirect(site, options.http_port)])
    try:
        health = site.request(HEALTH)
    except SiteError as error:
        mend = "see that the name leads to the machine, and the proxy and the app are up"
        return [*found, fail("answers", str(error), mend)]
    found += check_clocks(health) + check_health(health)
    found += _guarded("headers", lambda: _look_at_pages(site, options))
    found += _guarded("body", lambda: check_sizes(site))
    found += _guarded("latency", lambda: check_speed(site))
    if note is None:
        return [*found, skip("session", "clips, proxy and a session", "give --db of the study")]
    return [*found, *_guarded("session", lambda: _rehearse(site, note))]


def _note(options: Options) -> str:
    with open_database(str(options.database_url)) as database, database.read() as session:
        return sign_note(find_study(session, options.study).secret, datetime.now(UTC))


def _guarded(name: str, check: Check) -> list[Finding]:
    try:
        return check()
    except SiteError as error:
        return [fail(name, str(error), "see the logs of the proxy and of the app")]


def _look_at_pages(site: Site, options: Options) -> list[Finding]:
    pages = fetch_pages(site)
    return [
        check_hsts(site),
        *check_headers(pages),
        check_cookies(pages),
        check_framing(pages, options.frame_ancestors),
    ]


def _rehearse(site: Site, note: str) -> list[Finding]:
    examined = ask_app(site, note)
    if not examined.told:
        return examined.findings
    return [
        check_settings(examined.told.get("database", {})),
        *check_proxy(site, note, examined.told),
        *check_session(site, note, examined.told),
    ]
