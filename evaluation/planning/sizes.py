"""How large both files of each pair become, so that a check on raters is not told by its size."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from evaluation.media.encoding import size_step
from evaluation.schema import Pair, Study, Trial, TrialKind
from evaluation.secret import size_chance


def pair_size(size_a: int, size_b: int) -> int:
    """Return what both files of a pair are padded to where it is shown in test trials."""
    return size_step(max(size_a, size_b))


def padded_sizes(
    session: Session, study: Study, pairs: Sequence[Pair], sizes: Mapping[int, int]
) -> dict[int, int]:
    """Return the size in bytes that both files of each pair are padded to, by the pair's id.

    The page is told it. Pairs of gold, practice and identical clips are of fewer sources than the
    test pairs, and often smaller than all of them: practice would teach what gold looks like. So
    each gets the size of a test pair, drawn among those that hold it; where none does, its own.

    Args:
        session: of any unit; has the trials of the pairs.
        study: of the pairs.
        pairs: that are prepared together.
        sizes: of the clips' files before padding, by the clip's id.
    """
    shown = select(Trial.pair_id).where(Trial.study_id == study.id, Trial.kind == TrialKind.TEST)
    tested = set(session.scalars(shown))
    own = {p.id: pair_size(sizes[p.clip_a_id], sizes[p.clip_b_id]) for p in pairs}
    of_tests = sorted(size for pair, size in own.items() if pair in tested)
    chance = size_chance(study.secret)
    padded = {}
    for pair, size in own.items():
        first = bisect_left(of_tests, size)
        is_check = pair not in tested and first < len(of_tests)
        padded[pair] = of_tests[chance.randrange(first, len(of_tests))] if is_check else size
    return padded
