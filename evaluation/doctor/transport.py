"""Looks at the way to the app: TLS, redirect, sizes that pass, connections, and its time."""

import ssl
import statistics
import time
from dataclasses import replace
from urllib.parse import urlsplit

from evaluation.doctor.findings import Finding, fail, ok, skip, warn
from evaluation.doctor.site import CertificateRefused, Reply, Site, SiteError

_DAY_S = 86_400
_FEW_DAYS = 14
_HSTS_S = 180 * _DAY_S
_SLOW_MS = 500.0
_ASKED = 7
_JUDGMENT_BYTES = 40_000  # the largest that a rating page sends, with room
_FLOOD_BYTES = 1_000_000
HEALTH = "/healthz"


def check_https(site: Site) -> Finding:
    """Look whether the pages come over TLS with a certificate that browsers take."""
    name = "https certificate"
    if site.scheme == "http":
        return fail(
            name,
            "the address is http: tickets and answers travel in the clear",
            "put a proxy with a certificate in front, as deploy/compose.yaml does",
        )
    try:
        days = _days_left(site)
    except CertificateRefused as error:
        return fail(name, str(error), "renew it, for exactly this host name, with its whole chain")
    if days < _FEW_DAYS:
        return warn(name, f"valid for {days} more days", "see why the proxy did not renew it yet")
    return ok(name, f"valid for {days} more days")


def _days_left(site: Site) -> int:
    import socket

    try:
        with (
            socket.create_connection((site.host, site.port), timeout=site.timeout_s) as plain,
            site.context.wrap_socket(plain, server_hostname=site.host) as secured,
        ):
            certificate = secured.getpeercert() or {}
    except ssl.SSLCertVerificationError as error:
        raise CertificateRefused(error.verify_message) from error
    except OSError as error:
        raise SiteError(f"{site.origin}: no TLS connection ({error})") from error
    ends = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
    return int((ends - time.time()) // _DAY_S)


def check_redirect(site: Site, http_port: int | None) -> Finding:
    """Look whether plain http leads to https, or is closed."""
    name = "https redirect"
    if site.scheme == "http":
        return skip(name, "there is no https to lead to")
    if http_port is None:
        return skip(name, "the address has a port of its own", "name the plain one: --http-port N")
    try:
        reply = replace(site, scheme="http", port=http_port).request(HEALTH)
    except SiteError:
        return ok(name, f"nothing answers on port {http_port}")
    target = urlsplit(reply.header("Location"))
    if reply.status in (301, 302, 307, 308) and target.scheme == "https":
        if target.hostname == site.host:
            return ok(name, f"http answers {reply.status} to https")
        return warn(name, f"http leads to {target.hostname}", f"let it lead to {site.host}")
    return fail(
        name,
        f"http answers {reply.status} in the clear",
        f"let the proxy redirect every http address to {site.origin}",
    )


def check_hsts(site: Site) -> Finding:
    """Look whether browsers are told to stay with https."""
    name = "https hsts"
    if site.scheme == "http":
        return skip(name, "only https can say so")
    rule = site.request(HEALTH).header("Strict-Transport-Security")
    if not rule:
        return fail(
            name,
            "no Strict-Transport-Security header",
            "let the proxy send: Strict-Transport-Security: max-age=31536000",
        )
    ages = [
        part.partition("=")[2]
        for part in rule.replace('"', "").replace(" ", "").split(";")
        if part.lower().startswith("max-age=")
    ]
    if not ages or not ages[0].isdigit():
        return fail(name, f"unreadable: {rule}", "write max-age=31536000")
    if int(ages[0]) < _HSTS_S:
        return warn(name, f"max-age={ages[0]} is short", "write max-age=31536000 once all works")
    return ok(name, f"max-age={ages[0]}")


def check_sizes(site: Site) -> list[Finding]:
    """Look whether an answer of the page's size passes, and a flood is refused."""
    try:
        passed = site.post("/api/open", {"ticket": "", "padding": "x" * _JUDGMENT_BYTES})
        small = (
            ok("body of an answer", f"{_JUDGMENT_BYTES // 1000} kB reach the app")
            if passed.json().get("error")
            else fail(
                "body of an answer",
                f"{_JUDGMENT_BYTES // 1000} kB: {passed.status}",
                "let the proxy pass bodies of at least 64 kB",
            )
        )
    except SiteError as error:
        small = fail("body of an answer", str(error), "let the proxy pass bodies of 64 kB")
    try:
        status = site.post("/api/open", {"padding": "x" * _FLOOD_BYTES}).status
    except SiteError:
        return [small, ok("body of a flood", "the connection is cut")]
    # Where 40 kB reach the app, a 502 is Caddy's (2.6): its own limit broke the request off.
    if status in (413, 502):
        return [small, ok("body of a flood", f"{_FLOOD_BYTES // 1000} kB are refused")]
    return [
        small,
        warn(
            "body of a flood",
            f"{_FLOOD_BYTES // 1000} kB: {status}, not 413",
            "limit bodies in the proxy, to 256 kB",
        ),
    ]


def check_speed(site: Site) -> list[Finding]:
    """Look whether connections stay open, and how long an answer takes."""
    replies: list[Reply] = site.repeat(HEALTH, _ASKED)
    median = statistics.median(reply.ms for reply in replies[1:])
    told = f"median {median:.0f} ms of {_ASKED - 1}"
    return [
        warn(
            "keep-alive",
            "the server closes the connection after each answer",
            "let the proxy keep connections of browsers open",
        )
        if any(reply.closes for reply in replies[:-1])
        else ok("keep-alive", f"{_ASKED} answers on one connection"),
        warn("latency", told, "run the app nearer to the raters, or see docs/performance.md")
        if median > _SLOW_MS
        else ok("latency", told),
    ]
