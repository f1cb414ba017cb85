"""Looks at the headers of pages: what the app sends must arrive, and nothing may be added."""

from collections.abc import Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime

from evaluation.doctor.findings import Finding, fail, ok, skip, warn
from evaluation.doctor.site import Reply, Site
from evaluation.doctor.transport import HEALTH

_PAGES = (HEALTH, "/", "/join/doctor")  # answers of the app that need no ticket
_ANYBODY = {"*", "http:", "https:"}
_WARN_S = 5.0
_FAIL_S = 60.0
_THROUGH = "let the proxy pass the app's headers as they are"


def fetch_pages(site: Site) -> list[Reply]:
    """Fetch the pages that are looked at. Raises SiteError."""
    return [site.request(path) for path in _PAGES]


def check_headers(pages: Sequence[Reply]) -> list[Finding]:
    """Look for the app's protective headers on every page."""
    return [
        _check_policy(pages),
        _check_fixed(pages, "nosniff", "X-Content-Type-Options", "nosniff"),
        _check_fixed(pages, "referrer", "Referrer-Policy", "no-referrer"),
        _check_fixed(pages, "cache of pages", "Cache-Control", "no-store"),
    ]


def _directives(policy: str) -> dict[str, list[str]]:
    """Return a content policy as words by directive; the first of a name counts."""
    found: dict[str, list[str]] = {}
    for rule in policy.split(";"):
        words = rule.split()
        if words:
            found.setdefault(words[0].lower(), words[1:])
    return found


def _check_policy(pages: Sequence[Reply]) -> Finding:
    name = "content policy"
    policies = [page.all("Content-Security-Policy") for page in pages]
    if any(not found for found in policies):
        return fail(name, "no Content-Security-Policy on some page", _THROUGH)
    if any(len(found) > 1 for found in policies):
        return warn(name, "two policies: browsers obey both", "let only the app send one")
    rules = [_directives(found[0]) for found in policies]
    if any(rule.get("default-src") != ["'none'"] for rule in rules):
        return fail(name, "it is not the app's: default-src is not 'none'", _THROUGH)
    if any("'unsafe-inline'" in rule.get("script-src", ()) for rule in rules):
        return fail(name, "it lets scripts in the page run", _THROUGH)
    return ok(name, "the app's own on every page")


def _check_fixed(pages: Sequence[Reply], name: str, header: str, wanted: str) -> Finding:
    wrong = {page.header(header) or "missing" for page in pages if page.header(header) != wanted}
    if wrong:
        return fail(name, f"{header}: {' / '.join(sorted(wrong))}, not {wanted}", _THROUGH)
    return ok(name, f"{header}: {wanted}")


def check_cookies(replies: Sequence[Reply]) -> Finding:
    """Look whether anything sets a cookie: the app does not, and consent texts say so."""
    names = {value.partition("=")[0] for reply in replies for value in reply.all("Set-Cookie")}
    if names:
        return fail(
            "cookies",
            f"set on the way: {', '.join(sorted(names))}",
            "switch off what adds them in the proxy or CDN (stickiness, bot checks)",
        )
    return ok("cookies", "none")


def check_framing(pages: Sequence[Reply], wanted: Sequence[str]) -> Finding:
    """Look who may show the pages in a frame: the named sites, and not everybody.

    Args:
        pages: from `fetch_pages`.
        wanted: origins that have to be able to, such as `https://workersandbox.example`.
    """
    name = "framing"
    for page in pages:
        rules = _directives(page.header("Content-Security-Policy"))
        allowed = rules.get("frame-ancestors")
        if allowed is None:
            return fail(name, "any site may show the pages in a frame", _THROUGH)
        if _ANYBODY.intersection(allowed):
            return fail(
                name,
                f"frame-ancestors {' '.join(allowed)} lets any site in",
                "name the crowd's site with `vgan-eval serve --frame-ancestor`",
            )
        missing = [origin for origin in wanted if not _lets(allowed, origin)]
        if missing:
            return fail(
                name,
                f"{', '.join(missing)} cannot show the pages",
                f"start `vgan-eval serve --frame-ancestor {missing[0]}`",
            )
    return ok(name, "only " + " ".join(allowed or []))


def _lets(allowed: Sequence[str], origin: str) -> bool:
    """Tell whether a frame-ancestors list covers an origin; `https://*.site` covers subdomains."""
    for rule in allowed:
        scheme, star, rest = rule.partition("*.")
        covers = star and origin.startswith(scheme) and origin.endswith("." + rest)
        if rule.rstrip("/") == origin.rstrip("/") or covers:
            return True
    return False


def check_clocks(health: Reply) -> list[Finding]:
    """Compare the proxy's clock (Date) and the app's with this machine's."""
    middle = health.sent_at + (health.received_at - health.sent_at) / 2
    reach_s = (health.received_at - health.sent_at).total_seconds() / 2
    found = []
    try:
        # Date has whole seconds: half of one is lost on average.
        date: datetime | None = parsedate_to_datetime(health.header("Date"))
    except ValueError:
        date = None
    found.append(_check_clock("clock of the proxy", date, middle, reach_s + 1))
    try:
        told: datetime | None = datetime.fromisoformat(str(health.json().get("time", "")))
    except ValueError:
        told = None
    found.append(_check_clock("clock of the app", told, middle, reach_s))
    return found


def _check_clock(name: str, told: datetime | None, here: datetime, reach_s: float) -> Finding:
    if told is None or told.tzinfo is None:
        return skip(name, "it tells no time")
    skew_s = (told - here).total_seconds()
    seen = f"{skew_s:+.1f} s against this machine"
    if abs(skew_s) <= _WARN_S + reach_s:
        return ok(name, seen)
    mend = "run a time service (chrony, systemd-timesyncd) there, and look at this machine's too"
    return warn(name, seen, mend) if abs(skew_s) <= _FAIL_S else fail(name, seen, mend)
