"""Numbers of things, as people write them."""


def quantity(n: int, one: str, many: str = "") -> str:
    """Return a number and what it counts.

    >>> quantity(1, "HIT"), quantity(2400, "trial"), quantity(0, "person has", "people have")
    ('1 HIT', '2,400 trials', '0 people have')

    Args:
        n: how many.
        one: the words for one.
        many: those for any other number; empty: `one` with an s.
    """
    return f"{n:,} {one if n == 1 else many or f'{one}s'}"
