"""List videos by tag, from Flickr or from YFCC100M's metadata: `vgan find-videos`.

A search goes on for hours, so every slice that is whole is written into `LIST.journal` at once.
The list itself appears when all is found. The journal stays beside it and says what was asked.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from tqdm import tqdm

from vgan.data.flickr import FlickrApi, FlickrQuery, key_from_environment, search_slices
from vgan.data.journal import Journal
from vgan.data.licences import parse_licences
from vgan.data.video_list import FoundVideo, from_line, read_list, to_line, write_list
from vgan.data.yfcc import plain_tag, read_yfcc
from vgan.errors import DataError, UsageError

# Flickr opened on 10 February 2004; no upload is older.
FIRST_DAY = date(2004, 2, 10)
_DAY_S = 86_400
MATCHES = ("any", "all")


@dataclass(frozen=True)
class FindReport:
    """What a search found.

    Args:
        videos: in the list.
        new: of these, found in this run.
        licences: how many of each.
        damaged: lines of metadata files that could not be read, by the file's name; each with
            path, number and reason.
    """

    videos: int
    new: int
    licences: dict[str, int]
    damaged: dict[str, list[str]]

    def sentence(self) -> str:
        """Say it in one line."""
        named = ", ".join(f"{number} {name}" for name, number in self.licences.items())
        return f"{self.videos} videos ({self.new} found now): {named or 'none'}"

    def check(self) -> None:
        """Fail when a line of a metadata file could not be read.

        Raises:
            DataError: naming the files and the first line.
        """
        lines = [line for some in self.damaged.values() for line in some]
        if lines:
            raise DataError(
                f"{len(lines)} lines of {', '.join(self.damaged)} could not be read and are left "
                f"out; the first, {lines[0]}; to have them too, mend them and delete the list "
                "and its journal"
            )


def parse_tags(text: str) -> list[str]:
    """Read `beach, ocean`.

    Raises:
        UsageError: there is none.
    """
    tags = list(dict.fromkeys(tag.strip() for tag in text.split(",") if tag.strip()))
    if not tags:
        raise UsageError("no tag is named: --tags beach,ocean")
    return tags


def _seconds(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def _differing(asked: dict[str, Any], earlier: dict[str, Any]) -> list[str]:
    """Name what is asked for otherwise. The first run settles an end that was left open."""
    names = [name for name in asked if asked[name] != earlier.get(name)]
    settled = not asked["until_given"] and not earlier.get("until_given")
    return [n for n in names if n != "until_given" and not (n == "until" and settled)]


class _Search:
    """A search and what its journal knows of it."""

    def __init__(self, out: Path, asked: dict[str, Any]) -> None:
        self.journal = Journal(out.with_name(out.name + ".journal"))
        self.videos: dict[str, FoundVideo] = {}
        self.done: list[Any] = []
        self.damaged: dict[str, list[str]] = {}
        self.finished = False
        lines = self.journal.lines
        if not lines:
            if out.exists():
                raise UsageError(f"{out}: was not made here; use another --out")
            self.asked = asked
            self.journal.add([{"asked": asked}])
            return
        earlier = lines[0].get("asked")
        if not isinstance(earlier, dict):
            raise DataError(f"{self.journal.path}:1: does not say what was searched for; delete it")
        self.asked = earlier
        differing = _differing(asked, self.asked)
        if differing:
            was = ", ".join(f"{key} {self.asked.get(key)}" for key in differing)
            raise UsageError(f"{out}: was made with {was}; use another --out or delete both files")
        for number, line in enumerate(lines[1:], 2):
            self._take(line, f"{self.journal.path}:{number}")

    def _take(self, line: dict[str, Any], where: str) -> None:
        if "done" in line:
            self.done.append(line["done"])
            if line.get("damaged"):
                self.damaged[line["done"]] = line["damaged"]
        elif "finished" in line:
            self.finished = True
        else:
            video = from_line(line, where)
            self.videos[video.id] = video

    def add(
        self, videos: Sequence[FoundVideo], done: int | str, damaged: Sequence[str] = ()
    ) -> None:
        """Write down videos and, after them, the slice or file that they are all of.

        What could not be read of a file stands there too, so that later runs tell it again.
        """
        new = {v.id: v for v in videos if v.id not in self.videos}
        self.videos |= new
        end = {"done": done} | ({"damaged": list(damaged)} if damaged else {})
        self.journal.add([*map(to_line, new.values()), end])
        self._take(end, "")

    def finish(self, out: Path) -> None:
        """Write the list."""
        write_list(out, self.videos.values())
        self.journal.add([{"finished": len(self.videos)}])


def _from_flickr(search: _Search, api: FlickrApi, progress: bool) -> None:
    asked = search.asked
    licences = None if asked["licences"] is None else tuple(asked["licences"])
    since = max(search.done, default=asked["since"] - 1) + 1
    if since > asked["until"]:
        return
    query = FlickrQuery(tuple(asked["tags"]), asked["match"], licences, since, asked["until"])
    days = (asked["until"] - asked["since"]) / _DAY_S
    bar = tqdm(total=round(days), desc="searching uploads", unit="day", disable=not progress)
    with bar:
        bar.update(round((since - asked["since"]) / _DAY_S))
        for until, videos in search_slices(api, query):
            search.add(videos, until)
            bar.set_postfix(videos=len(search.videos), refresh=False)
            bar.update(round((until - asked["since"]) / _DAY_S) - bar.n)


def _in_bounds(video: FoundVideo, asked: dict[str, Any]) -> bool:
    if asked["licences"] and video.licence not in asked["licences"]:
        return False
    since, until = (datetime.fromtimestamp(asked[k], UTC).isoformat() for k in ("since", "until"))
    return not video.uploaded or since <= video.uploaded <= until


def _from_yfcc(search: _Search, files: Sequence[Path], progress: bool) -> None:
    """Read metadata files that were not read before."""
    tags = frozenset(map(plain_tag, search.asked["tags"]))
    with tqdm(desc="reading metadata", unit="line", disable=not progress) as bar:
        for path in files:
            if path.name in search.done:
                continue
            some, damaged = list[FoundVideo](), list[str]()
            for video in read_yfcc(path, tags, search.asked["match"]):
                bar.update()
                if isinstance(video, str):
                    damaged.append(video)
                elif video is not None and _in_bounds(video, search.asked):
                    some.append(video)
            search.add(some, path.name, damaged)


def _asked(
    tags: str, match: str, licences: str | None, since: date | None, until: date | None,
    files: Sequence[Path], now: float,
) -> dict[str, Any]:  # fmt: skip
    if match not in MATCHES:
        raise UsageError(f"tags match {' or '.join(MATCHES)}, not {match!r}")
    names = [path.name for path in files]
    if len(set(names)) < len(names):
        raise UsageError("two metadata files have one name; they are told apart by it")
    for path in files:
        if not path.is_file():
            raise DataError(f"{path}: no such metadata file")
    wanted: dict[str, Any] = {
        "tags": parse_tags(tags),
        "match": match,
        "licences": None if licences is None else sorted(parse_licences(licences)),
        "files": names,
        "since": _seconds(since or FIRST_DAY),
        "until": int(now) if until is None else _seconds(until) + _DAY_S - 1,
        "until_given": until is not None,
    }
    FlickrQuery(tuple(wanted["tags"]), match, None, wanted["since"], wanted["until"])
    return wanted


def find_videos(
    out: Path,
    tags: str,
    *,
    match: str = "any",
    licences: str | None = None,
    since: date | None = None,
    until: date | None = None,
    yfcc: Sequence[Path] = (),
    open_api: Callable[[str], FlickrApi] = FlickrApi,
    progress: bool = True,
) -> FindReport:
    """Write a list of videos; run again, it goes on where it stopped.

    A list that is whole is left as it is, also where somebody took lines out of it.

    Args:
        out: the list, JSON Lines; see `vgan.data.video_list`.
        tags: separated by commas.
        match: `any` of the tags, or `all`.
        licences: see `parse_licences`; None takes every one.
        since: first day of upload, UTC; None is Flickr's first.
        until: last day of upload, UTC; None is now (of the first run).
        yfcc: metadata files to read instead of asking Flickr.
        open_api: given the key, opens Flickr's API.
        progress: show a bar.

    Raises:
        UsageError: no key, no tags, an unknown licence, or a list that was made by another search.
        FlickrError: Flickr refuses the key or does not answer.
        DataError: a metadata file, the journal or the list is damaged.
        WriteError: the disk is full; what is found is kept, run again to go on.
    """
    asked = _asked(tags, match, licences, since, until, yfcc, datetime.now(UTC).timestamp())
    api = None if yfcc else open_api(key_from_environment())
    search = _Search(out, asked)
    before = len(search.videos)
    if not (search.finished and out.exists()):
        if api is None:
            _from_yfcc(search, yfcc, progress)
        else:
            _from_flickr(search, api, progress)
        search.finish(out)
    listed = read_list(out)
    licences_found = dict(Counter(video.licence for video in listed).most_common())
    return FindReport(len(listed), len(search.videos) - before, licences_found, search.damaged)
