"""Notifications of HIT events: written to an outbox that can be read, sent nowhere."""

from datetime import datetime
from typing import Any

from evaluation.sandbox import hit_types
from evaluation.sandbox.errors import invalid
from evaluation.sandbox.registry import Call, Support, operation
from evaluation.sandbox.store import Assignment, Hit, Notification, Unit

VERSIONS = {"2006-05-05", "2014-08-15"}
_NOTE = (
    "Messages are written to the outbox (`GET /_sandbox/notifications`) in Amazon's form; "
    "no e-mail, SQS or SNS message is sent."
)


def emit(
    unit: Unit, event: str, hit: Hit, at: datetime, assignment: Assignment | None = None
) -> None:
    """Put an event into the outbox if the HIT type asks for it."""
    spec = hit.type.notification
    if not (hit.type.notification_active and spec and event in spec["EventTypes"]):
        return
    details = {"HITTypeId": hit.type.external_id, "HITId": hit.external_id}
    if assignment is not None:
        details["AssignmentId"] = assignment.external_id
    _post(unit, hit.account_id, hit.account.access_key, spec, event, details, at)


def _post(
    unit: Unit,
    account_id: int,
    customer: str,
    spec: dict[str, Any],
    event: str,
    details: dict[str, str],
    at: datetime,
) -> None:
    """Write one message."""
    stamp = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    message = {
        "CustomerId": customer,
        "EventDocVersion": spec["Version"],
        "Events": [{"EventType": event, "EventTimestamp": stamp, **details}],
    }
    unit.session.add(
        Notification(
            account_id=account_id,
            transport=spec["Transport"],
            destination=spec["Destination"],
            message=message,
            created_at=at,
        )
    )


def _check(spec: dict[str, Any]) -> dict[str, Any]:
    """A notification specification whose version and events are known."""
    if spec["Version"] not in VERSIONS:
        raise invalid("Notification.Version", f"one of {', '.join(sorted(VERSIONS))}")
    if not spec["EventTypes"]:
        raise invalid("Notification.EventTypes", "at least one event")
    return spec


@operation("UpdateNotificationSettings", Support.PARTIAL, _NOTE)
def update_notification_settings(call: Call) -> dict[str, Any]:
    """Set, replace, switch on or off the notifications of a HIT type."""
    spec, active = call.params.get("Notification"), call.params.get("Active")
    if spec is None and active is None:
        raise invalid("Notification", "give Notification or Active")
    hit_type = hit_types.find(call, call.params["HITTypeId"])
    if spec is not None:
        if "Ping" in spec["EventTypes"]:
            raise invalid("Notification.EventTypes", "Ping is for SendTestEventNotification only")
        hit_type.notification = _check(spec)
    elif not hit_type.notification:
        raise invalid("Active", "the HIT type has no notification specification")
    hit_type.notification_active = hit_type.notification_active if active is None else active
    if active is None and spec is not None:
        hit_type.notification_active = True
    return {}


@operation("SendTestEventNotification", Support.PARTIAL, _NOTE)
def send_test_event_notification(call: Call) -> dict[str, Any]:
    """Write a test message into the outbox, whatever events the specification names."""
    spec = _check(call.params["Notification"])
    _post(
        call.unit,
        call.account.id,
        call.account.access_key,
        spec,
        call.params["TestEventType"],
        {},
        call.unit.now,
    )
    return {}
