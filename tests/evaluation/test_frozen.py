"""A study as `init` stores it, and as it is read back from what databases hold."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from evaluation import frozen, schema
from evaluation.planning.design import design_hash, design_of, settings_of
from evaluation.study import (
    Analysis,
    Comparison,
    Consent,
    Design,
    Display,
    Gold,
    Link,
    Pay,
    Prolific,
    Question,
    Recruit,
    Session,
    Source,
    Study,
    SurveyQuestion,
    Workers,
)
from vgan.data.manifest import ClipRecord, Origin

STUDY = Study(
    name="small",
    title="Which clip?",
    seed=7,
    path=Path("study.toml"),
    sources=(Source("ours", Path("clips/ours"), "Our Model"), Source("real", Path("r"), "Real")),
    design=Design(
        comparisons=(Comparison("ours", "real"),), categories=("beach", "golf"), pairing="item",
        judgments_per_pair=3, allow_tie=True, show_prompt=True,
    ),
    questions=(Question(), Question("sharp", "Which is sharper?")),
    category_names={"golf": "Golf course"},
    session=Session(trials=6, practice=1, gold=2, repeats=1, identical=1, minutes_limit=30),
    gold=Gold(auto="noise", source="real"),
    display=Display(box=192, fit="pad", fps=12.5, duration="shortest"),
    pay=Pay(reward_cents=50, currency="EUR", expected_minutes=4.5, bonus_cents=1),
    workers=Workers(sessions_per_worker=2, workers=30, countries=("DE",), devices=("phone",)),
    text={"de": {"consent": "Darf ich?"}},
    consent=Consent("May we?", version="2", irb_id="IRB 9", contact="lab@example.org"),
    survey=(SurveyQuestion("age", "Your age?", ("18", "30"), required=True),),
    analysis=Analysis(
        exclude=("gold",), primary=(("ours", "real"),), stop_when="half-width 3"
    ),
    recruit=Recruit(
        crowd="prolific", hit_title="Clips", keywords=("video", "choice"), lifetime_hours=24.0,
        link=Link(participant="pid", quota=40), prolific=Prolific("p1", ("age=18",), 30),
    ),
    retention_days=90,
)  # fmt: skip
CLIPS = [
    ClipRecord("golf/1.mp4", "1" * 64, "ours", "golf", 8, 12.5, 32, 32, item="1", prompt="A swing"),
    ClipRecord("golf/1.mp4", "2" * 64, "real", "golf", 8, 12.5, 32, 32, origin=Origin("v", 16)),
]
# What databases hold: with another hash `init` refuses a study that has data.
HASH = "32868fb81f4e7a9c2aed750885c371f01733239fb7efd68cb2a3a4be0153c9d2"
DESIGN = """{
"analysis": {"exclude": ["gold"], "primary": [["ours", "real"]], "stop_when": "half-width 3"},
"clips": 2,
"clips_sha256": "e82ed2048506a4e5fb3a507b2b92306afe12027fa20b51fc984fa867310d2d7a",
"design": {"allow_tie": true, "categories": ["beach", "golf"], "comparisons": [["ours", "real"]],
  "judgments_per_cell": null, "judgments_per_pair": 3, "pairing": "item", "show_prompt": true},
"display": {"box": 192, "duration": "shortest", "fit": "pad", "fps": 12.5,
  "layout": "side-by-side", "scale": "integer"},
"format": 2,
"gold": {"auto": "noise", "folder": false, "source": "real"},
"name": "small",
"questions": [{"id": "realism", "text": "Which video is more realistic?"},
  {"id": "sharp", "text": "Which is sharper?"}],
"seed": 7,
"session": {"gold": 2, "grace_minutes": 15, "identical": 1, "minutes_limit": 30, "practice": 1,
  "repeats": 1, "trials": 6},
"sources": ["ours", "real"],
"workers": {"countries": ["DE"], "devices": ["phone"], "minimum_approval": 95, "minimum_hits": 0,
  "sessions_per_worker": 2}
}"""
SETTINGS = """{
"categories": {"golf": "Golf course"},
"consent": {"contact": "lab@example.org", "irb_id": "IRB 9", "text": "May we?", "version": "2"},
"expected_workers": 30,
"pay": {"bonus_cents": 1, "currency": "EUR", "expected_minutes": 4.5, "reward_cents": 50},
"recruit": {"auto_approval_hours": 72.0, "crowd": "prolific", "hit_description": "",
  "hit_title": "Clips", "keywords": ["video", "choice"], "lifetime_hours": 24.0,
  "link": {"completion": "", "participant": "pid", "pattern": "[A-Za-z0-9_-]{1,64}",
    "preset": null, "quota": 40},
  "prolific": {"filters": ["age=18"], "project": "p1", "screen_out_cents": 30}},
"retention_days": 90,
"sources": {"ours": {"name": "Our Model", "path": "clips/ours", "split": null},
  "real": {"name": "Real", "path": "r", "split": null}},
"survey": [{"choices": ["18", "30"], "id": "age", "required": true, "text": "Your age?"}],
"text": {"de": {"consent": "Darf ich?"}},
"title": "Which clip?"
}"""


def test_a_study_is_stored_as_it_was_when_the_format_began():
    design = design_of(STUDY, STUDY.design.categories, CLIPS)

    assert design == json.loads(DESIGN)
    assert settings_of(STUDY) == json.loads(SETTINGS)
    assert design_hash(json.loads(DESIGN)) == HASH
    assert design_hash(design) == HASH


@pytest.mark.parametrize(
    "name",
    [
        "design", "session", "display", "workers", "analysis", "pay", "recruit", "text", "consent",
        "survey", "category_names", "retention_days",
    ],
)  # fmt: skip
def test_a_stored_study_is_read_back_as_its_file_had_it(name):
    stored = schema.Study(design=json.loads(DESIGN), settings=json.loads(SETTINGS))

    assert getattr(frozen, name)(stored) == getattr(STUDY, name)


def test_a_stored_study_names_its_sources():
    stored = schema.Study(settings=json.loads(SETTINGS))

    assert frozen.source_names(stored) == {"ours": "Our Model", "real": "Real"}


def test_what_the_first_version_did_not_store_has_the_value_that_it_had_then():
    settings = json.loads(SETTINGS)
    del settings["retention_days"], settings["recruit"]["link"], settings["recruit"]["prolific"]
    stored = schema.Study(settings=settings)

    assert frozen.retention_days(stored) is None
    assert frozen.recruit(stored).link == Link()
    assert frozen.recruit(stored).prolific == Prolific(screen_out_cents=0)


def test_a_study_without_consent_and_survey_is_read_as_one():
    stored = schema.Study(settings=settings_of(replace(STUDY, consent=None, survey=())))

    assert frozen.consent(stored) is None
    assert frozen.survey(stored) == ()


def test_a_key_of_another_version_is_passed_over():
    stored = schema.Study(settings={"pay": {"reward_cents": 50, "tip_cents": 5}})

    assert frozen.pay(stored) == Pay(reward_cents=50)
