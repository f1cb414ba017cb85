"""What has to be said under a table of its intervals."""

from collections.abc import Iterable

from analysis.intervals import Estimate


def interval_notes(found: Iterable[tuple[str, Estimate]]) -> list[str]:
    """Say once what is unusual about intervals, and where.

    Args:
        found: where each estimate stands, for print, and the estimate.
    """
    where: dict[str, list[str]] = {}
    for place, estimate in found:
        if estimate.note and estimate.n:
            where.setdefault(estimate.note, []).append(place)
    return [
        f"{note} ({places[0]}{f' and {len(places) - 1} more' if len(places) > 1 else ''})"
        for note, places in where.items()
    ]
