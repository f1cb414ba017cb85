"""Looks at what the app sees, and plays a whole session that the app undoes before answering.

Nothing is written anywhere: see `webapp.doctor`.
"""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evaluation.doctor.findings import Finding, fail, ok, skip, warn
from evaluation.doctor.media import check_media
from evaluation.doctor.site import Reply, Site

SEEN = "/doctor/seen"
REHEARSAL = "/doctor/rehearsal"
_SPOOFED = "203.0.113.7"  # of a block that is reserved for documentation: nobody's
_ALL = 1000
_LINKED = re.compile(rb'(?:src|href)="(?!data:)([^"#]+\.(?:js|css)[^"]*)"')
_CODE_CHARACTERS = 10
_REFUSED = {
    "paused": "the study is paused; resume it, then look again",
    "nothing_left": "nothing is left to rate; `vgan-eval status` says what is planned",
}


@dataclass(frozen=True)
class Examined:
    """What the app told, for the checks that stand on it; `told` is empty when it refused."""

    told: Mapping[str, Any]
    findings: list[Finding]


def ask_app(site: Site, note: str) -> Examined:
    """Ask the app what it sees of a request. Raises SiteError."""
    reply = site.request(SEEN, headers=_signed(note))
    if reply.status == 200 and reply.json():
        return Examined(reply.json(), [])
    name = "session"
    if reply.status == 401:
        finding = fail(
            name,
            "the app does not take the note signed with --db",
            "give --db and --study of the running app; see its clock, and whether the "
            "proxy passes the Authorization header",
        )
    elif reply.status == 404:
        finding = fail(
            name,
            "the app knows no rehearsal",
            "it is older than this program, or serves a study of simulated raters",
        )
    else:
        finding = fail(name, f"the app answers {reply.status}", "look at its log")
    return Examined({}, [finding])


def check_proxy(site: Site, note: str, told: Mapping[str, Any]) -> list[Finding]:
    """Look whether the app knows https and who comes, and believes nobody outside about it.

    Raises:
        SiteError: the app does not answer.
    """
    chain = ", ".join([_SPOOFED] * 3)
    spoofed = {"X-Forwarded-For": chain, "Forwarded": f"for={_SPOOFED}", "X-Real-IP": _SPOOFED}
    answer = site.request(SEEN, headers={**_signed(note), **spoofed}).json()
    lied = {"X-Forwarded-Proto": "gopher"}
    answered_lie = site.request(SEEN, headers={**_signed(note), **lied}).json()
    return [
        _check_scheme(site, told, answered_lie),
        _check_spoof(answer),
        _check_client(site, told),
    ]


def _check_scheme(site: Site, told: Mapping[str, Any], lied: Mapping[str, Any]) -> Finding:
    name = "proxy scheme"
    if lied.get("scheme") == "gopher":
        return fail(
            name,
            "X-Forwarded-Proto is believed from outside",
            "let the proxy overwrite it, and count proxies in --trusted-proxies",
        )
    if told.get("scheme") != site.scheme:
        return fail(
            name,
            f"the app takes {site.scheme} for {told.get('scheme')}",
            "let the proxy send X-Forwarded-Proto, and start `vgan-eval serve --trusted-proxies 1`",
        )
    return ok(name, f"the app knows that it is {site.scheme}")


def _check_spoof(answer: Mapping[str, Any]) -> Finding:
    name = "proxy spoofing"
    if answer.get("client") == _SPOOFED:
        return fail(
            name,
            "X-Forwarded-For is believed from outside",
            "set --trusted-proxies to the number of proxies of yours, and let the first "
            "one overwrite the header",
        )
    return ok(name, "a made-up X-Forwarded-For is not believed")


def _check_client(site: Site, told: Mapping[str, Any]) -> Finding:
    name = "proxy client"
    try:
        seen = ipaddress.ip_address(str(told.get("client")))
    except ValueError:
        return warn(
            name,
            f"the app sees no address ({told.get('client')!r})",
            "let the proxy send X-Forwarded-For",
        )
    if seen.is_private and not _is_near(site.host):
        return warn(
            name,
            "the app sees a private address, perhaps the proxy's",
            "let the proxy send X-Forwarded-For; --trusted-proxies counts proxies",
        )
    return ok(name, "the app sees an address of the kind that this machine has")


def _is_near(host: str) -> bool:
    """Whether a host is this machine or in its network, where private addresses are right."""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host == "localhost" or "." not in host or host.endswith((".local", ".internal"))


def check_session(site: Site, note: str, told: Mapping[str, Any]) -> list[Finding]:
    """Open the rating page, and start, rate and finish a session that is undone.

    Raises:
        SiteError: the app does not answer.
    """
    findings = [_check_page(site, str(told["page"])), _check_closed(site, str(told["page"]))]
    opened = site.post(REHEARSAL, {"answers": 0}, **_signed(note))
    stopped = _refusal("session start", opened)
    if stopped is not None:
        return [*findings, stopped]
    state = opened.json()
    findings.append(ok("session start", "a session starts, and its first pair is there"))
    findings += check_media(site, state["showing"])
    done = site.post(REHEARSAL, {"answers": _ALL}, **_signed(note))
    stopped = _refusal("session finish", done)
    if stopped is None and done.json().get("code_characters") != _CODE_CHARACTERS:
        stopped = fail(
            "session finish", "all pairs were answered, but no code came", "look at the app's log"
        )
    told_ms = f"every pair rated and handed in, {done.ms:.0f} ms; then undone"
    return [*findings, stopped or ok("session finish", told_ms)]


def _signed(note: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {note}"}


def _refusal(name: str, reply: Reply) -> Finding | None:
    word = reply.json().get("error", "")
    if word in _REFUSED:
        return skip(name, word, _REFUSED[word])
    if reply.status != 200:
        return fail(name, f"the app answers {reply.status} {word}".strip(), "look at its log")
    return None


def _check_page(site: Site, path: str) -> Finding:
    """Open the rating page with its scripts and styles."""
    name = "session page"
    page = site.request(path, headers={"Accept-Encoding": "identity"})
    linked = [found.decode() for found in _LINKED.findall(page.body)]
    if page.status != 200 or not linked:
        return fail(name, f"the rating page answers {page.status}", "look at the app's log")
    for one in linked:
        reply = site.request(one if one.startswith("/") else f"/{one}")
        kind = reply.header("Content-Type")
        if reply.status != 200 or not kind.startswith(("text/javascript", "text/css")):
            return fail(name, f"{one}: {reply.status} {kind}", "let the proxy pass /static/")
    return ok(name, f"the rating page and {len(linked)} scripts and styles")


def _check_closed(site: Site, path: str) -> Finding:
    """Press Start with a ticket that may not: it has to be refused, and nothing is written."""
    ticket = path.partition("ticket=")[2].partition("&")[0]
    reply = site.post("/api/start", {"ticket": ticket, "device": {}})
    if 400 <= reply.status < 500 and reply.json().get("error"):
        return ok("session refusal", "a session that was not offered cannot be started")
    return fail(
        "session refusal",
        f"the app answers {reply.status}",
        "let the proxy pass the app's answers, of 4xx too",
    )
