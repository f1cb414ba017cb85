"""The study file: what a good one says, and the one line that each wrong one gets."""

import re
from dataclasses import fields, replace
from pathlib import Path
from typing import get_type_hints

import pytest

from evaluation import study as study_module
from evaluation.errors import StudyFileError
from evaluation.languages import OWN_KEYS, OWN_TABLES
from evaluation.study import Comparison, Gold, Question
from evaluation.study_file.reader import PAY_PRESETS, TABLES, load_study
from evaluation.study_file.tables import OneOf

ROOT = Path(__file__).parents[2]
PAPER_ROWS = [
    ("vgan-two-stream", "autoencoder-gmm"),
    ("vgan-one-stream", "autoencoder-gmm"),
    ("vgan-two-stream", "vgan-one-stream"),
    ("vgan-two-stream", "real"),
    ("vgan-one-stream", "real"),
    ("autoencoder-gmm", "real"),
]


def test_the_papers_study_is_its_table_1():
    study = load_study(ROOT / "studies" / "paper.toml")
    rows = [(c.source_a, c.source_b) for c in study.design.comparisons]
    judgments = len(rows) * len(study.design.categories) * study.design.judgments_per_cell

    assert rows == PAPER_ROWS
    assert study.design.categories == ("golf", "beach", "train", "baby")
    assert judgments == 13_008
    assert (study.workers.workers, study.workers.minimum_approval) == (150, 95)
    assert study.pay.reward_cents == study.session.shown == 27
    assert next(s for s in study.sources if s.name == "real").split == "test"


def test_a_small_file_has_defaults_for_the_rest(study_toml):
    study = load_study(study_toml(clips=False))

    assert (study.name, study.seed, study.title) == ("small", 7, "Which clip is more realistic?")
    assert study.questions == (Question("realism", "Which video is more realistic?"),)
    assert study.design.comparisons[0] == Comparison("ours", "theirs")
    assert study.sources[0].display_name == "Our Model"
    assert study.sources[1].path == study.path.parent / "clips" / "theirs"
    assert study.consent is None


def test_all_comparisons_are_made_of_the_sources_in_order(study_toml):
    rows = 'comparisons = [["ours", "theirs"], ["ours", "real"], ["theirs", "real"]]'
    explicit = load_study(study_toml(clips=False))
    study = load_study(study_toml((rows, 'comparisons = "all"'), clips=False))

    assert study.design.comparisons == explicit.design.comparisons


def test_gold_is_noise_on_real_where_the_file_is_silent(study_toml):
    gold = '[gold]\nauto = "noise"\nsource = "real"\n'

    noise = Gold(auto="noise", source="real")
    assert load_study(study_toml((gold, ""), clips=False)).gold == noise
    named = '[gold]\nquestions = ["realism"]\n'
    assert load_study(study_toml((gold, named), clips=False)).gold == replace(
        noise, questions=("realism",)
    )
    without = study_toml(
        (gold, ""), ("gold = 1", "gold = 0"), ("practice = 1", "practice = 0"), clips=False
    )
    assert load_study(without).gold == Gold()


def test_a_key_after_a_list_of_lists_is_named_with_its_own_line(study_toml):
    rows = 'comparisons = [\n  ["ours", "theirs"],\n  ["ours", "real"]\n]'
    path = study_toml(
        ('comparisons = [["ours", "theirs"], ["ours", "real"], ["theirs", "real"]]', rows),
        ("judgments_per_cell = 8", "judgements_per_cell = 8"),
        clips=False,
    )
    wrong = path.read_text().splitlines().index("judgements_per_cell = 8") + 1

    with pytest.raises(StudyFileError, match=rf"toml:{wrong}: \[design\] judgements_per_cell"):
        load_study(path)


def test_the_paper_preset_pays_a_cent_per_comparison_shown(study_toml):
    study = load_study(study_toml(extra='[pay]\npreset = "paper"\n', clips=False))

    assert study.pay.reward_cents == 6 + 1 + 1 + 1


def test_every_table_is_read(study_toml):
    study = load_study(
        study_toml(
            clips=False,
            extra="""
[text.en]
instructions = '''
seed = this line only looks like a key
'''
[consent]
text = "I agree."
[[survey]]
id = "device"
text = "Which screen?"
choices = ["laptop", "desktop"]
[analysis]
exclude = ["gold"]
primary = [["ours", "real"]]
[categories]
golf = "Golf Course"
[display]
fps = 8
[recruit]
crowd = "link"
""",
        )
    )

    assert study.text["en"]["instructions"].startswith("seed = ")
    assert study.consent.version == "1"
    assert study.survey[0].choices == ("laptop", "desktop")
    assert study.analysis.primary == (("ours", "real"),)
    assert study.display.fps == 8.0
    assert study.category_names == {"golf": "Golf Course"}


WRONG = [
    # what is replaced, by what, and the line of the message after the file's name
    ("seed = 7", "sed = 7", r':4: \[study\] sed: unknown key; did you mean "seed"\?'),
    ("[workers]", "[worker]", r":\d+: worker: unknown key; did you mean \"workers\"\?"),
    ("trials = 6", 'trials = "6"', r":16: \[session\] trials: must be a whole number, got '6'"),
    ("trials = 6", "trials = true", r":16: .*must be a whole number, got True"),
    ("trials = 6", "trials = 6.5", r":16: .*must be a whole number, got 6\.5"),
    ("trials = 6", "trials = 0", r":16: .*must be from 1 to 1000, got 0"),
    ("[workers]", "[workers]\ndevices = []", r":\d+: \[workers\] devices: .*lets nobody in"),
    ("seed = 7", "seed = -1", r":4: .*must be from 0 to 2147483647, got -1"),
    ('name = "small"', 'name = "Small Study"', r":2: .*'Small Study' is not a slug"),
    ('name = "small"', 'name = "mean"', r":2: .*'mean' is reserved"),
    ('name = "small"', "", r":1: \[study\] name: is missing"),
    ("title = \"Which", "title = \"" + "x" * 300 + "Which", r":3: .*title: is 3\d\d characters"),
    ("theirs =", "Theirs =", r":8: \[sources\] Theirs: 'Theirs' is not a slug"),
    ("theirs =", "mean =", r":8: \[sources\] mean: 'mean' is reserved"),
    ("theirs =", "gold-bad =", r":8: .*'gold-bad' is reserved"),
    ('real = "clips/real"', "real = 7", r":9: \[sources\] real: must be a folder"),
    ('real = "clips/real"', 'real = {}', r":9: \[sources\] real: path is missing"),
    ('real = "clips/real"', 'real = { path = "r", splt = "x" }', r':9: .*did you mean "split"\?'),
    ('real = "clips/real"', 'real = { path = "r", split = 1 }', r":9: .*split must be text"),
    ('["ours", "real"]', '["ours", "reel"]', r":12: .*no source 'reel' in .*mean \"real\"\?"),
    ('["ours", "real"]', '["ours", "ours"]', r":12: .*'ours' is compared with itself"),
    ('["ours", "real"]', '["theirs", "ours"]', r":12: .*'theirs' and 'ours' are compared twice"),
    ('["ours", "real"]', '["ours"]', r":12: .*must hold pairs such as"),
    ("judgments_per_cell = 8", "judgments_per_cell = 7", r":13: .*7 is odd, .* write 6 or 8"),
    ("judgments_per_cell = 8", "", r":11: \[design\] judgments_per_cell: .*neither is set"),
    ("per_cell = 8", "per_cell = 8\njudgments_per_pair = 2", r":13: .*both are set; keep one"),
    ("judgments_per_cell = 8", "judgments_per_pair = 8", r':13: .*needs pairing = "item"'),
    ("cell = 8", 'cell = 8\nunmatched = "leave-out"', r':14: \[design\] unmatched: needs pairing'),
    ("judgments_per_cell = 8", 'judgments_per_cell = 8\npairing = "itm"', r':14: .*mean "item"\?'),
    ("judgments_per_cell = 8", 'judgments_per_cell = 8\ncategories = ["a", "a"]', r":14: .*twice"),
    ("judgments_per_cell = 8", 'judgments_per_cell = 8\ncategories = ["mean"]', r":14: .*reserved"),
    ("judgments_per_cell = 8", 'judgments_per_cell = 8\ncategories = "golf"', r":14: .*a list of"),
    ("repeats = 1", "repeats = 9", r":19: \[session\] repeats: is 9, more than the 6 trials"),
    ('auto = "noise"', 'auto = "noize"', r':22: \[gold\] auto: .*did you mean "noise"\?'),
    ('auto = "noise"', 'auto = "noise"\nfolder = "g"', r":23: .*one of the two"),
    ('source = "real"', 'source = "reel"', r":23: \[gold\] source: no source 'reel'"),
    ('source = "real"', 'source = "real"\nquestions = []', r":24: \[gold\] questions: names none"),
    ('source = "real"', 'source = "real"\nquestions = ["reel"]', r":24: .*no question 'reel'"),
    ('source = "real"', "", r":21: \[gold\] source: is missing"),
    ('auto = "noise"', 'folder = "g"', r":23: \[gold\] source: goes with auto"),
    ("[design]", "[design", r":11: not TOML: "),
    ("seed = 7", f"seed = {'9' * 400}", r":4: \[study\] seed: is too large a number"),
    ("seed = 7", f"seed = {'9' * 5000}", r":4: a number has too many digits"),
    ("seed = 7", f"seed = 0x{'f' * 5000}", r":4: \[study\] seed: is too large a number"),
    ('= "clips/real"', '= "~nobodyx/clips"', r":6: .*that leads somewhere, got '~nobodyx/clips'"),
    ('= "clips/real"', r'= "clips\u0000real"', r":9: \[sources\] real: has the character \\u0000"),
    ('= "clips/real"', r'= { path = "a\u0000b" }', r":9: \[sources\] real: has the character"),
    ('title = "Which', r'title = "\u0000Which', r":3: \[study\] title: has the character"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "message"), WRONG, ids=[w[1][:30] for w in WRONG])
def test_a_wrong_key_is_named_with_its_line(study_toml, old, new, message):
    path = study_toml((old, new), clips=False)

    with pytest.raises(StudyFileError) as caught:
        load_study(path)
    text = str(caught.value)
    assert re.match(re.escape(str(path)) + message, text), text
    assert "\n" not in text


EXTRA = [
    ('[[questions]]\nid = "a"\n[[questions]]\nid = "a"\n', r":30: \[\[questions\]\] id: 'a' is us"),
    ('[[questions]]\nid = "a"\ntext = ""\n', r":29: \[\[questions\]\] text: is empty"),
    ('[questions]\nid = "a"\n', r":27: questions: must be a list of tables"),
    ('[pay]\npreset = "papr"\n', r':28: \[pay\] preset: .*did you mean "paper"\?'),
    ('[pay]\npreset = "paper"\nreward_cents = 3\n', r":29: .*set by the preset"),
    ('[pay]\ncurrency = "usd"\n', r":28: .*'usd' is not a currency code"),
    ('[text.english-words-only]\ninstructions = "x"\n', r":27: .*is not a language code"),
    ('[text.en]\ninstuctions = "x"\n', r':28: \[text.en\] .*did you mean "instructions"\?'),
    ("[text.en]\ninstructions = 1\n", r":28: \[text.en\] instructions: must be text"),
    ('[text]\nen = "x"\n', r":28: \[text\] en: must be a table; write \[text.en\]"),
    ("[consent]\nversion = \"2\"\n", r":27: \[consent\] text: is missing"),
    ('[analysis]\nexclude = ["golden"]\n', r':28: .*did you mean "gold"\?'),
    ('[analysis]\nstop_when = "decded"\n', r":28: \[analysis\] stop_when: stop rule 'decd"),
    ('[analysis]\nprimary = [["real", "ours"]]\n', r":28: .*is no comparison of \[design\]"),
    ("[analysis]\nprimary = [1]\n", r':28: .*must be a pair of names such as'),
    ("[pay]\nexpected_minutes = " + "9" * 400, r":28: \[pay\] expected_minutes: is too large"),
    ('[[survey]]\nid = "a"\ntext = "b"\nchoices = ["c", "\\u0000"]\n', r":30: .*has the character"),
    ('[display]\nfps = nan\n', r":28: .*must be a number, got nan"),
    ('[categories]\nGolf = "x"\n', r":28: .*'Golf' is not a slug"),
    ("[categories]\ngolf = 3\n", r":28: \[categories\] golf: must be a display name"),
]  # fmt: skip


@pytest.mark.parametrize(("extra", "message"), EXTRA, ids=[e[0][:30] for e in EXTRA])
def test_a_wrong_extra_table_is_named_with_its_line(study_toml, extra, message):
    path = study_toml(extra=extra, clips=False)

    with pytest.raises(StudyFileError) as caught:
        load_study(path)
    assert re.match(re.escape(str(path)) + message, str(caught.value)), str(caught.value)


def test_a_missing_file_and_a_missing_table_are_named(tmp_path):
    with pytest.raises(StudyFileError, match=r"none\.toml: no study file here"):
        load_study(tmp_path / "none.toml")
    (tmp_path / "a.toml").write_text('[study]\nname = "a"\n')
    with pytest.raises(StudyFileError, match=r"a\.toml:1: the table \[sources\] is missing"):
        load_study(tmp_path / "a.toml")


def test_a_byte_order_mark_is_no_part_of_the_file(study_toml):
    path = study_toml(clips=False)
    without = load_study(path)
    path.write_text(path.read_text(encoding="utf-8"), encoding="utf-8-sig")

    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    assert load_study(path) == without


def test_a_file_that_is_no_text_is_named(tmp_path):
    (tmp_path / "a.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StudyFileError, match=r"a\.toml: cannot be read"):
        load_study(tmp_path / "a.toml")


DOCS = ROOT / "docs" / "study-file.md"
CLASS_OF = {
    "questions": "Question", "design": "Design", "session": "Session", "gold": "Gold",
    "display": "Display", "pay": "Pay", "workers": "Workers", "consent": "Consent",
    "survey": "SurveyQuestion", "analysis": "Analysis", "recruit": "Recruit",
}  # fmt: skip


def _documented(table):
    """Key -> default of a table's section of docs/study-file.md."""
    text = DOCS.read_text(encoding="utf-8")
    section = re.search(rf"^## `\[+{table}.*?(?=^## |\Z)", text, re.M | re.S)
    assert section, f"docs/study-file.md has no section on [{table}]"
    rows = re.findall(r"^\| `([\w]+)` \| [^|]+ \| ([^|]+) \|", section[0], re.M)
    return {key: default.strip().strip("`") for key, default in rows}


def test_every_table_has_its_section_in_the_docs():
    for table in TABLES:
        _documented(table)


@pytest.mark.parametrize("table", sorted(CLASS_OF))
def test_every_key_and_its_default_is_in_the_docs(table):
    cls = getattr(study_module, CLASS_OF[table])
    documented = _documented(table)
    if table == "pay":
        assert documented.pop("preset") == "none"
        assert all(preset in DOCS.read_text() for preset in PAY_PRESETS)

    assert set(documented) == {f.name for f in fields(cls)}
    for f in fields(cls):
        shown = documented[f.name]
        if isinstance(f.default, str) and f.default:
            assert shown == f'"{f.default}"'
        elif isinstance(f.default, bool):
            assert shown == str(f.default).lower()
        elif isinstance(f.default, int | float):
            assert float(shown) == f.default
        elif isinstance(f.default, tuple) and f.default:
            assert shown == str(list(f.default)).replace("'", '"')
        else:
            assert shown in ("none", "required", "see below", "[]", '""')


@pytest.mark.parametrize("table", sorted(CLASS_OF))
def test_every_word_that_a_key_takes_is_in_the_docs(table):
    hints = get_type_hints(getattr(study_module, CLASS_OF[table]), include_extras=True)
    rows = DOCS.read_text(encoding="utf-8").splitlines()

    for key, hint in hints.items():
        said = " ".join(row for row in rows if row.startswith(f"| `{key}` |"))
        for rule in getattr(hint, "__metadata__", ()):
            for word in rule.words if isinstance(rule, OneOf) else ():
                assert f"`{word}`" in said or f'`"{word}"`' in said


def test_every_text_key_is_in_the_docs():
    assert set(_documented("text")) == {*OWN_KEYS, *OWN_TABLES}
