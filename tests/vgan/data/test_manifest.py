"""A manifest reads back what was written and says which line is wrong."""

import json
import os
from dataclasses import replace

import pytest

from vgan.data.files import remove_stale_parts
from vgan.data.manifest import (
    BEGUN,
    ClipRecord,
    ManifestError,
    Origin,
    read_manifest,
    sha256_of,
    to_dict,
    unfinished,
    write_manifest,
)

RECORD = ClipRecord(
    clip="beach/000.mp4", sha256="a" * 64, source="real", category="beach",
    frames=32, fps=20.0, width=64, height=64,
    origin=Origin("video-7", 64), split="test", extra={"camera": "still"},
)  # fmt: skip


def write_line(folder, **changes):
    raw = to_dict(RECORD) | changes
    raw = {k: v for k, v in raw.items() if v != "DROP"}
    (folder / "manifest.jsonl").write_text(json.dumps(raw) + "\n")


def test_a_written_manifest_reads_back_equal(tmp_path):
    write_manifest(tmp_path, [RECORD])

    assert read_manifest(tmp_path) == [RECORD]


@pytest.mark.parametrize("mark", ["\u2028", "\u0085", "\x0c", "\r"])
def test_what_ends_a_line_in_other_places_does_not_end_one_here(tmp_path, mark):
    odd = replace(RECORD, prompt=f"a dog{mark}runs", origin=Origin(f"dogs/a{mark}b.mp4"))
    write_manifest(tmp_path, [odd])

    assert read_manifest(tmp_path) == [odd]


def test_a_prompt_may_quote_the_escape_of_a_character_that_no_database_takes(tmp_path):
    quoting = replace(RECORD, prompt=r"a terminal prints \u0000, then \\u0000")
    write_manifest(tmp_path, [quoting])

    assert read_manifest(tmp_path) == [quoting]


@pytest.mark.parametrize("name", sorted(BEGUN))
def test_a_folder_that_was_begun_is_unfinished_until_it_has_a_manifest(tmp_path, name):
    assert unfinished(tmp_path) is None
    (tmp_path / name).write_text("{}")

    assert f"`vgan {BEGUN[name]}` was interrupted there (it has {name}" in unfinished(tmp_path)
    write_manifest(tmp_path, [RECORD])
    assert unfinished(tmp_path) is None


def test_a_manifest_is_sorted_by_clip_so_that_equal_folders_have_equal_files(tmp_path):
    other = ClipRecord(**{**RECORD.__dict__, "clip": "beach/999.mp4"})
    first = write_manifest(tmp_path, [other, RECORD]).read_bytes()

    assert write_manifest(tmp_path, [RECORD, other]).read_bytes() == first


def test_what_a_killed_writer_leaves_of_a_manifest_is_swept_up_an_hour_later(tmp_path, monkeypatch):
    with monkeypatch.context() as killed:
        killed.setattr("vgan.data.manifest.os.replace", lambda *_: None)
        killed.setattr(type(tmp_path), "unlink", lambda *_, **__: None)
        write_manifest(tmp_path, [RECORD])
    (left,) = tmp_path.iterdir()
    os.utime(left, (0, 0))
    remove_stale_parts(tmp_path)

    assert not list(tmp_path.iterdir())


def test_unknown_keys_are_kept(tmp_path):
    write_line(tmp_path, mood="sunny")

    assert read_manifest(tmp_path)[0].extra == {"camera": "still", "mood": "sunny"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sha256": "DROP"}, "`sha256` is missing"),
        ({"frames": "32"}, "`frames` must be int"),
        ({"frames": True}, "`frames` must be int"),
        ({"frames": 0}, "must be positive"),
        ({"fps": 0}, "fps must be above 0"),
        ({"fps": float("nan")}, "fps must be above 0, at most 1e+06, got nan"),
        ({"fps": float("inf")}, "fps must be above 0"),
        ({"fps": 10**400}, "fps must be above 0"),
        ({"prompt": "waves\x00"}, "key `prompt` has \\u0000"),
        ({"item": os.fsdecode(b"caf\xe9")}, "key `item` has"),
        ({"origin": {"video": "\udce9"}}, "key `origin` has"),
        ({"origin": {"video": "a", "start_frame": 2**31}}, "from 0 to 2147483647"),
        ({"source": "My Model"}, "not a slug"),
        ({"clip": "../secret.mp4"}, "inside the folder"),
        ({"clip": "/etc/passwd"}, "inside the folder"),
        ({"origin": "video-7"}, "`origin` must be an object"),
    ],
)
def test_a_wrong_line_is_named_with_its_key(tmp_path, changes, words):
    write_line(tmp_path, **changes)

    with pytest.raises(ManifestError, match=r"manifest\.jsonl:1: ") as caught:
        read_manifest(tmp_path)

    assert words in str(caught.value)


def test_a_clip_listed_twice_is_refused(tmp_path):
    line = json.dumps(to_dict(RECORD))
    (tmp_path / "manifest.jsonl").write_text(f"{line}\n{line}\n")

    with pytest.raises(ManifestError, match=r":2: clip 'beach/000\.mp4' is listed twice"):
        read_manifest(tmp_path)


def test_a_line_that_is_not_json_is_named(tmp_path):
    (tmp_path / "manifest.jsonl").write_text("{}}\n")

    with pytest.raises(ManifestError, match=":1: not JSON"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("line", ["[" * 100_000, '{"frames": ' + "9" * 5000 + "}"])
def test_a_line_too_deep_or_too_long_to_read_is_named(tmp_path, line):
    (tmp_path / "manifest.jsonl").write_text(line)

    with pytest.raises(ManifestError, match=":1: not JSON"):
        read_manifest(tmp_path)


def test_a_missing_manifest_names_the_file_it_looked_for(tmp_path):
    with pytest.raises(ManifestError, match=r"manifest\.jsonl: no manifest here"):
        read_manifest(tmp_path)


def test_sha256_of_a_known_text_is_the_published_digest(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")

    assert sha256_of(tmp_path / "abc").startswith("ba7816bf8f01cfea414140de5dae2223")
