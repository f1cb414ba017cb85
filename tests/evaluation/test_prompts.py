"""A file of prompts gives clips without a manifest the prompts that raters see."""

from dataclasses import replace

import pytest

from evaluation.clips import import_source, list_source
from evaluation.errors import StudyFileError, UsageError
from evaluation.planning.design import clips_digest
from evaluation.planning.gold import folder_pairs
from evaluation.planning.prompts import check_prompts, prompt_warnings
from evaluation.study import Source
from evaluation.study_file.reader import load_study
from vgan.data.manifest import ClipRecord, read_manifest, write_manifest


@pytest.fixture
def source(tmp_path):
    """Clips by name, which nothing opens, and their file of prompts."""

    def make(csv, *clips, **options):
        for clip in clips or ("a dog.mp4", "café.mp4"):
            (tmp_path / "ours" / clip).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "ours" / clip).touch()
        file = tmp_path / "prompts.csv"
        file.write_bytes(csv if isinstance(csv, bytes) else csv.encode())
        return Source("ours", tmp_path / "ours", "Ours", prompts=file, **options)

    return make


def prompts(source):
    return {r.clip: r.prompt for r in list_source(source)[0]}


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_row_for_each_clip_gives_its_prompt(source, mark, end):
    rows = ["clip,prompt", 'a dog.mp4,"A dog, on ""green"" grass"', "", "café.mp4, une tasse", ""]

    given = prompts(source(mark + end.join(rows)))

    assert given == {"a dog.mp4": 'A dog, on "green" grass', "café.mp4": "une tasse"}


def test_a_clip_is_named_by_its_path_in_the_folder_and_may_be_left_out(source):
    given = prompts(source("clip,prompt\ngolf/1.mp4,A putt\n", "golf/1.mp4", "beach/1.mp4"))

    assert given == {"golf/1.mp4": "A putt", "beach/1.mp4": None}


def test_a_row_for_each_item_serves_sources_whose_files_end_otherwise(source):
    given = prompts(source("item,prompt\n1,A putt\n", "golf/1.webm", "beach/1.mp4"))

    assert given == {"golf/1.webm": "A putt", "beach/1.mp4": "A putt"}


def test_prompts_of_items_that_a_source_may_lack_are_passed_over(source):
    items, clips = "item,prompt\na dog,A dog\na cat,A cat\n", "clip,prompt\na cat.mp4,A cat\n"

    given = {r.clip: r.prompt for r in list_source(source(items), may_lack=True)[0]}

    assert given == {"a dog.mp4": "A dog", "café.mp4": None}
    with pytest.raises(UsageError, match=r"has no clip 'a cat\.mp4'"):
        list_source(source(clips), may_lack=True)


def test_a_prompt_of_a_clip_that_lies_too_deep_says_so_and_how_many_more_are_too_many(source):
    rows = "item,prompt\na dog,x\na cat,x\na cow,x\na hen,x\n"
    deep = source(rows, "all/a dog.mp4", "all/sub/a cat.mp4")

    with pytest.raises(UsageError, match=r"no item 'a cat' \(nor those of 2 more rows\)") as caught:
        list_source(deep)
    assert "a cat.mp4 (deeper than SOURCE/CATEGORY/; move it up, or away)" in str(caught.value)


@pytest.mark.parametrize("key", ["clip,prompt\n{}.mp4", "item,prompt\n{}"])
@pytest.mark.parametrize(
    ("row", "file"), [("caf\u00e9", "cafe\u0301"), ("cafe\u0301", "caf\u00e9")]
)
def test_a_row_names_a_clip_whichever_way_its_accents_are_written(source, key, row, file):
    given = prompts(source(key.format(row) + ",une tasse\n", f"{file}.mp4"))

    assert given == {f"{file}.mp4": "une tasse"}


def test_a_prompt_of_two_lines_is_kept_and_counted(source):
    two = source('clip,prompt\n"a dog.mp4","one\ntwo"\n')

    assert prompts(two)["a dog.mp4"] == "one\ntwo"
    with pytest.raises(UsageError, match=r"prompts\.csv:4: "):
        prompts(source('clip,prompt\n"a dog.mp4","one\ntwo"\nnone.mp4,x\n'))


@pytest.mark.parametrize(
    ("csv", "words"),
    [
        ("", ":1: prompts must have the header clip,prompt or item,prompt, got none"),
        ("file,prompt\na,b\n", ":1: prompts must have the header .*, got file,prompt"),
        ("clip;prompt\na;b\n", ":1: prompts must have the header .*, got clip;prompt"),
        ("clip,prompt\na dog.mp4,A dog, running\n", ":2: has 3 fields, not 2; .* double quotes"),
        ("clip,prompt\n\na dog.mp4\n", ":3: has 1 fields, not 2"),
        ("clip,prompt\na dog.mp4,A \0dog\n", r":2: has the character \\u0000"),
        ("clip,prompt\na dog.mp4, \n", ":2: the prompt is empty"),
        ("clip,prompt\n,A dog\n", ":2: the clip is empty"),
        ("clip,prompt\na dog.mp4,x\na dog.mp4,y\n", ":3: clip 'a dog.mp4' has a .* on line 2"),
        ("clip,prompt\na cat.mp4,x\n", r":2: .*ours \(source ours\) has no clip 'a cat.mp4'"),
        ("item,prompt\na dog.mp4,x\n", ":2: .* has no item 'a dog.mp4'; the first .* 'a dog'"),
        ('clip,prompt\na dog.mp4,"A dog\n', ":2: not a row of a CSV"),
        ("clip,prompt\na dog.mp4,caf\xe9".encode("latin-1"), ": prompts that .* as UTF-8"),
    ],
)
def test_a_file_that_is_wrong_names_itself_and_the_line(source, csv, words):
    with pytest.raises(UsageError, match=r"prompts\.csv" + words):
        prompts(source(csv))


def test_a_file_that_is_missing_names_the_key(source):
    gone = source("")
    gone.prompts.unlink()

    with pytest.raises(UsageError, match=r"prompts\.csv: no such file; correct `prompts`"):
        list_source(gone)


def test_prompts_are_frozen_as_those_of_a_manifest_are(clip_folder, tmp_path):
    folder = clip_folder("ours", {"golf": 2})
    (tmp_path / "p.csv").write_text("clip,prompt\ngolf/0000.mp4,A putt\ngolf/0001.mp4,A tee\n")
    of_file = import_source(Source("ours", folder, "Ours", prompts=tmp_path / "p.csv"))
    write_manifest(folder, [replace(r, prompt=None) for r in of_file])
    told = dict(zip(("golf/0000.mp4", "golf/0001.mp4"), ("A putt", "A tee"), strict=True))
    write_manifest(folder, [replace(r, prompt=told[r.clip]) for r in read_manifest(folder)])

    of_manifest = import_source(Source("ours", folder, "Ours"))

    assert clips_digest(of_file) == clips_digest(of_manifest)


def test_a_file_goes_before_the_manifest_and_knows_clips_of_every_split(clip_folder, tmp_path):
    folder = clip_folder("ours", {"golf": 2}, manifest=True, split="train")
    first, second = read_manifest(folder)
    write_manifest(folder, [replace(first, prompt="old", split="test"), second])
    (tmp_path / "p.csv").write_text("clip,prompt\ngolf/0000.mp4,new\ngolf/0001.mp4,other\n")

    (record,) = list_source(Source("ours", folder, "Ours", prompts=tmp_path / "p.csv"))[0]

    assert record.prompt == "new"


def test_the_studys_file_is_of_every_source_without_one_of_its_own(study_toml, tmp_path):
    path = study_toml(
        ("seed = 7", 'seed = 7\nprompts = "all.csv"'),
        ('name = "Our Model"', 'name = "Our Model", prompts = "ours.csv"'),
        clips=False,
    )

    given = {s.name: s.prompts for s in load_study(path).sources}

    assert given == {
        "ours": tmp_path / "ours.csv", "theirs": tmp_path / "all.csv", "real": tmp_path / "all.csv"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('name = "Our Model"', "prompts = 3"), r":7: \[sources\] ours: prompts must be text in q"),
        (("seed = 7", "seed = 7\nprompts = 3"), r":5: \[study\] prompts: must be a path in quotes"),
        (("[gold]\n", '[gold]\nprompts = "p.csv"\n'), r"\[gold\] prompts: goes with folder"),
    ],
)
def test_a_key_of_prompts_that_is_wrong_is_named(study_toml, change, words):
    with pytest.raises(StudyFileError, match=words):
        load_study(study_toml(change, clips=False))


def test_gold_of_a_folder_has_its_own_file(clip_folder, tmp_path):
    for side in ("good", "bad"):
        clip_folder(f"../gold/{side}", {"golf": 1})
    (tmp_path / "p.csv").write_text("item,prompt\n0000,A putt\n")

    (pair,) = folder_pairs(tmp_path / "gold", prompts=tmp_path / "p.csv")

    assert (pair.good.prompt, pair.bad.prompt) == ("A putt", None)


def record(source, clip, prompt):
    shape = {"frames": 8, "fps": 8.0, "width": 32, "height": 32}
    return ClipRecord(clip, "0" * 64, source, "golf", prompt=prompt, **shape)


@pytest.fixture
def shown(study_toml):
    """The small study, showing prompts, with four clips of each source: so many have a prompt."""

    def make(*, show="true", **prompted):
        path = study_toml(("[design]\n", f"[design]\nshow_prompt = {show}\n"), clips=False)
        clips = {
            name: [record(name, f"{i}.mp4", "A putt" if i < n else None) for i in range(4)]
            for name, n in ({"ours": 0, "theirs": 0, "real": 0} | prompted).items()
        }
        return load_study(path), clips

    return make


def test_showing_prompts_where_no_first_clip_has_one_is_refused(shown):
    study, clips = shown(real=4)  # never first in a comparison

    with pytest.raises(UsageError, match="no clip of ours, theirs has one"):
        check_prompts(study.design, clips)


def test_a_study_that_shows_no_prompts_needs_none(shown):
    study, clips = shown(show="false")

    check_prompts(study.design, clips)
    assert prompt_warnings(study, clips, []) == []


def test_clips_without_the_prompt_that_others_show_are_counted_and_named(shown):
    study, clips = shown(ours=4, theirs=1, real=3)

    check_prompts(study.design, clips)
    (warning,) = prompt_warnings(study, clips, [])

    assert "4 of 12 clips whose prompt is shown have none" in warning
    assert warning.endswith("none: theirs/1.mp4, theirs/2.mp4, theirs/3.mp4, ...")


def test_a_clip_that_never_comes_first_needs_no_prompt(shown):
    study, clips = shown(ours=4, theirs=4)
    other = replace(study, gold=replace(study.gold, source="ours"))

    assert prompt_warnings(other, clips, []) == []
