"""The same video under two names: cut once, so that it cannot be on both sides of the split."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress

from vgan.data.manifest import sha256_of
from vgan.data.source_videos import SourceVideo


def find_duplicates(
    videos: Iterable[SourceVideo], is_kept: Callable[[SourceVideo], bool]
) -> dict[str, SourceVideo]:
    """Find videos whose bytes are those of another; only files of equal size are read.

    Args:
        videos: to look through; one that cannot be read is no duplicate, nor is an empty one.
        is_kept: says of a video that it is the original of any others, such as one that an earlier
            run has cut; else the first by id is.

    Returns:
        The id of each duplicate, and its original.
    """
    by_size: defaultdict[int, list[SourceVideo]] = defaultdict(list)
    for video in videos:
        with suppress(OSError):  # a link to nowhere is named with its reason when it is cut
            by_size[video.path.stat().st_size].append(video)
    found: dict[str, SourceVideo] = {}
    for size, alike in by_size.items():
        if size and len(alike) > 1:
            for same in _by_content(alike):
                original, *others = sorted(same, key=lambda v: (not is_kept(v), v.id))
                found |= {other.id: original for other in others}
    return found


def _by_content(videos: Iterable[SourceVideo]) -> Iterable[list[SourceVideo]]:
    same: defaultdict[str, list[SourceVideo]] = defaultdict(list)
    for video in videos:
        try:
            same[sha256_of(video.path)].append(video)
        except OSError:  # named with its reason when it is cut
            continue
    return same.values()
