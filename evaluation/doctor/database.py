"""Looks at the database through the app: reachable, of this version, and set for paid work."""

from typing import Any

from evaluation.doctor.findings import Finding, fail, ok, warn
from evaluation.doctor.site import Reply
from evaluation.upgrading import newest_revision

_SAFE_SYNCHRONOUS = ("2", "3")  # FULL, EXTRA
_SAFE_ISOLATION = ("read committed", "repeatable read", "serializable")


def check_health(health: Reply) -> list[Finding]:
    """Look at the app's health check."""
    told = health.json()
    if health.status != 200 or told.get("status") != "ok":
        said = told.get("status") or f"the answer is {health.status}"
        return [
            fail(
                "database",
                str(said),
                "look at the app's log, and whether PostgreSQL is up and can store",
            )
        ]
    revision, ours = told.get("revision"), newest_revision()
    if revision != ours:
        mend = "install the same version in both places, then run `vgan-eval upgrade`"
        version = warn("schema", f"revision {revision}; this program has {ours}", mend)
    else:
        version = ok("schema", f"revision {revision}")
    return [ok("database", f"answers, {health.ms:.0f} ms on the whole way"), version]


def check_settings(told: dict[str, Any]) -> Finding:
    """Look at how the app's database is set.

    Args:
        told: `database` of `/doctor/seen`.
    """
    name = "database settings"
    if told.get("kind") == "sqlite":
        seen = f"SQLite, journal {told.get('journal')}, synchronous {told.get('synchronous')}"
        if told.get("journal") != "wal":
            return fail(name, seen, "raters would wait for each other: PRAGMA journal_mode = WAL")
        if told.get("synchronous") not in _SAFE_SYNCHRONOUS:
            return fail(name, seen, "a power cut would lose answers that are paid")
        return ok(name, seen)
    seen = f"PostgreSQL, {told.get('isolation')}, synchronous_commit {told.get('commit')}"
    if told.get("isolation") not in _SAFE_ISOLATION:
        return fail(name, seen, "set default_transaction_isolation to 'read committed'")
    if told.get("commit") == "off":
        return fail(name, seen, "a power cut would lose answers that are paid: set it to on")
    return ok(name, seen)
