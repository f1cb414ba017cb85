"""What a study on Prolific is like: the body of its draft, and what Prolific would refuse. Pure."""

import math
import re
from html import escape
from typing import Any

from evaluation.budget import prolific_minutes
from evaluation.crowd.base import CrowdError, Offer
from evaluation.errors import UsageError
from evaluation.study import Pay, Prolific, Workers

SHORTEST_REJECTION = 100
SCREEN_OUT = "FIXED_SCREEN_OUT_PAYMENT"
LEAST_SCREEN_OUT = {"USD": 14, "GBP": 10}
_BLOCKLIST = "participant_group_blocklist"
_DEVICES = {"desktop": "desktop", "tablet": "tablet", "phone": "mobile"}
_CHOICES = re.compile(r"(?P<name>[\w-]+)=(?P<values>[\w-]+(?:,[\w-]+)*)")
_BOUNDS = re.compile(r"(?P<name>[\w-]+)=(?P<low>\d+(?:\.\d+)?)\.\.(?P<high>\d+(?:\.\d+)?)")
_ID_PARAMETERS = "&".join(
    f"{name}={{{{%{name}%}}}}" for name in ("PROLIFIC_PID", "STUDY_ID", "SESSION_ID")
)


def check_rejection_text(reason: str) -> None:
    """Refuse a rejection's text that Prolific finds too short.

    Raises:
        UsageError: the message has both lengths.
    """
    if len(reason.strip()) < SHORTEST_REJECTION:
        raise UsageError(
            f"the reason has {len(reason.strip())} characters, and Prolific wants at least "
            f"{SHORTEST_REJECTION}: say what was missing and what the worker can do"
        )


def minimum_time(minutes: int) -> int:
    """Return the shortest time that Prolific allows for a session, in minutes.

    >>> minimum_time(4), minimum_time(10)
    (14, 29)
    """
    return math.ceil(2 + 2 * minutes + 2 * math.sqrt(minutes))


def check_offer(offer: Offer) -> None:
    """Refuse what cannot be said to Prolific; `check_tables` is of a study file."""
    check_tables(offer, offer, offer)


def check_tables(workers: Workers | Offer, pay: Pay | Offer, own: Prolific | Offer) -> None:
    """Refuse what tables of a study file cannot say to Prolific, or an offer made of them.

    Args:
        workers: [workers].
        pay: [pay].
        own: [recruit.prolific].

    Raises:
        CrowdError: the message names the key of the study file.
    """
    if workers.minimum_hits or workers.countries:
        key = "minimum_hits" if workers.minimum_hits else "countries"
        raise CrowdError(
            f"[workers] {key} has no like on Prolific; write its own condition, such as "
            '[recruit.prolific] filters = ["current-country-of-residence=1"], and leave the key out'
        )
    if own.screen_out_cents:
        least = LEAST_SCREEN_OUT.get(pay.currency, 0)
        if not least <= own.screen_out_cents < pay.reward_cents:
            raise CrowdError(
                f"[recruit.prolific] screen_out_cents = {own.screen_out_cents} must be at least "
                f"{least} and under the reward of {pay.reward_cents}; 0 pays nothing to those "
                "who find nothing left"
            )
    for text in own.filters:
        read_filter(text)


def read_filter(text: str) -> dict[str, Any]:
    """Return a filter as Prolific writes it.

    >>> read_filter("fluent-languages=19,4")["selected_values"]
    ['19', '4']
    >>> read_filter("approval_rate=95..100")["selected_range"]
    {'lower': 95.0, 'upper': 100.0}

    Raises:
        CrowdError: neither choices nor a range, or choices where Prolific has a range.
    """
    if bounds := _BOUNDS.fullmatch(text):
        low, high = float(bounds["low"]), float(bounds["high"])
        return {"filter_id": bounds["name"], "selected_range": {"lower": low, "upper": high}}
    if text.startswith("approval_rate="):
        raise CrowdError(
            f"[recruit.prolific] filters: {text!r} is no range; write approval_rate=95..100"
        )
    if choices := _CHOICES.fullmatch(text):
        return {"filter_id": choices["name"], "selected_values": choices["values"].split(",")}
    raise CrowdError(
        f"[recruit.prolific] filters: {text!r} is neither name=choice,choice nor name=low..high"
    )


def study_body(offer: Offer, group: str) -> dict[str, Any]:
    """Return the draft of a study.

    Args:
        offer: checked by `check_offer`.
        group: id of the participant group that may not take it; empty is none.
    """
    minutes = prolific_minutes(offer.minutes)
    body: dict[str, Any] = {
        "name": offer.title,
        "internal_name": f"{offer.title[:60]} [{offer.token}]",
        "description": f"<p>{escape(offer.description, quote=False)}</p>",
        "external_study_url": f"{offer.url}?{_ID_PARAMETERS}",
        "prolific_id_option": "url_parameters",
        "completion_codes": _codes(offer),
        "total_available_places": offer.max_assignments,
        "estimated_completion_time": minutes,
        "maximum_allowed_time": max(
            minimum_time(minutes), math.ceil(offer.duration.total_seconds() / 60)
        ),
        "reward": offer.reward_cents,
        "device_compatibility": [_DEVICES[device] for device in offer.devices],
        "submissions_config": {"max_submissions_per_participant": offer.sessions_per_worker},
        "filters": _filters(offer, group),
    }
    if offer.project:
        body["project"] = offer.project
    return body


def _codes(offer: Offer) -> list[dict[str, Any]]:
    codes: list[dict[str, Any]] = [
        {
            "code": offer.completion_code,
            "code_type": "COMPLETED",
            "actor": "participant",
            # `vgan-eval review` pays: it knows who finished, the code alone does not.
            "actions": [{"action": "MANUALLY_REVIEW"}],
        }
    ]
    if offer.screen_out_cents:
        pay = {
            "action": SCREEN_OUT,
            "fixed_screen_out_reward": offer.screen_out_cents,
            "slots": offer.screen_out_places,
        }
        codes.append(
            {
                "code": offer.screen_out_code,
                "code_type": "FIXED_SCREENOUT",
                "actor": "participant",
                "actions": [pay],
            }
        )
    return codes


def screen_out_slots(study: dict[str, Any]) -> int | None:
    """Return how many paid screen-outs a study has in all, used or not; None where it pays none."""
    for code in study.get("completion_codes") or []:
        for action in code.get("actions") or []:
            if action.get("action") == SCREEN_OUT:
                return int(action["slots"])
    return None


def _filters(offer: Offer, group: str) -> list[dict[str, Any]]:
    filters = [read_filter(text) for text in offer.filters]
    named = {one["filter_id"] for one in filters}
    if offer.minimum_approval and "approval_rate" not in named:
        filters.append(read_filter(f"approval_rate={offer.minimum_approval}..100"))
    if group:
        # Prolific promises nothing about two filters of one kind, and one may hold many groups.
        own = [one for one in filters if one["filter_id"] == _BLOCKLIST]
        groups = [value for one in own for value in one.get("selected_values", [])]
        filters = [one for one in filters if one not in own]
        filters.append({"filter_id": _BLOCKLIST, "selected_values": [*groups, group]})
    return filters
