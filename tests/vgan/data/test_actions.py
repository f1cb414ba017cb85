"""UCF101's folder and lists as published, folders with a table, and what is wrong with either."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from vgan.data.actions import ActionSet, open_action_set
from vgan.errors import DataError, UsageError

REAL = Path(__file__).parents[4] / "shared/data/actions"
CLASSES = "1 ApplyEyeMakeup\n2 HandstandPushups\n3 TaiChi\n"


def _ucf_name(label: str, group: int, clip: int) -> str:
    # As published: the folder has a small s, the files in it a capital one.
    return f"v_{label.replace('Handstand', 'HandStand')}_g{group:02d}_c{clip:02d}"


@pytest.fixture
def touch(tmp_path) -> Callable[[Iterable[str]], Path]:
    """Make a folder of files that are there, and that is all: touch(names)."""

    def make(names: Iterable[str]) -> Path:
        for name in names:
            path = tmp_path / "set" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path / "set"

    return make


@pytest.fixture
def ucf(touch, tmp_path) -> Path:
    """UCF101 in small: 3 classes of 4 groups of 2 clips, and two of its splits."""
    labels = [line.split()[1] for line in CLASSES.splitlines()]
    folder = touch(
        f"{label}/{_ucf_name(label, group, clip)}.avi"
        for label in labels for group in range(1, 5) for clip in (1, 2)
    )  # fmt: skip
    lists = tmp_path / "ucfTrainTestlist"
    lists.mkdir()
    (lists / "classInd.txt").write_bytes(CLASSES.replace("\n", "\r\n").encode())
    for split in (1, 2):
        lines: dict[bool, list[str]] = {True: [], False: []}
        for number, label in enumerate(labels, 1):
            for group in range(1, 5):
                for clip in (1, 2):
                    line = f"{label}/{_ucf_name(label, group, clip)}.avi"
                    tested = group == split
                    lines[tested].append(line if tested else f"{line} {number}")
        (lists / f"testlist{split:02d}.txt").write_text("\n".join(lines[True]) + "\n")
        (lists / f"trainlist{split:02d}.txt").write_text("\n".join(lines[False]) + "\n")
    return folder


def _no_shared_groups(found: ActionSet) -> bool:
    return all(
        not {v.group for v in split.train} & {v.group for v in split.test} for split in found.splits
    )


def test_ucf101_reads_as_published(ucf):
    found = open_action_set(ucf)

    assert found.classes == ("ApplyEyeMakeup", "HandstandPushups", "TaiChi")
    assert len(found.videos) == 24
    assert [(s.name, len(s.train), len(s.test)) for s in found.splits] == [
        ("1", 18, 6), ("2", 18, 6)
    ]  # fmt: skip
    assert {v.group for v in found.splits[1].test} == {
        "ApplyEyeMakeup_g02", "HandstandPushups_g02", "TaiChi_g02"
    }  # fmt: skip
    assert _no_shared_groups(found)
    assert found.notes == ()
    first = found.splits[0].test[2]
    assert first.name == "HandstandPushups/v_HandStandPushups_g01_c01"
    assert first.label == "HandstandPushups"
    assert first.path == ucf / f"{first.name}.avi"


def test_folder_in_the_files_spelling_is_the_published_class_with_a_note(ucf):
    (ucf / "HandstandPushups").rename(ucf / "HandStandPushups")

    found = open_action_set(ucf)

    assert found.classes[1] == "HandstandPushups"
    assert sum(v.label == "HandstandPushups" for v in found.videos) == 8
    assert len(found.splits[0].train) == 18
    assert found.notes[0] == "folder HandStandPushups is read as class HandstandPushups"
    assert found.notes[1].startswith("8 files are spelt in another case than listed; the first, ")


def test_videos_converted_to_mp4_are_found_by_the_published_lists(ucf):
    for path in list(ucf.rglob("*.avi")):
        path.rename(path.with_suffix(".mp4"))

    found = open_action_set(ucf)

    assert len(found.splits[0].test) == 6
    assert found.notes == ()


def test_class_in_two_spellings_is_refused(ucf, touch):
    touch(["HandStandPushups/v_HandStandPushups_g09_c01.avi"])

    with pytest.raises(DataError, match="two classes that differ only in case; join them"):
        open_action_set(ucf)


def test_line_that_fits_two_files_is_refused(ucf, touch):
    touch(["TaiChi/v_taichi_g01_c01.mp4"])
    path = ucf / "TaiChi/v_TaiChi_g01_c01.avi"
    path.rename(path.with_suffix(".mpg"))

    with pytest.raises(DataError, match=r"testlist01.txt:5: TaiChi/v_TaiChi_g01_c01.avi may be "):
        open_action_set(ucf)


def test_missing_file_is_named_with_the_line_that_lists_it(ucf):
    (ucf / "TaiChi/v_TaiChi_g03_c02.avi").unlink()
    (ucf / "TaiChi/v_TaiChi_g04_c02.avi").unlink()

    with pytest.raises(DataError, match=r"trainlist01.txt:16: TaiChi/v_TaiChi_g03_c02.avi is not "
                                        r"in .*/set \(nor are 1 others\)"):  # fmt: skip
        open_action_set(ucf)


def _edit(path: Path, old: str, new: str) -> None:
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))


@pytest.mark.parametrize(
    ("file", "old", "new", "named"),
    [("trainlist01.txt", "g02_c01.avi 1", "g02_c01.avi 2", r"trainlist01.txt:1: gives ApplyEyeMa"),
     ("trainlist01.txt", "TaiChi/", "KungFu/", r"trainlist01.txt:13: class KungFu is not in cla"),
     ("trainlist01.txt", "TaiChi/", "TaiChi", r"trainlist01.txt:13: 'TaiChiv_.* is not CLASS/VID"),
     ("testlist01.txt", "g01_c02", "g01_c01", r"testlist01.txt:2: .*c01.avi is listed already \(.*"
      r"testlist01.txt:1\)"),
     ("testlist01.txt", "g01_c02", "g03_c02", r"testlist01.txt:2: .* listed already \(.*trainlist"),
     ("classInd.txt", "3 TaiChi", "3TaiChi", r"classInd.txt:3: '3TaiChi' is not a number and a"),
     ("classInd.txt", "3 TaiChi", "3 HandStandPushups", r"classInd.txt:3: .* stands twice"),
     ("classInd.txt", "3 TaiChi", "3 TaiChi\n4 YoYo", "no folder for class YoYo"),
     ("classInd.txt", "3 TaiChi", "", "TaiChi: is no class of classInd.txt")],
)  # fmt: skip
def test_wrong_line_of_a_list_is_named(ucf, file, old, new, named):
    _edit(ucf.parent / "ucfTrainTestlist" / file, old, new)

    with pytest.raises(DataError, match=named):
        open_action_set(ucf)


def test_training_list_without_its_test_list_is_named(ucf):
    (ucf.parent / "ucfTrainTestlist/testlist02.txt").unlink()

    with pytest.raises(DataError, match=r"testlist02.txt: is missing"):
        open_action_set(ucf)


def test_group_on_both_sides_of_a_published_split_is_named(ucf):
    lists = ucf.parent / "ucfTrainTestlist"
    line = "TaiChi/v_TaiChi_g01_c02.avi"
    _edit(lists / "testlist01.txt", f"{line}\n", "")
    with (lists / "trainlist01.txt").open("a") as file:
        file.write(f"{line} 3\n")

    named = r"split 1: group TaiChi_g01 is on both sides \(TaiChi/v_TaiChi_g01_c01 for testing, "
    with pytest.raises(DataError, match=named):
        open_action_set(ucf)


def test_folder_without_lists_gets_one_split_by_group(ucf):
    (ucf.parent / "ucfTrainTestlist").rename(ucf.parent / "elsewhere")

    found = open_action_set(ucf)

    assert [split.name for split in found.splits] == ["groups"]
    assert _no_shared_groups(found)
    for side in (found.splits[0].train, found.splits[0].test):
        assert {v.label for v in side} == set(found.classes)
    assert open_action_set(ucf).splits == found.splits
    assert len(open_action_set(ucf, ucf.parent / "elsewhere").splits) == 2


def test_group_by_pattern_is_shared_by_all_classes(touch):
    people, actions = ["ada", "bob", "cid", "dee", "eve"], ["run", "walk"]
    folder = touch(f"{a}/{p}_{a}.mp4" for p in people for a in actions)

    found = open_action_set(folder, group_pattern="^([a-z]+)_")

    assert {v.group for v in found.videos} == set(people)
    assert _no_shared_groups(found)


def test_a_group_of_two_classes_stays_on_the_side_that_the_first_gave_it(touch):
    folder = touch(["run/cid_1.mp4", "run/bob_1.mp4", "walk/bob_1.mp4", "walk/dee_1.mp4"])

    (split,) = open_action_set(folder, group_pattern="^([a-z]+)_").splits

    # None of their numbers (cid 0.33, bob 0.51, dee 0.90) is under the share, so that the lowest of
    # `run` is tested on; `walk` alone would test on bob, of whom `run` is trained.
    assert {v.group for v in split.test} == {"cid", "dee"}
    assert [v.label for v in split.train] == ["run", "walk"]


@pytest.mark.parametrize(("pattern", "named"), [("(", "not a regular"), ("ada", "marks no group")])
def test_pattern_without_a_group_is_wrong_usage(touch, pattern, named):
    with pytest.raises(UsageError, match=named):
        open_action_set(touch(["run/ada_run.mp4"]), group_pattern=pattern)


def test_lists_that_are_not_there_are_named_before_names_are_read(touch, tmp_path):
    folder = touch(["run/ada.mp4"])

    with pytest.raises(DataError, match="nowhere: no such file or folder of splits"):
        open_action_set(folder, tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"ada.mp4: holds no trainlist01.txt .* nor is it a .csv"):
        open_action_set(folder, folder / "run/ada.mp4")


def test_split_drawn_without_a_class_on_one_side_says_what_to_do(touch):
    # `run` tests on bob and `sit` on cid, which leaves both people of `walk` to be trained on.
    folder = touch(["run/ada_1.mp4", "run/bob_1.mp4", "sit/cid_1.mp4", "sit/dee_1.mp4",
                    "walk/ada_1.mp4", "walk/dee_1.mp4"])  # fmt: skip

    with pytest.raises(DataError, match=r"class walk has no .*; write split.csv, or .*--folds 2"):
        open_action_set(folder, group_pattern="^([a-z]+)_")


TABLE = """file,label,group,split
run/ada.mp4,run,ada,train
run/bob.mp4,Run,bob,test
walk/ada.mp4,walk,ada,train
walk/bob.mp4,walk,bob,test
"""
FILES = ("run/ada.mp4", "run/bob.mp4", "walk/ada.mp4", "walk/bob.mp4")


def test_table_gives_labels_groups_and_split(touch):
    folder = touch([*FILES, "walk/cid.mp4"])
    (folder / "split.csv").write_text(TABLE)

    found = open_action_set(folder)

    assert found.classes == ("run", "walk")
    assert [v.name for v in found.splits[0].test] == ["run/bob", "walk/bob"]
    assert [v.label for v in found.splits[0].test] == ["run", "walk"]
    assert len(found.videos) == 4
    assert found.notes[0].endswith("split.csv:3: label Run is read as run")
    assert found.notes[1].startswith("1 videos of ")


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [("group", "team", "split.csv:1: no column group"),
     ("bob,test", "bob,", "split.csv:3: no value for split"),
     ("bob,test", "bob,valid", "split.csv:3: split 'valid' is neither train nor test"),
     ("run/bob.mp4", "run/cid.mp4", "split.csv:3: run/cid.mp4 is not in .*; add it"),
     ("walk/bob.mp4", "walk/ada.mp4", r"split.csv:5: walk/ada.mp4 is listed already \(.*csv:4\)"),
     ("Run,bob", "Run,ada", "split table: group ada is on both sides"),
     ("Run,bob", "jump,bob", "class jump has one group only, bob, and needs two to be on both si"),
     ("ada,train\nrun/bob.mp4,Run,bob,test", "ada,test\nrun/bob.mp4,Run,bob,train", "both sides")],
)  # fmt: skip
def test_wrong_table_is_named(touch, old, new, named):
    folder = touch(FILES)
    (folder / "split.csv").write_text(TABLE)
    _edit(folder / "split.csv", old, new)

    with pytest.raises(DataError, match=named):
        open_action_set(folder)


def test_class_on_one_side_only_is_named(touch):
    folder = touch([*FILES, "walk/cid.mp4"])
    (folder / "split.csv").write_text(TABLE.replace("walk/bob.mp4,walk,bob,test", "")
                                      + "walk/cid.mp4,walk,cid,train\n")  # fmt: skip

    with pytest.raises(DataError, match="class walk has no videos for testing"):
        open_action_set(folder)


def test_pattern_beside_a_table_of_groups_is_refused(touch):
    folder = touch(FILES)
    (folder / "split.csv").write_text(TABLE)

    with pytest.raises(UsageError, match=r"split.csv: says the groups already"):
        open_action_set(folder, group_pattern="([a-z]+)")


def test_empty_class_is_named(ucf):
    (ucf / "Yoga").mkdir()
    (ucf.parent / "ucfTrainTestlist").rename(ucf.parent / "elsewhere")

    with pytest.raises(DataError, match="Yoga: a class without videos; add some, or remove"):
        open_action_set(ucf)


def test_class_of_one_group_says_what_to_do(touch):
    folder = touch(["Diving/v_Diving_g01_c01.mp4", "Diving/v_Diving_g01_c02.mp4"])

    with pytest.raises(DataError, match=r"class Diving has one group only, Diving_g01, .* leave"):
        open_action_set(folder)


def test_name_without_a_group_says_what_to_do(touch):
    with pytest.raises(DataError, match=r"splash.mp4: its name gives no group .*write split.csv"):
        open_action_set(touch(["Diving/splash.mp4"]))


def test_folder_that_is_missing_or_flat_is_named(tmp_path, touch):
    with pytest.raises(DataError, match="no such folder of action videos"):
        open_action_set(tmp_path / "nowhere")
    with pytest.raises(DataError, match="videos are expected as CLASS/VIDEO"):
        open_action_set(touch(["a.mp4"]))
    with pytest.raises(DataError, match=r"holds no trainlist01.txt and testlist01.txt"):
        open_action_set(touch(["Diving/v_Diving_g01_c01.mp4"]), tmp_path)


@pytest.mark.skipif(not REAL.is_dir(), reason="no real videos in ../shared/data")
def test_weizmann_actions_split_by_subject():
    found = open_action_set(REAL / "weizmann")

    assert len(found.classes) == 10
    assert (len(found.splits[0].train), len(found.splits[0].test)) == (60, 30)
    assert {v.group for v in found.splits[0].test} == {"eli", "lena", "shahar"}
    assert found.notes == ()
