"""`init` imports, freezes and plans a study once, and refuses to change what has data."""

import json
import os
import re
import shutil
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import aliased

from analysis.declared import declared_of
from analysis.forecast import planned_rows
from analysis.load import load_judgments
from analysis.methods import methods
from analysis.study_plan import plan_text
from analysis.table import build_table
from evaluation import freeze, schema
from evaluation.allocation import get_worker, local_hit, start_session
from evaluation.clips import import_source
from evaluation.database import create_database, find_study
from evaluation.errors import ClipError, DesignChanged, EvaluationError, UsageError
from evaluation.export import export_study
from evaluation.files import part_of
from evaluation.freeze import init_study
from evaluation.links import publish_link
from evaluation.media.frames import read_frames
from evaluation.planning.design import canonical_json, design_hash
from evaluation.planning.gold import spoil
from evaluation.planning.plan_rows import StudyRows
from evaluation.schema import Environment, PlanBatch, Side, Trial, TrialKind
from evaluation.simulate import simulate
from evaluation.storage import LocalStore
from evaluation.study import Source
from evaluation.study_file.reader import load_study
from freezing import without_media
from vgan.data.manifest import read_manifest, write_manifest

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def _init(database, path, **kwargs):
    folder = path.parent
    store = LocalStore(folder / "media")
    return init_study(database, load_study(path), store, folder / "assets", **kwargs)


def _init_rows(database, path):
    """Init without encoding anything: only the rows are looked at."""
    with without_media():
        return _init(database, path)


def _start(database, worker="w1"):
    with database.write() as session:
        study = find_study(session, None)
        hit = local_hit(session, study, "local", Environment.SANDBOX, NOW)
        person = get_worker(session, "local", Environment.SANDBOX, worker, NOW)
        return start_session(session, study, hit=hit, worker=person, external_id="s1", now=NOW)


def _counts(database):
    tables = (schema.Clip, schema.Pair, schema.Stimulus, Trial, schema.Source, schema.Event)
    with database.read() as session:
        return {
            t.__tablename__: session.scalar(select(func.count()).select_from(t)) for t in tables
        }


def test_init_writes_the_whole_study(initialised_study):
    database, store, _, report = initialised_study
    with database.read() as session:
        study = find_study(session, None)
        kinds = Counter(session.scalars(select(Trial.kind)))
        batches = session.execute(
            select(PlanBatch.number, PlanBatch.rule, PlanBatch.seed).order_by(PlanBatch.number)
        ).all()
        stimuli = session.scalars(select(schema.Stimulus)).all()
        pairs = session.scalars(select(schema.Pair)).all()

    assert (report.action, report.rows, report.clips, report.trials) == ("created", 3, 24, 48)
    assert report.categories == ("beach", "golf")
    assert kinds[TrialKind.TEST] == 48
    assert kinds[TrialKind.GOLD] == kinds[TrialKind.PRACTICE] == 4
    assert batches == [(0, "pool", 7), (1, "study file", 7)]
    assert study.design_hash == report.design_hash
    assert all(pair.padded_bytes > 0 for pair in pairs)
    assert all(store.exists(s.key) for s in stimuli)


def test_the_design_hash_is_the_sha256_of_the_stored_design(initialised_study):
    with initialised_study.database.read() as session:
        study = find_study(session, None)

    assert design_hash(json.loads(canonical_json(study.design))) == study.design_hash
    assert study.design["design"]["comparisons"][0] == ["ours", "theirs"]
    assert study.design["design"]["categories"] == ["beach", "golf"]
    assert study.settings["sources"]["ours"]["name"] == "Our Model"
    assert "pay" not in study.design


def test_every_cell_is_planned_in_the_designs_order_with_balanced_sides(initialised_study):
    with initialised_study.database.read() as session:
        rows = session.execute(
            select(
                schema.Pair.source_a, schema.Pair.source_b, schema.Pair.category, Trial.a_is_left
            )
            .join(Trial, Trial.pair_id == schema.Pair.id)
            .where(Trial.kind == TrialKind.TEST)
        ).all()
    cells = Counter(rows)

    assert len(cells) == 3 * 2 * 2
    assert set(cells.values()) == {4}


def test_pool_trials_are_templates_with_the_good_clip_as_answer(initialised_study):
    good, bad = aliased(schema.Clip), aliased(schema.Clip)
    with initialised_study.database.read() as session:
        rows = session.execute(
            select(Trial, schema.Pair, good, bad)
            .join(schema.Pair, Trial.pair_id == schema.Pair.id)
            .join(good, schema.Pair.clip_a_id == good.id)
            .join(bad, schema.Pair.clip_b_id == bad.id)
            .where(Trial.kind == TrialKind.GOLD)
        ).all()
        hidden = session.scalars(select(schema.Source.name).where(schema.Source.hidden)).all()
    trial, pair, original, spoilt = rows[0]
    before, after = read_frames(Path(original.path))[0], read_frames(Path(spoilt.path))[0]

    assert (trial.a_is_left, trial.correct, trial.free) == (True, Side.LEFT, False)
    assert (pair.source_a, pair.source_b) == ("real", "gold-bad")
    assert hidden == ["gold-bad"]
    assert before.shape == after.shape
    assert np.abs(before.astype(int) - after).mean() > 30


def test_a_session_can_start_and_has_every_kind(initialised_study):
    assignment = _start(initialised_study.database)
    with initialised_study.database.read() as session:
        kinds = session.scalars(
            select(Trial.kind)
            .join(schema.Showing, schema.Showing.trial_id == Trial.id)
            .where(schema.Showing.assignment_id == assignment.id)
        ).all()

    assert Counter(kinds) == {
        TrialKind.TEST: 6, TrialKind.PRACTICE: 1, TrialKind.GOLD: 1, TrialKind.REPEAT: 1
    }  # fmt: skip


def test_the_same_file_again_changes_nothing(initialised_study):
    before = _counts(initialised_study.database)
    _start(initialised_study.database)
    counts = _counts(initialised_study.database)
    report = _init(initialised_study.database, initialised_study.path)

    assert report.action == "unchanged"
    assert report.design_hash == initialised_study.report.design_hash
    assert _counts(initialised_study.database) == counts
    assert counts["pair"] == before["pair"]


def test_the_same_file_again_decodes_no_clip(sqlite_database, study_toml, monkeypatch):
    path = study_toml()
    _init_rows(sqlite_database, path)

    def decode(path):
        raise AssertionError(f"{path} is decoded again")

    monkeypatch.setattr("evaluation.clips.clip_info", decode)
    assert _init_rows(sqlite_database, path).action == "unchanged"


@pytest.mark.parametrize(
    ("setting", "taken_away", "error", "words"),
    [
        ("", "real", ClipError, r"real: no such folder \(source real\)"),
        ("", "real/golf", ClipError, "real has no clips of category 'golf'"),
        ('pairing = "item"', "real/golf/0002.mp4", UsageError, "real lacks '0002'"),
        ("show_prompt = true", "real/golf/0002.mp4", UsageError, "no prompt to show"),
    ],
)
def test_folders_that_do_not_fit_are_told_before_a_clip_is_opened(
    sqlite_database, study_toml, monkeypatch, setting, taken_away, error, words
):
    path = study_toml(("judgments_per_cell = 8", f"judgments_per_cell = 8\n{setting}"))
    shutil.move(path.parent / "clips" / taken_away, path.parent / "away")

    def decode(path):
        raise AssertionError(f"{path} is decoded")

    monkeypatch.setattr("evaluation.clips.clip_info", decode)
    with pytest.raises(error, match=words):
        _init_rows(sqlite_database, path)


def test_refused_clips_of_all_sources_are_named_at_once(sqlite_database, study_toml):
    path = study_toml()
    for source in ("ours", "real"):
        (path.parent / "clips" / source / "golf" / "0001.mp4").write_bytes(b"")

    with pytest.raises(ClipError, match=r"ours/golf/0001\.mp4: .*\n.*real/golf/0001\.mp4: "):
        _init_rows(sqlite_database, path)


def test_changed_pay_and_text_are_stored_and_logged_even_with_data(database, study_toml):
    path = study_toml()
    first = _init_rows(database, path)
    _start(database)
    study_toml(
        ("Our Model", "Our New Model"),
        extra='[pay]\nreward_cents = 50\n[text.en]\nthanks = "Thank you."\n',
    )
    report = _init_rows(database, path)
    with database.read() as session:
        study = find_study(session, None)
        event = session.scalars(
            select(schema.Event).where(schema.Event.kind == "settings changed")
        ).one()
        shown = study.sources[0].display_name

    assert (report.action, report.design_hash) == ("settings changed", first.design_hash)
    assert study.settings["pay"]["reward_cents"] == 50
    assert event.details["keys"] == ["pay.reward_cents", "sources.ours", "text.en"]
    assert event.details["old"]["pay"]["reward_cents"] == 0
    assert shown == "Our New Model"
    assert study.study_file == path.read_text()


def test_a_crowd_that_changes_under_what_is_published_is_warned_of_once(
    sqlite_database, study_toml
):
    path = study_toml(extra='[recruit]\ncrowd = "link"\n')
    _init_rows(sqlite_database, path)
    publish_link(sqlite_database, None, Environment.SANDBOX, "http://localhost:8000")
    study_toml(extra='[recruit]\ncrowd = "local"\n')

    changed, again = (_init_rows(sqlite_database, path) for _ in range(2))

    said = [one for one in changed.warnings if "`vgan-eval expire --crowd link`" in one]
    assert len(said) == 1
    assert not [one for one in again.warnings if "--crowd" in one]


def test_a_changed_design_without_data_is_frozen_again(database, study_toml):
    path = study_toml()
    first = _init_rows(database, path)
    with database.read() as session:
        secret = find_study(session, None).secret
    study_toml(("judgments_per_cell = 8", "judgments_per_cell = 4"))
    report = _init_rows(database, path)
    with database.read() as session:
        study = find_study(session, None)
        kinds = Counter(session.scalars(select(Trial.kind)))
        events = session.scalars(select(schema.Event.kind).order_by(schema.Event.id)).all()

    assert (report.action, report.trials) == ("frozen again", 24)
    assert report.design_hash != first.design_hash
    assert kinds[TrialKind.TEST] == 24
    assert study.secret != secret
    assert events == ["init", "design changed", "init"]


def test_a_changed_design_with_data_is_refused_and_says_what_changed_and_what_to_do(
    database, study_toml
):
    path = study_toml()
    _init_rows(database, path)
    _start(database)
    counts = _counts(database)
    study_toml(("trials = 6", "trials = 5"), ("seed = 7", "seed = 8"))
    heading = "A model that comes later"
    docs = Path(__file__).parents[2] / "docs" / "planning.md"

    with pytest.raises(DesignChanged) as refused:
        _init_rows(database, path)

    assert str(refused.value) == (
        "study `small` has been published or rated, and its design changed (seed, session.trials); "
        "give the changed study a new name under [study]. What was judged stays in `small`: for "
        "one more source, plan only its comparisons and one of these again "
        f'(docs/planning.md, "{heading}")'
    )
    assert f"\n## {heading}\n" in docs.read_text(encoding="utf-8")
    assert _counts(database) == counts


def test_a_changed_clip_with_data_is_refused(database, study_toml):
    path = study_toml()
    _init_rows(database, path)
    _start(database)
    clips = path.parent / "clips"
    shutil.copy(clips / "ours/golf/0000.mp4", clips / "theirs/golf/0000.mp4")

    with pytest.raises(DesignChanged, match="clips_sha256"):
        _init_rows(database, path)


def _add_hit(database, state):
    with database.write() as session:
        study = find_study(session, None)
        session.add(
            schema.Hit(
                study_id=study.id, crowd="mturk", environment=Environment.SANDBOX, token="t",
                state=state, created_at=NOW,
            )
        )  # fmt: skip


def test_a_published_study_counts_as_one_with_data(database, study_toml):
    path = study_toml()
    _init_rows(database, path)
    _add_hit(database, schema.CallState.DONE)
    study_toml(("seed = 7", "seed = 8"))

    with pytest.raises(DesignChanged, match="published or rated"):
        _init_rows(database, path)


def test_a_study_that_the_platform_refused_may_still_change(database, study_toml):
    path = study_toml()
    _init_rows(database, path)
    _add_hit(database, schema.CallState.FAILED)
    study_toml(("seed = 7", "seed = 8"))

    assert _init_rows(database, path).action == "frozen again"


def test_where_the_folders_lie_is_not_part_of_the_design(sqlite_database, study_toml, tmp_path):
    path = study_toml()
    first = _init_rows(sqlite_database, path)
    (tmp_path / "clips").rename(tmp_path / "moved")
    changes = [(f"clips/{s}", f"moved/{s}") for s in ("ours", "theirs", "real")]
    study_toml(*changes, clips=False)
    report = _init_rows(sqlite_database, path)

    assert (report.action, report.design_hash) == ("settings changed", first.design_hash)


def _paths(database):
    with database.read() as session:
        clip = schema.Clip
        return {name: Path(path) for name, path in session.execute(select(clip.name, clip.path))}


def test_moved_clips_are_read_where_they_lie_now(sqlite_database, study_toml, tmp_path):
    path = study_toml()
    _init_rows(sqlite_database, path)
    _start(sqlite_database)
    (tmp_path / "clips").rename(tmp_path / "moved")
    study_toml(*((f"clips/{s}", f"moved/{s}") for s in ("ours", "theirs", "real")), clips=False)
    _init_rows(sqlite_database, path)

    places = _paths(sqlite_database)
    assert places["ours/golf/0000.mp4"] == tmp_path / "moved/ours/golf/0000.mp4"
    assert all(place.is_file() for place in places.values())


def test_places_are_corrected_where_the_settings_are_as_before(sqlite_database, study_toml):
    path = study_toml()
    _init_rows(sqlite_database, path)
    places = _paths(sqlite_database)
    with sqlite_database.write() as session:
        session.execute(update(schema.Clip).values(path="gone"))  # spoilt clips too

    assert _init_rows(sqlite_database, path).action == "settings changed"
    assert _paths(sqlite_database) == places
    assert _init_rows(sqlite_database, path).action == "unchanged"


def test_moved_clips_of_a_gold_folder_are_read_where_they_lie_now(
    sqlite_database, study_toml, clip_folder, tmp_path
):
    for side in ("good", "bad"):
        clip_folder(f"../gold/{side}", {"golf": 6})
    path = study_toml(('auto = "noise"\nsource = "real"', 'folder = "gold"'))
    _init_rows(sqlite_database, path)
    (tmp_path / "gold").rename(tmp_path / "checks")
    study_toml(('auto = "noise"\nsource = "real"', 'folder = "checks"'), clips=False)

    assert _init_rows(sqlite_database, path).action == "settings changed"
    assert all(place.is_file() for place in _paths(sqlite_database).values())


def test_what_a_killed_init_left_half_made_is_removed_by_a_later_one(
    sqlite_database, study_toml, tmp_path
):
    path = study_toml()
    assets = tmp_path / "assets" / load_study(path).name
    scratch = LocalStore(tmp_path / "media").scratch()
    half = part_of(assets / "gold-bad" / "noise" / "golf" / "clip.mp4", ".mp4")
    encoded, sheet, at_work = (part_of(scratch / "abc", s) for s in (".mp4", "", ".mp4"))
    for part in (half, encoded, sheet, at_work):
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(b"half")
    for part in (half, encoded, sheet):
        os.utime(part, (0, 0))

    _init_rows(sqlite_database, path)

    assert [part.exists() for part in (half, encoded, sheet, at_work)] == [False] * 3 + [True]
    assert all(place.is_file() for place in _paths(sqlite_database).values())


def test_spoilt_clips_are_found_from_any_folder(sqlite_database, study_toml, tmp_path, monkeypatch):
    path = study_toml()
    monkeypatch.chdir(tmp_path)
    store = LocalStore(tmp_path / "media")
    with without_media():
        init_study(sqlite_database, load_study(path), store, Path("assets"))

    places = _paths(sqlite_database)
    assert all(place.is_absolute() for place in places.values())
    assert any(name.startswith("gold-bad/") for name in places)


def test_the_frame_rate_of_a_manifest_is_part_of_the_design(
    sqlite_database, study_toml, clip_folder
):
    folder = clip_folder("ours", manifest=True)
    path = study_toml(extra='[display]\nfps = 8\nduration = "loop-each"\n')
    first = _init_rows(sqlite_database, path)
    write_manifest(folder, [replace(record, fps=4.0) for record in read_manifest(folder)])
    second = _init_rows(sqlite_database, path)

    assert (second.action, second.design_hash == first.design_hash) == ("frozen again", False)


def test_a_design_in_an_older_format_is_kept_and_exported(sqlite_database, study_toml, tmp_path):
    path = study_toml()
    _init_rows(sqlite_database, path)
    with sqlite_database.write() as session:
        study = find_study(session, None)
        study.design = study.design | {"format": 1}
        study.design_hash = design_hash(study.design)
    _start(sqlite_database)

    with pytest.raises(DesignChanged, match=r"format 1 .* need no `init`\. To change .* new name"):
        _init_rows(sqlite_database, path)
    assert export_study(sqlite_database, None, tmp_path / "out").sessions == 1


def test_a_design_in_an_older_format_without_data_is_frozen_again(sqlite_database, study_toml):
    path = study_toml()
    first = _init_rows(sqlite_database, path)
    with sqlite_database.write() as session:
        study = find_study(session, None)
        study.design = study.design | {"format": 1}
        study.design_hash = design_hash(study.design)
    report = _init_rows(sqlite_database, path)

    assert (report.action, report.design_hash) == ("frozen again", first.design_hash)


def test_of_two_inits_at_once_the_second_finds_the_study(database, study_toml, monkeypatch):
    path = study_toml()
    make_pools, both = freeze.make_pools, threading.Barrier(2)

    def together(*arguments):
        pools = make_pools(*arguments)
        both.wait(timeout=30)  # both have seen that there is no such study
        return pools

    monkeypatch.setattr(freeze, "make_pools", together)
    with without_media(), ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(lambda _: _init(database, path), range(2)))

    assert sorted(report.action for report in reports) == ["created", "unchanged"]
    with database.read() as session:
        assert session.scalars(select(schema.Event.kind)).all() == ["init"]


def test_two_studies_share_a_database(sqlite_database, study_toml):
    _init_rows(sqlite_database, study_toml())
    _init_rows(sqlite_database, study_toml(('name = "small"', 'name = "other"'), name="b.toml"))
    with sqlite_database.read() as session:
        assert find_study(session, "other").name == "other"
        assert session.scalar(select(func.count()).select_from(schema.Study)) == 2


def test_a_failure_half_way_leaves_nothing_in_the_database(database, study_toml, monkeypatch):
    def full_disk(*args):
        raise EvaluationError("the disk is full")

    monkeypatch.setattr(LocalStore, "put", full_disk)
    with pytest.raises(EvaluationError, match="the disk is full"):
        _init(database, study_toml())
    assert set(_counts(database).values()) == {0}


def test_the_same_seed_plans_the_same_study_on_any_database(study_toml, tmp_path):
    path = study_toml()
    plans = []
    for name in ("a.db", "b.db"):
        with create_database(str(tmp_path / name)) as database:
            _init_rows(database, path)
            left, right = aliased(schema.Clip), aliased(schema.Clip)
            with database.read() as session:
                plans.append(
                    session.execute(
                        select(Trial.batch_id, Trial.number, Trial.kind, left.name, right.name)
                        .join(schema.Pair, Trial.pair_id == schema.Pair.id)
                        .join(left, schema.Pair.clip_a_id == left.id)
                        .join(right, schema.Pair.clip_b_id == right.id)
                        .order_by(Trial.batch_id, Trial.number)
                    ).all()
                )

    assert len(plans[0]) == 56
    assert plans[0] == plans[1]


def test_gold_from_a_folder_has_hidden_sources_and_is_part_of_the_hash(
    sqlite_database, study_toml, clip_folder, tmp_path
):
    for side in ("good", "bad"):
        clip_folder(f"../gold/{side}", {"golf": 6})
    path = study_toml(('auto = "noise"\nsource = "real"', 'folder = "gold"'))
    first = _init_rows(sqlite_database, path)
    with sqlite_database.read() as session:
        hidden = session.scalars(select(schema.Source.name).where(schema.Source.hidden)).all()
        gold = session.execute(
            select(schema.Pair.source_a, schema.Pair.source_b)
            .join(Trial)
            .where(Trial.kind == TrialKind.GOLD)
        ).all()
    shutil.copy(tmp_path / "gold/good/golf/0000.mp4", tmp_path / "gold/bad/golf/0001.mp4")

    assert hidden == ["gold-good", "gold-bad"]
    assert set(gold) == {("gold-good", "gold-bad")}
    assert _init_rows(sqlite_database, path).design_hash != first.design_hash


def test_several_questions_are_asked_which_of_them_gold_answers(sqlite_database, study_toml):
    two = '[[questions]]\nid = "realism"\n[[questions]]\nid = "calm"\n'
    silent, again = (_init_rows(sqlite_database, study_toml(extra=two)) for _ in range(2))
    named = ('source = "real"', 'source = "real"\nquestions = ["realism"]')
    told = _init_rows(sqlite_database, study_toml(named, extra=two))
    checks = ("practice = 1", "practice = 0"), ("gold = 1", "gold = 0")
    unchecked = _init_rows(sqlite_database, study_toml(*checks, extra=two))

    assert silent.warnings == (
        "the good clip of a gold or practice pair is taken for the right answer to realism and to "
        'calm: write those to which it is, such as questions = ["realism"], under [gold]',
    )
    assert again.warnings == told.warnings == unchecked.warnings == ()
    assert told.design_hash != silent.design_hash


def test_a_gold_clip_without_partner_is_named(sqlite_database, study_toml, clip_folder):
    clip_folder("../gold/good", {"golf": 6})
    clip_folder("../gold/bad", {"golf": 5})
    path = study_toml(('auto = "noise"\nsource = "real"', 'folder = "gold"'))

    with pytest.raises(ClipError, match=r"gold-good/golf/0005\.mp4 has no partner .* bad/"):
        _init_rows(sqlite_database, path)


def test_too_few_gold_clips_are_refused_with_the_counts(sqlite_database, study_toml):
    path = study_toml(("gold = 1", "gold = 4"))

    with pytest.raises(UsageError, match=r"gives 8 pairs, but one worker may need 10 \(8 gold"):
        _init_rows(sqlite_database, path)


def test_identical_pairs_have_no_correct_side(sqlite_database, study_toml):
    _init_rows(sqlite_database, study_toml(("repeats = 1", "repeats = 1\nidentical = 1")))
    with sqlite_database.read() as session:
        rows = session.execute(
            select(Trial.correct, schema.Pair.clip_a_id, schema.Pair.clip_b_id)
            .join(schema.Pair)
            .where(Trial.kind == TrialKind.IDENTICAL)
        ).all()

    assert len(rows) == 8
    assert all(correct is None and a == b for correct, a, b in rows)


def test_pairing_by_item_keeps_item_and_prompt(sqlite_database, study_toml):
    path = study_toml(("judgments_per_cell = 8", 'judgments_per_pair = 2\npairing = "item"'))
    report = _init_rows(sqlite_database, path)
    with sqlite_database.read() as session:
        pairs = session.scalars(select(schema.Pair).where(schema.Pair.source_b != "gold-bad")).all()
        items = {(p.clip_a.item, p.clip_b.item, p.item) for p in pairs}

    assert report.trials == 3 * 2 * 4 * 2
    assert items == {(f"000{i}",) * 3 for i in range(4)}


def test_an_item_without_a_partner_is_refused(sqlite_database, study_toml, tmp_path):
    path = study_toml(("judgments_per_cell = 8", 'judgments_per_pair = 2\npairing = "item"'))
    (tmp_path / "clips/theirs/golf/0002.mp4").unlink()

    with pytest.raises(UsageError, match=r"theirs lacks '0002' \(category golf\)"):
        _init_rows(sqlite_database, path)


def test_items_left_out_are_told_by_init_and_plan_and_in_tables_of_database_and_export(
    sqlite_database, study_toml, tmp_path
):
    by_item = 'judgments_per_pair = 2\npairing = "item"\nunmatched = "leave-out"'
    path = study_toml(
        ("judgments_per_cell = 8", by_item), ("seed = 7", 'seed = 7\nprompts = "all.csv"')
    )
    rows = [f"000{i},prompt {i}" for i in range(4)]  # of sources that lack some of them, too
    (tmp_path / "all.csv").write_text("\n".join(["item,prompt", *rows]))
    for lacked in ("0000", "0002"):
        (tmp_path / f"clips/theirs/golf/{lacked}.mp4").unlink()
    flatters = (
        "Items that one of two sources lacks are left out of their comparison, which flatters a "
        "source that failed to make them: "
    )
    left_out = "{0} over theirs 2 of 8 (theirs lacks 2); theirs over {1} 2 of 8 (theirs lacks 2)"
    study = load_study(path)

    report = _init_rows(sqlite_database, path)
    simulate(sqlite_database, None, workers=20, mix={"careful": 1}, seed=1)
    export_study(sqlite_database, None, tmp_path / "out", key=b"k" * 32)
    judged = [
        load_judgments(db=sqlite_database.url),
        load_judgments(file=tmp_path / "out" / "judgments.csv"),
    ]
    tables = [build_table(judgments) for judgments in judged]

    assert report.trials == 2 * 8 + 2 * 2 * (4 + 2)
    [said] = [one for one in report.warnings if one.startswith(flatters)]
    assert said.endswith(". theirs lacks '0000', '0002' (category golf)")
    planned = plan_text(study, planned_rows(study))
    assert f"\nWarning: {flatters}{left_out.format('ours', 'real')}\n" in planned
    shown = flatters + left_out.format("Our Model", "Real")
    for table in tables:
        assert shown in table.notes
        assert f" {shown}." in methods(table, None, 0.5)[0]
    plan = {"ours over theirs": 12, "ours over real": 16, "theirs over real": 12}
    assert [declared_of(judgments).planned for judgments in judged] == [plan, plan]


def test_an_item_whose_file_is_not_read_is_refused_with_that_file(
    sqlite_database, study_toml, tmp_path
):
    path = study_toml(("judgments_per_cell = 8", 'judgments_per_pair = 2\npairing = "item"'))
    clip = tmp_path / "clips/theirs/golf/0002.mp4"
    clip.rename(clip.with_suffix(".mpg"))
    words = r"theirs/golf/0002\.mpg: not read \(convert it.*needs item '0002' of theirs too"

    with pytest.raises(ClipError, match=words):
        _init_rows(sqlite_database, path)
    with pytest.raises(ClipError, match=words):
        planned_rows(load_study(path))


def test_a_file_that_is_not_read_and_that_no_item_needs_is_a_warning(
    sqlite_database, study_toml, tmp_path
):
    path = study_toml(("judgments_per_cell = 8", 'judgments_per_pair = 2\npairing = "item"'))
    (tmp_path / "clips/ours/golf/0000.mpg").touch()
    for n in range(5):
        (tmp_path / f"clips/real/golf/{n}.wmv").touch()
    report = _init_rows(sqlite_database, path)

    assert [text.replace(f"{tmp_path}/clips/", "") for text in report.warnings] == [
        "not read: ours/golf/0000.mpg (convert it to .mp4, or move it away)",
        *(f"not read: real/golf/{n}.wmv (convert it to .mp4, or move it away)" for n in range(3)),
        "not read: 2 more files of real",
    ]


def test_more_judgments_than_the_workers_can_give_are_refused(sqlite_database, study_toml):
    path = study_toml(("sessions_per_worker = 2", "sessions_per_worker = 2\nworkers = 3"))

    with pytest.raises(UsageError, match=r"at most 36 judgments .* the plan has 48: raise"):
        _init_rows(sqlite_database, path)
    assert _counts(sqlite_database)["trial"] == 0


@pytest.mark.parametrize(
    ("shape", "settings"),
    [
        ({"size": (48, 32)}, 'fit = "pad" or "crop"'),
        ({"frames": 6}, 'duration = "shortest" or "loop-each"'),
        (
            {"size": (48, 32), "fps": 10.0, "frames": 6},
            'fit = "pad" or "crop", fps, duration = "shortest" or "loop-each"',
        ),
    ],
)
def test_clips_that_differ_between_sources_name_every_display_setting_before_any_is_spoilt(
    sqlite_database, study_toml, clip_folder, monkeypatch, shape, settings
):
    clip_folder("ours", **shape)
    path = study_toml()
    monkeypatch.setattr(freeze, "make_pools", None)  # which spoils clips for gold trials

    with pytest.raises(
        UsageError, match=rf"differ in .*; set {settings} under \[display\]"
    ) as caught:
        _init(sqlite_database, path)
    assert "gold-bad" not in str(caught.value)
    assert set(_counts(sqlite_database).values()) == {0}


def test_an_unused_source_is_not_read_and_a_copy_is_a_warning(
    sqlite_database, study_toml, tmp_path
):
    path = study_toml(('real = "clips/real"', 'real = "clips/real"\nextra = "nowhere"'))
    shutil.copy(tmp_path / "clips/ours/golf/0000.mp4", tmp_path / "clips/real/golf/0000.mp4")
    report = _init_rows(sqlite_database, path)

    assert report.warnings == (
        "ours/golf/0000.mp4 and real/golf/0000.mp4 are the same file, and shown as a pair: its "
        "answers say nothing of the sources; replace or leave out the copy",
        "source extra is in no comparison; its clips were not read",
    )


def test_clips_of_one_item_that_are_the_same_file_are_told_before_copies_within_a_source(
    sqlite_database, study_toml, tmp_path
):
    path = study_toml(("judgments_per_cell = 8", 'judgments_per_pair = 2\npairing = "item"'))
    for ours in ("ours/beach/0001", "ours/golf/0003", "theirs/golf/0003"):
        shutil.copy(tmp_path / "clips/ours/beach/0000.mp4", tmp_path / f"clips/{ours}.mp4")

    report = _init_rows(sqlite_database, path)

    assert report.warnings == (
        "ours/golf/0003.mp4 and theirs/golf/0003.mp4 are the same file, and shown as a pair: its "
        "answers say nothing of the sources; replace or leave out the copy",
        "ours/beach/0000.mp4 and ours/beach/0001.mp4 are the same file (and 2 more)",
    )


def test_folders_of_numbered_frames_that_are_read_as_categories_are_a_warning(
    sqlite_database, study_toml, clip_folder
):
    for source in ("ours", "theirs", "real"):
        folder = clip_folder(source, {"golf": 4, "beach": 4}, frames=1)
        for path in folder.glob("*/*.mp4"):
            path.rename(path.with_stem(f"frame_{path.stem}"))
    path = study_toml(clips=False)

    [warning] = _init(sqlite_database, path).warnings
    assert warning.startswith(
        "ours/beach/frame_0000.mp4 and all others are still images, each shown alone, and every "
        "folder (beach) is a category; if a folder holds the frames of one clip, make a video"
    )


def test_a_language_that_leaves_the_page_half_english_is_a_warning(sqlite_database, study_toml):
    texts = '[text.ja.start]\nor = "または"\n[text.de]\n[text.en-GB]\n'
    report = _init(sqlite_database, study_toml(extra=texts))

    [warning] = report.warnings
    assert "[text.ja] leaves " in warning
    assert "texts of the rating page in English, such as start.left ('choose the left" in warning


def test_init_says_how_clips_are_shown_and_which_clip_all_are_cut_to(
    sqlite_database, study_toml, clip_folder
):
    clip_folder("ours", {"golf": 4})
    clip_folder("ours", {"beach": 4}, frames=3)
    path = study_toml(extra='[display]\nduration = "shortest"\n')

    report, again = (_init(sqlite_database, path) for _ in range(2))

    form, weight, shortest = report.shown.split("; ")
    assert form == "32x32, 3 frames at 8/s (0.38 s)"
    assert shortest == "shortest: ours/beach/0000.mp4"
    assert re.fullmatch(r"\d\.\d kB a pair, \d\d kB a session", weight)
    assert report.warnings[0].startswith("every clip is cut to 3 frames, as ours/beach/0000.mp4 is")
    assert (again.shown, again.warnings) == (report.shown, report.warnings)


def test_gold_trials_without_the_prompt_that_others_show_are_a_warning(
    sqlite_database, study_toml, clip_folder, tmp_path
):
    for side in ("good", "bad"):
        clip_folder(f"../gold/{side}", {"golf": 6})
    folder = ('auto = "noise"\nsource = "real"', 'folder = "gold"')
    path = study_toml(folder, ("[design]\n", "[design]\nshow_prompt = true\n"))
    with pytest.raises(UsageError, match="there is no prompt to show"):
        _init_rows(sqlite_database, path)
    ours = tmp_path / "clips/ours"
    records = import_source(Source("ours", ours, "Ours"))
    write_manifest(ours, [replace(record, prompt="a putt") for record in records])

    bare, gold = _init_rows(sqlite_database, path).warnings

    assert bare.endswith("theirs/beach/0000.mp4, theirs/beach/0001.mp4, theirs/beach/0002.mp4, ...")
    assert gold.startswith("show_prompt is on and clips of [gold] folder have no prompt")


def test_a_rule_that_could_judge_nobody_is_refused_before_it_is_frozen(
    sqlite_database, study_toml, monkeypatch
):
    path = study_toml(extra='[analysis]\nexclude = ["repeats"]\n')  # one, in each of two sessions
    with pytest.raises(UsageError, match=r"exclude: repeats .* from 4 repeats on, .* at most 2"):
        _init_rows(sqlite_database, path)
    assert set(_counts(sqlite_database).values()) == {0}

    with monkeypatch.context() as older:
        older.setattr("evaluation.freeze.check_exclusions", lambda _: ())
        _init_rows(sqlite_database, path)
    path.write_text(path.read_text() + "[pay]\nreward_cents = 7\n")

    # A study that an earlier version froze goes on, and its pay may change.
    assert _init_rows(sqlite_database, path).action == "settings changed"


def test_init_warns_of_a_rule_that_a_single_slip_breaks(sqlite_database, study_toml):
    path = study_toml(extra='[analysis]\nexclude = ["gold"]\n')

    (warning,) = _init_rows(sqlite_database, path).warnings

    assert "gold leaves a worker out for a single slip: 80% must be right, of 2 gold" in warning


def test_progress_is_reported_to_the_end(sqlite_database, study_toml):
    seen = {}
    _init(sqlite_database, study_toml(), progress=lambda stage, *n: seen.__setitem__(stage, n))

    assert "Reading clips of ours" in seen
    assert all(done == total for done, total in seen.values())


MOVING = np.random.default_rng(0).integers(0, 256, (8, 6, 5, 3), dtype=np.uint8)


def test_a_frozen_clip_holds_its_first_frame():
    spoilt = spoil(MOVING, "freeze", np.random.default_rng(1))

    assert np.array_equal(spoilt, np.repeat(MOVING[:1], 8, axis=0))


def test_a_shuffled_clip_has_the_same_frames_in_another_order():
    spoilt = spoil(MOVING, "frame-shuffle", np.random.default_rng(1))
    order = [next(i for i in range(8) if np.array_equal(MOVING[i], f)) for f in spoilt]

    assert sorted(order) == list(range(8))
    assert not any(b - a == 1 for a, b in pairwise(order))


@pytest.mark.parametrize("how", ["freeze", "frame-shuffle"])
def test_spoiling_what_does_not_move_is_refused(how):
    with pytest.raises(UsageError, match="changes nothing in a clip that does not move"):
        spoil(np.repeat(MOVING[:1], 8, axis=0), how, np.random.default_rng(1))


def test_the_report_prices_the_plan(sqlite_database, study_toml):
    pay = '[pay]\npreset = "paper"\nexpected_minutes = 3\n[recruit]\ncrowd = "mturk"\n'
    cost = _init_rows(sqlite_database, study_toml(extra=pay)).cost

    assert (cost.sessions, cost.reward_cents, cost.fee_cents) == (8, 72, 16)
    assert cost.hourly_cents == 180


def test_pay_under_a_crowds_minimum_is_refused_before_anything_is_read(
    sqlite_database, study_toml, tmp_path
):
    path = study_toml(extra='[pay]\nreward_cents = 5\n[recruit]\ncrowd = "prolific"\n')
    study = load_study(path)
    shutil.rmtree(tmp_path / "clips")

    with pytest.raises(UsageError, match="under prolific's"):
        init_study(sqlite_database, study, LocalStore(tmp_path / "m"), tmp_path / "a")


@pytest.mark.parametrize(
    ("reward", "workers", "own", "message"),
    [
        (20, "", "", r"screen_out_cents = 20 must be at least 14 and under the reward of 20"),
        (30, 'countries = ["US"]\n', "", r"\[workers\] countries has no like on Prolific"),
        (30, "", 'filters = ["age=x..y"]\n', r"filters: 'age=x\.\.y' is neither"),
    ],
)
def test_what_prolific_would_refuse_is_refused_before_anything_is_read(
    sqlite_database, study_toml, tmp_path, reward, workers, own, message
):
    extra = f"{workers}[pay]\nreward_cents = {reward}\nexpected_minutes = 1\n"
    extra += f'[recruit]\ncrowd = "prolific"\n[recruit.prolific]\n{own}'
    study = load_study(study_toml(extra=extra, clips=False))

    with pytest.raises(UsageError, match=message):
        init_study(sqlite_database, study, LocalStore(tmp_path / "m"), tmp_path / "a")


class _Shut(LocalStore):
    """A store that nothing can be put into."""

    def probe(self):
        raise EvaluationError("the bucket is shut")


def test_a_store_that_cannot_be_used_is_refused_before_any_clip_is_read(
    sqlite_database, study_toml, tmp_path
):
    path = study_toml(clips=False)

    with pytest.raises(EvaluationError, match="the bucket is shut"):
        init_study(sqlite_database, load_study(path), _Shut(tmp_path / "m"), tmp_path / "a")


def test_new_settings_of_a_study_that_is_there_ask_nothing_of_the_store(
    sqlite_database, study_toml, tmp_path
):
    _init_rows(sqlite_database, study_toml())
    study = load_study(study_toml(('name = "Our Model"', 'name = "Theirs"')))

    report = init_study(sqlite_database, study, _Shut(tmp_path / "m"), tmp_path / "assets")

    assert report.action == "settings changed"


def _fail(*_args):
    raise EvaluationError("the disk is full")


@pytest.mark.parametrize("there", [(), ("new.files",), ("new.files/clips/small",)])
def test_a_run_that_fails_leaves_the_folders_that_were_there_and_no_other(
    sqlite_database, study_toml, tmp_path, monkeypatch, there
):
    monkeypatch.setattr(StudyRows, "encode", _fail)
    study = load_study(study_toml())
    for name in there:
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "kept").touch()
    assets = tmp_path / "new.files" / "clips"

    with pytest.raises(EvaluationError, match="the disk is full"):
        init_study(sqlite_database, study, LocalStore(tmp_path / "m"), assets)

    assert (tmp_path / "new.files").exists() == bool(there)
    assert [file for name in there for file in (tmp_path / name).glob("kept")] == [
        tmp_path / name / "kept" for name in there
    ]
    assert (assets / "small" / "gold-bad").exists() == ("new.files/clips/small" in there)


def test_a_run_that_fails_leaves_the_folder_of_a_study_that_another_run_has_made(
    sqlite_database, study_toml, plan_study, tmp_path, monkeypatch
):
    monkeypatch.setattr(StudyRows, "encode", _fail)
    others = iter([lambda: plan_study(sqlite_database, name="small", cells={})])

    def meanwhile(stage, *_):
        if stage == "Spoiling clips for gold trials" and (make := next(others, None)):
            make()

    with pytest.raises(EvaluationError, match="the disk is full"):
        _init(sqlite_database, study_toml(), progress=meanwhile)

    assert (tmp_path / "assets" / "small" / "gold-bad").exists()
