"""How numbers are put into messages."""


def number_of(count: int, noun: str) -> str:
    """Return a count with its noun, whose plural takes an s: 1 video, 2 videos."""
    return f"{count} {noun}{'s' * (count != 1)}"
