"""Looks at clips: whole, unchanged, and both sides of a pair alike to the last header."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

from evaluation.doctor.findings import Finding, fail, ok, warn
from evaluation.doctor.site import Reply, Site, open_site

_OWN_NAME = {"date", "age", "etag"}  # different for every file or second, and innocent
# What a bucket says of each file besides: when it was put, in an order that says nothing, and its
# own bookkeeping, but not `x-amz-meta-`, which whoever put the file has chosen.
_OF_BUCKETS = re.compile(r"last-modified|x-amz-(?!meta-).*")
_SLOW_MS = 2000.0
_SESSION_S = 3600
_TYPES = ("image/", "video/")


def check_media(site: Site, showing: Mapping[str, Any]) -> list[Finding]:
    """Fetch both clips of a pair as the page would.

    Args:
        site: of the page.
        showing: of a session's state, with `left` and `right`.

    Raises:
        SiteError: a clip's address does not answer.
    """
    left, again, right = (_fetch(site, showing[side]["url"]) for side in ("left", "left", "right"))
    elsewhere = _origin(site, showing["left"]["url"]) != site.origin
    found = [
        _check_whole(left, showing["left"]["bytes"]),
        _check_encoding(left, right),
        _check_alike(left, again, right, of_bucket=elsewhere),
        _check_range(_fetch(site, showing["left"]["url"], Range="bytes=0-9")),
        _check_cache(left),
        _check_time(left, right),
    ]
    if elsewhere:
        found.append(_check_cors(site, left))
        found += _check_presigned(showing["left"]["url"])
    return found


def _absolute(site: Site, url: str) -> str:
    return urljoin(f"{site.origin}/rate", url)


def _origin(site: Site, url: str) -> str:
    parts = urlsplit(_absolute(site, url))
    return f"{parts.scheme}://{parts.netloc}"


def _fetch(site: Site, url: str, **headers: str) -> Reply:
    origin, where = _origin(site, url), site
    if origin != site.origin:
        where = open_site(origin, ca_file=site.ca_file, timeout_s=site.timeout_s)
    parts = urlsplit(_absolute(site, url))
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    return where.request(path, headers={"Origin": site.origin, **headers})


def _check_whole(clip: Reply, n_bytes: int) -> Finding:
    name = "media whole"
    kind = clip.header("Content-Type")
    if clip.status != 200:
        return fail(
            name,
            f"a clip answers {clip.status}",
            "give the app the folder or bucket (--media) that `vgan-eval init` filled",
        )
    if not kind.startswith(_TYPES):
        return fail(name, f"Content-Type: {kind or 'missing'}", "let the proxy leave types alone")
    length = clip.header("Content-Length")
    if not clip.header("Content-Encoding") and len(clip.body) != n_bytes:
        return fail(
            name,
            f"{len(clip.body)} bytes of {n_bytes}",
            "the store is not the study's, or the proxy cuts or rewrites files",
        )
    if not length:
        return warn(name, "no Content-Length", "let the proxy pass it, for loading in one go")
    return ok(name, f"{n_bytes:,} bytes of {kind}")


def _check_encoding(left: Reply, right: Reply) -> Finding:
    name = "media gzip"
    used = {reply.header("Content-Encoding") for reply in (left, right)} - {"", "identity"}
    if used:
        # Equal files would shrink to unequal sizes, which tells sources apart on the wire.
        return fail(
            name,
            f"clips are sent with {', '.join(sorted(used))}",
            "switch compression off for /media/ (or for image/ and video/ types)",
        )
    return ok(name, "clips are sent as they are")


def _check_alike(left: Reply, again: Reply, right: Reply, *, of_bucket: bool) -> Finding:
    """Compare both sides' headers; what differs between two fetches of one file means nothing."""
    name = "media alike"
    sides = [_plain(reply) for reply in (left, again, right)]
    noise = {key for key in sides[0] | sides[1] if sides[0].get(key) != sides[1].get(key)}
    if of_bucket:
        noise |= {key for key in sides[0] | sides[2] if _OF_BUCKETS.fullmatch(key)}
    unequal = {
        key
        for key in sides[0] | sides[2]
        if sides[0].get(key) != sides[2].get(key) and key not in noise
    }
    if unequal:
        return fail(
            name,
            f"the two sides of a pair differ in {', '.join(sorted(unequal))}",
            "let the proxy or bucket send nothing that depends on the file",
        )
    return ok(name, "both sides of a pair have equal headers and lengths")


def _plain(reply: Reply) -> dict[str, str]:
    names = {key.lower() for key, _ in reply.headers} - _OWN_NAME
    return {"status": str(reply.status), **{name: reply.header(name) for name in names}}


def _check_range(part: Reply) -> Finding:
    name = "media range"
    if part.status == 206 and len(part.body) == 10:
        return ok(name, "parts can be asked for")
    if part.status == 200:
        return warn(
            name,
            "a part was asked for, the whole came",
            "some browsers play no video so; let the proxy pass Range",
        )
    return fail(name, f"a part was asked for: {part.status}", "let the proxy pass Range")


def _check_cache(clip: Reply) -> Finding:
    rule = clip.header("Cache-Control")
    if "immutable" in rule or "max-age" in rule:
        return ok("cache of media", rule)
    return warn(
        "cache of media",
        f"Cache-Control: {rule or 'missing'}",
        "let clips be cached: public, max-age=31536000, immutable",
    )


def _check_time(left: Reply, right: Reply) -> Finding:
    slowest = max(left.ms, right.ms)
    told = f"a clip of {len(left.body):,} bytes took {slowest:.0f} ms"
    if slowest > _SLOW_MS:
        return warn("media time", told, "serve clips from a bucket or CDN: --media s3://...")
    return ok("media time", told)


def _check_cors(site: Site, clip: Reply) -> Finding:
    allowed = clip.header("Access-Control-Allow-Origin")
    if allowed in ("*", site.origin):
        return ok("media cors", f"pages of {site.origin} may read the pixels")
    return fail(
        "media cors",
        f"Access-Control-Allow-Origin: {allowed or 'missing'}",
        f"give the bucket the rule that `vgan-eval serve` prints, for {site.origin}",
    )


def _check_presigned(url: str) -> list[Finding]:
    lives = parse_qs(urlsplit(url).query).get("X-Amz-Expires", [""])[0]
    if not lives.isdigit():
        return []
    if int(lives) < _SESSION_S:
        return [
            fail(
                "media presigned",
                f"addresses work for {lives} s only",
                "let them outlive a session's lease",
            )
        ]
    return [ok("media presigned", f"addresses work for {int(lives) / 3600:.0f} hours")]
