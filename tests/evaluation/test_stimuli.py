"""One format per study, opaque names, and two files of a pair that nobody can tell apart."""

import io
from datetime import UTC, datetime

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import select

from evaluation import schema
from evaluation.errors import ClipError, UsageError
from evaluation.media.formats import as_video, common_format
from evaluation.media.frames import write_frames
from evaluation.stimuli import encode_clips, layout_of, prepare_stimuli
from evaluation.storage import LocalStore
from evaluation.study import Display
from vgan.data.manifest import sha256_of


def clip(name="a/x/1.mp4", frames=32, fps=16.0, size=(64, 64), **more) -> schema.Clip:
    return schema.Clip(name=name, frames=frames, fps=fps, width=size[0], height=size[1], **more)


def test_small_clips_become_a_sheet_at_the_largest_whole_scale():
    found = common_format([clip(), clip("b/x/1.mp4")], Display())

    assert (found.kind, found.scale, found.frames, found.columns) == ("sprite", 6.0, 32, 6)


def test_large_clips_become_video_that_fits_the_box():
    found = common_format([clip(frames=120, fps=24, size=(1280, 720))], Display())

    assert (found.kind, found.width, found.height) == ("video", 800, 450)
    assert (found.width * found.scale, found.height * found.scale) == (400, 225)


def test_video_has_even_sides():
    found = as_video(common_format([clip(size=(65, 49))], Display()), Display())

    assert (found.width, found.height) == (64, 48)


def test_still_images_stay_lossless_at_any_size():
    found = common_format([clip(frames=1, fps=1, size=(2000, 1500))], Display())

    assert (found.kind, found.fps, found.mime) == ("image", 0, "image/png")


def test_scale_fit_fills_the_box():
    assert common_format([clip()], Display(scale="fit")).scale == 6.25


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"size": (128, 96)}, "a/x/1.mp4 has 64x64, b/x/2.mp4 has 128x96; set fit ="),
        (
            {"fps": 24.0, "frames": 48},  # of the same length, in seconds
            "16 frames per second, b/x/2.mp4 has 24 frames per second; set fps under",
        ),
        ({"frames": 16}, "32 frames, b/x/2.mp4 has 16 frames; set duration ="),
        (
            {"size": (128, 96), "fps": 24.0},
            "128x96; in frame rate: .*; in length: a/x/1.mp4 has 32 frames once shown at 16 per "
            "second, b/x/2.mp4 has 21 frames .*; "
            'set fit = "pad" or "crop", fps, duration = "shortest"',
        ),
    ],
)
def test_clips_that_differ_are_refused_with_the_setting_that_helps(other, words):
    with pytest.raises(UsageError, match=words) as caught:
        common_format([clip(), clip("b/x/2.mp4", **other)], Display())

    assert "[display]" in str(caught.value)


def test_display_settings_bring_clips_to_one_form():
    clips = [clip(), clip("b/x/2.mp4", frames=16, fps=8.0, size=(128, 96))]

    found = common_format(clips, Display(fit="pad", fps=8, duration="shortest"))

    assert (found.width, found.height, found.fps, found.frames) == (86, 64, 8, 16)


@pytest.mark.parametrize(
    ("sizes", "padded", "cropped"),
    [
        ([(128, 128), (160, 90), (96, 128)], (160, 128), (96, 90)),  # each at its own scale
        ([(64, 64), (256, 144)], (114, 64), (64, 64)),
        ([(100, 50), (50, 100)], (100, 100), (50, 50)),
        ([(96, 64), (64, 96), (64, 64)], (64, 96), (64, 64)),
        ([(64, 64), (128, 128)], (64, 64), (64, 64)),
    ],
)
def test_the_common_size_enlarges_no_clip_and_padding_shrinks_none_for_nothing(
    sizes, padded, cropped
):
    clips = [clip(f"a/x/{n}.mp4", size=size) for n, size in enumerate(sizes)]

    found = {fit: common_format(clips, Display(fit=fit)) for fit in ("pad", "crop")}

    assert (found["pad"].width, found["pad"].height) == padded
    assert (found["crop"].width, found["crop"].height) == cropped


def test_loop_each_lets_every_clip_keep_its_length():
    found = common_format([clip(), clip("b/x/2.mp4", frames=16)], Display(duration="loop-each"))

    assert (found.frames, found.columns) == (None, 6)


def test_clips_at_nearly_the_rate_of_the_study_keep_their_length():
    clips = [clip(frames=600, fps=30000 / 1001, size=(32, 32))]
    display = Display(fps=30, duration="loop-each")

    assert common_format(clips, Display(fps=30)).frames == 600
    assert layout_of(clips[0], common_format(clips, display))["frames"] == 600


@pytest.fixture
def planned(sqlite_database, tmp_path):
    """A study of three pairs; `real` clips are noise, those of `flat` hardly have any bytes."""
    rng = np.random.default_rng(0)
    pixels = {}
    with sqlite_database.write() as session:
        study = schema.Study(
            name="s", title="t", seed=1, design_hash="0", design={}, settings={}, study_file="",
            secret="7" * 64, created_at=datetime(2026, 1, 1, tzinfo=UTC),
        )  # fmt: skip
        session.add(study)
        session.flush()
        sources = [schema.Source(study_id=study.id, position=n, name=name, display_name=name)
                   for n, name in enumerate(("real", "flat", "spare"))]  # fmt: skip
        session.add_all(sources)
        session.flush()
        clips = {}
        for source in sources:
            for n in range(2):
                frames = rng.integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)
                if source.name == "flat":
                    frames[:] = 40 * n
                path = tmp_path / source.name / f"{n}.mp4"
                write_frames(path, frames, 10)
                name = f"{source.name}/{n}.mp4"
                clips[name] = clip(
                    name, 5, 10.0, (16, 16), study_id=study.id, source_id=source.id, category="all",
                    sha256=sha256_of(path), path=str(path),
                )  # fmt: skip
                pixels[name] = frames
        session.add_all(clips.values())
        session.flush()
        for a, b in (("real/0.mp4", "flat/0.mp4"), ("real/1.mp4", "flat/1.mp4"),
                     ("flat/0.mp4", "flat/1.mp4")):  # fmt: skip
            session.add(
                schema.Pair(study_id=study.id, clip_a_id=clips[a].id, clip_b_id=clips[b].id,
                            source_a="real", source_b="flat", category="all")
            )  # fmt: skip
    return sqlite_database, LocalStore(tmp_path / "media"), pixels


def prepare(planned, display=None, progress=None):
    database, store, _ = planned
    with database.write() as session:
        study = session.scalars(select(schema.Study)).one()
        arguments = (progress,) if progress else ()
        prepare_stimuli(session, study, display or Display(), store, *arguments)


def rows(planned, table):
    with planned[0].read() as session:
        found = session.scalars(select(table).order_by(table.id)).all()
        for row in found:
            if table is schema.Stimulus:
                assert row.clip.name
        return found


def test_both_files_of_a_pair_have_one_size_and_the_clip_of_another_pair_another(planned):
    prepare(planned)

    pairs = rows(planned, schema.Pair)
    sizes = {(s.clip_id, s.padded_bytes) for s in rows(planned, schema.Stimulus)}
    for pair in pairs:
        assert {(pair.clip_a_id, pair.padded_bytes), (pair.clip_b_id, pair.padded_bytes)} <= sizes
    assert pairs[0].padded_bytes > pairs[2].padded_bytes
    assert len(sizes) == 6


def plan_kinds(planned, *kinds):
    """Make a trial of every pair, in their order."""
    with planned[0].write() as session:
        study = session.scalars(select(schema.Study)).one()
        now = datetime(2026, 1, 1, tzinfo=UTC)
        batch = schema.PlanBatch(study_id=study.id, number=1, seed=1, rule="", reason="",
                                 created_at=now)  # fmt: skip
        session.add(batch)
        session.flush()
        pairs = session.scalars(select(schema.Pair.id).order_by(schema.Pair.id)).all()
        for number, (pair, kind) in enumerate(zip(pairs, kinds, strict=True)):
            session.add(
                schema.Trial(study_id=study.id, batch_id=batch.id, number=number, pair_id=pair,
                             kind=kind, a_is_left=True)
            )  # fmt: skip


@pytest.mark.parametrize("kind", ["gold", "practice", "identical"])
def test_a_check_with_small_clips_is_as_large_as_a_test_pair(planned, kind):
    test, check = schema.TrialKind.TEST, schema.TrialKind(kind)
    plan_kinds(planned, test, test, check)
    prepare(planned)

    first, second, small = (pair.padded_bytes for pair in rows(planned, schema.Pair))
    held = {len(planned[1].get(s.key)) for s in rows(planned, schema.Stimulus)}

    assert small in (first, second)
    assert held == {first, second}


def test_a_check_with_larger_clips_than_every_test_pair_keeps_its_size(planned):
    gold, test = schema.TrialKind.GOLD, schema.TrialKind.TEST
    plan_kinds(planned, gold, test, test)
    with planned[0].write() as session:
        flat, pair = session.get_one(schema.Pair, 3), session.get_one(schema.Pair, 2)
        pair.clip_a_id, pair.clip_b_id = flat.clip_b_id, flat.clip_a_id
    prepare(planned)

    large, small, same = (pair.padded_bytes for pair in rows(planned, schema.Pair))

    assert large > small == same


def test_every_stored_file_is_its_clip_exactly(planned):
    prepare(planned)
    _, store, pixels = planned

    for stimulus in rows(planned, schema.Stimulus):
        data = store.get(stimulus.key)
        sheet = np.asarray(Image.open(io.BytesIO(data)))
        columns = stimulus.layout["columns"]
        for k, frame in enumerate(pixels[stimulus.clip.name]):
            y, x = k // columns * 16, k % columns * 16
            assert np.array_equal(sheet[y : y + 16, x : x + 16], frame)
        assert len(data) == stimulus.padded_bytes


def test_clips_in_no_pair_are_not_encoded_and_nothing_half_made_stays(planned):
    prepare(planned)
    _, store, _ = planned

    assert {s.clip.name.split("/")[0] for s in rows(planned, schema.Stimulus)} == {"real", "flat"}
    assert list(store.scratch().iterdir()) == []
    stored = {path.name for path in store.folder.iterdir() if path.is_file()}
    assert stored == {s.key for s in rows(planned, schema.Stimulus)}


def test_preparing_again_does_nothing(planned):
    prepare(planned)
    before = [s.key for s in rows(planned, schema.Stimulus)]
    told = []

    prepare(planned, progress=lambda *step: told.append(step))

    assert [s.key for s in rows(planned, schema.Stimulus)] == before
    assert told == []


def test_pairs_of_a_later_batch_have_the_size_that_the_study_has_had_even_where_it_was_another(
    planned,
):
    prepare(planned)
    older = {"kind": "sprite", "width": 12, "height": 10, "columns": 2, "scale": 7.0}
    with planned[0].write() as session:
        for stimulus in session.scalars(select(schema.Stimulus)):
            stimulus.layout = stimulus.layout | older
        clips = {one.name: one for one in session.scalars(select(schema.Clip))}
        session.add(
            schema.Pair(study_id=clips["real/0.mp4"].study_id, clip_a_id=clips["real/0.mp4"].id,
                        clip_b_id=clips["spare/0.mp4"].id, source_a="real", source_b="spare",
                        category="all")
        )  # fmt: skip

    prepare(planned, Display(fit="pad"))

    added = [s for s in rows(planned, schema.Stimulus) if s.clip.name == "spare/0.mp4"]
    assert [s.layout for s in added] == [{"frames": 5, "fps": 10.0} | older]
    assert Image.open(io.BytesIO(planned[1].get(added[0].key))).size == (2 * 12, 3 * 10)


def test_clips_encoded_before_are_not_decoded_again(planned, monkeypatch):
    _, store, _ = planned
    clips = rows(planned, schema.Clip)
    encode_clips(clips, common_format(clips, Display()), Display(), store.scratch())

    def fail(path, kept):
        raise AssertionError(f"{path} was decoded again")

    monkeypatch.setattr("evaluation.media.encoding.read_frames", fail)
    prepare(planned)

    assert len(rows(planned, schema.Stimulus)) == 6


def test_clips_are_stored_in_an_order_that_says_nothing(planned, monkeypatch):
    put, used = LocalStore.put, []

    def remember(self, key, data, mime):
        used.append(key)
        put(self, key, data, mime)

    monkeypatch.setattr(LocalStore, "put", remember)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    prepare(planned)

    assert used == sorted(s.key for s in rows(planned, schema.Stimulus))


def test_progress_is_told_for_each_stage(planned):
    told = []

    prepare(planned, progress=lambda *step: told.append(step))

    assert told[0] == ("Encoding clips", 0, 4)
    assert ("Encoding clips", 4, 4) in told
    assert told[-1] == ("Storing clips", 6, 6)


def test_a_sheet_over_the_limit_turns_the_whole_study_to_video(planned):
    _, store, _ = planned
    clips = rows(planned, schema.Clip)
    sheet = common_format(clips, Display())

    found, sizes = encode_clips(clips, sheet, Display(), store.scratch(), limit=1000)

    assert found.kind == "video"
    made = [path.read_bytes() for path in store.scratch().iterdir()]
    assert sorted(len(data) for data in made if data[4:8] == b"ftyp") == sorted(sizes)


@pytest.mark.parametrize("frames", [3, 5])
def test_a_clip_that_changed_since_import_is_named_even_in_its_old_shape(planned, tmp_path, frames):
    write_frames(tmp_path / "real" / "0.mp4", np.zeros((frames, 16, 16, 3), np.uint8), 10)

    with pytest.raises(ClipError, match=r"real/0\.mp4: changed since it was imported.*restore it"):
        prepare(planned)


def test_a_clip_that_is_gone_is_named(planned, tmp_path):
    (tmp_path / "real" / "0.mp4").unlink()

    with pytest.raises(
        ClipError, match=r"real/0\.mp4: cannot be read.* init` with their new paths"
    ):
        prepare(planned)


def test_a_clip_that_is_read_otherwise_than_at_its_import_is_told_apart(planned, monkeypatch):
    def read(path, kept):
        return np.stack([kept(np.zeros((16, 16, 3), np.uint8))] * 6), 10

    monkeypatch.setattr("evaluation.media.encoding.read_frames", read)

    with pytest.raises(ClipError, match="the same file, but this version reads it as 6 frames"):
        prepare(planned)


def test_equal_bytes_are_encoded_under_names_of_their_own(planned, monkeypatch):
    _, store, _ = planned
    clips = [rows(planned, schema.Clip)[0]] * 2
    used = []

    def video(frames, fps, scratch):
        used.append(scratch)
        return b"encoded"

    monkeypatch.setattr("evaluation.stimuli.encoding.video", video)
    monkeypatch.setattr("evaluation.stimuli.write_atomic", lambda path, data: None)
    target = as_video(common_format(clips, Display()), Display())
    encode_clips(clips, target, Display(), store.scratch())

    assert len(set(used)) == 2


def test_encoded_files_that_another_run_took_away_are_made_again(planned):
    _, store, _ = planned

    def take_away(stage, done, total):
        if (stage, done) == ("Storing clips", 0):
            for path in store.scratch().iterdir():
                path.unlink()

    prepare(planned, progress=take_away)

    assert all(store.exists(s.key) for s in rows(planned, schema.Stimulus))
    assert list(store.scratch().iterdir()) == []
