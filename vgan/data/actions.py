"""Action videos: labelled, in groups, and split so that no group is on both sides.

A group is what makes videos alike beyond their action: in UCF101 the clips cut from one film, in
other sets a person. A split that shares groups measures how well films are recognised. UCF101 is
read as it is published, folder and lists; other sets bring a `split.csv`, or names that give the
group.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vgan.data.action_lists import (
    CLASSES_NAME,
    TABLE_NAME,
    Listed,
    VideoIndex,
    find_lists,
    read_classes,
    read_list,
    read_table,
)
from vgan.data.ledger import assign_splits
from vgan.data.source_videos import VIDEO_SUFFIXES
from vgan.errors import DataError, UsageError

_LISTS_FOLDER = "ucfTrainTestlist"  # what UCF101's archive of lists unpacks to
_UCF_NAME = re.compile(r"v_.+_(g\d+)_c\d+", re.IGNORECASE)
_DRAWN = "groups"  # the split that is made here where none is published
_TEST_SHARE = 0.3  # of the groups; in UCF101 about 7 of 25


@dataclass(frozen=True)
class ActionVideo:
    """A labelled video.

    Args:
        path: the file.
        label: its class, spelt as in `ActionSet.classes`.
        group: shared by videos that must stay on one side of a split. In sets with UCF101's names
            it begins with the class, whose groups are its own.
        name: path below the folder without suffix, with forward slashes; unique.
    """

    path: Path
    label: str
    group: str
    name: str


@dataclass(frozen=True)
class ActionSplit:
    """Which videos are for training and which for testing.

    Args:
        name: UCF101's number of the split, `table` from a `split.csv`, `groups` when drawn here.
        train: videos, by name.
        test: videos, by name; of other groups.
    """

    name: str
    train: tuple[ActionVideo, ...]
    test: tuple[ActionVideo, ...]


@dataclass(frozen=True)
class ActionSet:
    """A labelled set.

    Args:
        classes: in the published order where there is one, else by name.
        videos: all that have a label and a group, by name.
        splits: at least one.
        notes: what was read otherwise than it is written, or left out.
    """

    classes: tuple[str, ...]
    videos: tuple[ActionVideo, ...]
    splits: tuple[ActionSplit, ...]
    notes: tuple[str, ...] = ()


def open_action_set(
    folder: Path,
    splits: Path | None = None,
    *,
    group_pattern: str | None = None,
    check_splits: bool = True,
) -> ActionSet:
    """Open a folder of CLASS/VIDEO.

    Args:
        folder: of the videos.
        splits: a `split.csv`, or the folder of UCF101's lists. Default: what is found in `folder`,
            in `ucfTrainTestlist` inside or beside it; without any, one split is drawn by group.
        group_pattern: regular expression whose first group, found in a file's name, is the
            video's group across all classes (`^([a-z]+)_` for SUBJECT_ACTION). Default: the gNN of
            UCF101's v_CLASS_gNN_cMM, within the class.
        check_splits: False where others are made of the groups, and these need not be usable.

    Raises:
        UsageError: the pattern is none, or a `split.csv` says the groups already.
        DataError: the folder or a listed file is missing, a class is empty or has one group only,
            two classes differ only in case, a name gives no group, or a split shares a group.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder of action videos")
    if splits is not None and not splits.exists():
        raise DataError(f"{splits}: no such file or folder of splits")
    place = splits or _lists_for(folder)
    if place is not None and place.name.endswith(".csv"):
        if group_pattern is not None:
            raise UsageError(f"{place}: says the groups already; leave the pattern out")
        found = _from_table(folder, place)
    else:
        found = _from_names(folder, place, _pattern(group_pattern))
    for split in found.splits if check_splits else ():
        _check_split(split, found.classes)
    return found


def _pattern(given: str | None) -> re.Pattern[str] | None:
    if given is None:
        return None
    try:
        pattern = re.compile(given)
    except re.error as error:
        raise UsageError(f"{given!r} is not a regular expression ({error})") from None
    if pattern.groups < 1:
        raise UsageError(f"{given!r} marks no group: put round brackets around it")
    return pattern


def _lists_for(folder: Path) -> Path | None:
    if (folder / TABLE_NAME).is_file():
        return folder / TABLE_NAME
    for place in (folder, folder / _LISTS_FOLDER, folder.resolve().parent / _LISTS_FOLDER):
        if find_lists(place):
            return place
    return None


def _name(folder: Path, path: Path) -> str:
    return path.relative_to(folder).with_suffix("").as_posix()


def _videos_in(folder: Path) -> list[Path]:
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file()
    ]


def _from_table(folder: Path, table: Path) -> ActionSet:
    lines = read_table(table)
    if not lines:
        raise DataError(f"{table}: lists no videos")
    paths = _videos_in(folder)
    index = VideoIndex(folder, paths)
    files = index.find_all(lines)
    spelt, notes = _one_spelling(lines)
    videos = [
        ActionVideo(path, spelt[line.label or ""], line.group or "", _name(folder, path))
        for line, path in zip(lines, files, strict=True)
    ]
    if left := len(paths) - len(files):
        notes.append(f"{left} videos of {folder} are not in {table.name} and are left out")
    sides: dict[str, list[ActionVideo]] = {"train": [], "test": []}
    for line, video in zip(lines, videos, strict=True):
        sides[line.split].append(video)
    split = ActionSplit("table", _by_name(sides["train"]), _by_name(sides["test"]))
    classes = tuple(sorted(set(spelt.values())))
    return ActionSet(classes, _by_name(videos), (split,), (*index.notes, *notes))


def _one_spelling(lines: Sequence[Listed]) -> tuple[dict[str, str], list[str]]:
    """Give labels that differ only in case the spelling that comes first, and note it."""
    first: dict[str, str] = {}
    spelt: dict[str, str] = {}
    notes = []
    for line in lines:
        label = line.label or ""
        chosen = first.setdefault(label.casefold(), label)
        if label not in spelt and chosen != label:
            notes.append(f"{line.where}: label {label} is read as {chosen}")
        spelt[label] = chosen
    return spelt, notes


def _by_name(videos: Iterable[ActionVideo]) -> tuple[ActionVideo, ...]:
    return tuple(sorted(videos, key=lambda video: video.name))


def _from_names(folder: Path, lists: Path | None, pattern: re.Pattern[str] | None) -> ActionSet:
    numbers = {}
    listed = [] if lists is None else find_lists(lists)
    if lists is not None and not listed:
        raise DataError(f"{lists}: holds no trainlist01.txt and testlist01.txt, nor is it a .csv")
    if lists is not None and (lists / CLASSES_NAME).is_file():
        numbers = read_classes(lists / CLASSES_NAME)
    labels, notes = _labels(folder, list(numbers))
    videos = {
        path: ActionVideo(path, label, _group(path, label, pattern), _name(folder, path))
        for place, label in labels.items()
        for path in _videos_of(place)
    }
    index = VideoIndex(folder, videos)
    splits = []
    for number, train, test in listed:
        lines = [*read_list(train, "train", numbers), *read_list(test, "test", numbers)]
        pairs = list(zip(lines, index.find_all(lines), strict=True))
        sides = [_by_name(videos[p] for line, p in pairs if line.split == side)
                 for side in ("train", "test")]  # fmt: skip
        splits.append(ActionSplit(number, *sides))
    classes = tuple(numbers) or tuple(sorted(labels.values()))
    everything = _by_name(videos.values())
    splits = splits or [_drawn_split(everything, classes)]
    return ActionSet(classes, everything, tuple(splits), (*notes, *index.notes))


def _videos_of(place: Path) -> list[Path]:
    found = _videos_in(place)
    if not found:
        raise DataError(f"{place}: a class without videos; add some, or remove the folder")
    return found


def _labels(folder: Path, published: Sequence[str]) -> tuple[dict[Path, str], list[str]]:
    """Return the class of every folder, spelt as published, and notes on those spelt otherwise."""
    places: dict[str, Path] = {}
    for place in sorted(p for p in folder.iterdir() if p.is_dir() and p.name != _LISTS_FOLDER):
        if place.name.startswith("."):
            continue
        other = places.setdefault(place.name.casefold(), place)
        if other != place:
            raise DataError(
                f"{place} and {other.name}: two classes that differ only in case; join them"
            )
    if not places:
        raise DataError(f"{folder}: holds no folders; videos are expected as CLASS/VIDEO")
    spelt = {name.casefold(): name for name in published}
    absent = [name for key, name in spelt.items() if key not in places]
    if absent:
        raise DataError(f"{folder}: no folder for class {absent[0]} of {CLASSES_NAME}")
    extra = [place for key, place in places.items() if spelt and key not in spelt]
    if extra:
        raise DataError(f"{extra[0]}: is no class of {CLASSES_NAME}")
    labels = {place: spelt.get(key, place.name) for key, place in places.items()}
    notes = [f"folder {place.name} is read as class {label}"
             for place, label in labels.items() if place.name != label]  # fmt: skip
    return labels, notes


def _group(path: Path, label: str, pattern: re.Pattern[str] | None) -> str:
    matched = pattern.search(path.stem) if pattern else _UCF_NAME.fullmatch(path.stem)
    if matched is None or not matched[1]:
        form = f"nothing in it fits {pattern.pattern!r}" if pattern else "v_CLASS_gNN_cMM expected"
        raise DataError(
            f"{path}: its name gives no group ({form}); write {TABLE_NAME} with the columns "
            "file,label,group,split, or give a pattern for the group (--group-pattern)"
        )
    return matched[1] if pattern else f"{label}_{matched[1].lower()}"


def _drawn_split(videos: Sequence[ActionVideo], classes: Iterable[str]) -> ActionSplit:
    """Draw a split by group; a group's side depends on names alone."""
    sides: dict[str, str] = {}
    for label in classes:
        groups = sorted({video.group for video in videos if video.label == label})
        sides |= assign_splits(groups, sides, _TEST_SHARE)
    train = tuple(video for video in videos if sides[video.group] == "train")
    test = tuple(video for video in videos if sides[video.group] == "test")
    return ActionSplit(_DRAWN, train, test)


def _check_split(split: ActionSplit, classes: Iterable[str]) -> None:
    trained = {video.group: video for video in split.train}
    for video in split.test:
        if video.group in trained:
            raise DataError(
                f"split {split.name}: group {video.group} is on both sides ({video.name} for "
                f"testing, {trained[video.group].name} for training); move one of them"
            )
    for label in classes:
        mine = [v for v in (*split.train, *split.test) if v.label == label]
        groups = {video.group for video in mine}
        if len(groups) < 2:
            there = f"one group only, {groups.pop()}" if groups else "no videos"
            raise DataError(
                f"split {split.name}: class {label} has {there}, and needs two to be on both "
                "sides: add videos of another group, or leave the class out"
            )
        for side, chosen in (("training", split.train), ("testing", split.test)):
            if not any(video.label == label for video in chosen):
                remedy = f"move one of its {len(groups)} groups"
                if split.name == _DRAWN:  # by names, not by the user
                    remedy = f"write {TABLE_NAME}, or take folds of the groups (--folds 2)"
                raise DataError(
                    f"split {split.name}: class {label} has no videos for {side}; {remedy}"
                )
