"""What workers read is complete in every shipped language, and a study may say it otherwise."""

import re
from pathlib import Path

import pytest

from evaluation.errors import StudyFileError
from evaluation.languages import OWN_TABLES, Wording, built_in, choose, placeholders, shipped
from evaluation.study_file.reader import load_study

WEBAPP = Path(__file__).parents[2] / "webapp"
USED = re.compile(r"""(?:\bt|\bsay)\(\s*["']([a-z]+\.[a-z_]*[a-z])["']""")


def test_english_and_german_are_shipped():
    assert {"de", "en"} <= set(shipped())


@pytest.mark.parametrize("language", shipped())
def test_every_language_has_the_same_keys_and_names(language):
    english = built_in("en")
    other = built_in(language)

    assert sorted(other) == sorted(english)
    assert {key: placeholders(text) for key, text in other.items()} == {
        key: placeholders(text) for key, text in english.items()
    }
    assert all(text.strip() for text in other.values())


def test_nothing_in_german_was_left_in_english():
    same = {key for key, text in built_in("de").items() if text == built_in("en")[key]}

    assert same <= {"start.button", "trial.pause"}


def test_every_text_that_a_page_asks_for_exists():
    files = [*WEBAPP.rglob("*.html"), *WEBAPP.rglob("*.js"), *WEBAPP.rglob("*.py")]
    asked = {key for file in files for key in USED.findall(file.read_text(encoding="utf-8"))}

    assert len(asked) > 60
    assert asked - set(built_in("en")) == set()


def test_no_own_key_hides_a_built_in_one():
    sections = {key.split(".")[0] for key in built_in("en")}

    assert sections.isdisjoint(OWN_TABLES)


@pytest.mark.parametrize(
    ("declared", "asked", "browser", "expected"),
    [
        ({}, "", ["de"], "en"),  # a study that says nothing in German is not half translated
        ({}, "de", [], "de"),
        ({"de": {}, "en": {}}, "", ["fr", "en"], "en"),
        ({"de": {}, "en": {}}, "", ["fr"], "de"),
        ({"en": {}, "de": {}}, "", ["de-AT", "en"], "de"),
        ({"en": {}, "pt-BR": {}}, "", ["pt-br", "en"], "pt-BR"),
        ({"de": {}, "en": {}}, "en", ["de"], "en"),
        ({"ar": {}}, "xx", ["en"], "ar"),
        ({"ar": {}}, "../../secret", [], "ar"),
    ],
)
def test_the_language_is_asked_for_then_the_browsers_then_the_first(
    declared, asked, browser, expected
):
    assert choose(declared, asked, browser) == expected


def test_what_a_language_lacks_is_said_in_english_and_names_are_set_in():
    wording = Wording("ar", {"trial.pause": "إيقاف", "trial.count": "{number}/{total}{other}"})

    assert wording.direction == "rtl"
    assert wording.say("trial.pause") == "إيقاف"
    assert wording.say("trial.play") == "Play"
    assert wording.say("trial.count", number=1, total="{number}") == "1/{number}{other}"
    assert Wording("de-CH", {}).say("trial.play") == "Abspielen"
    assert Wording("de", {}).direction == "ltr"


def test_a_study_file_may_say_every_text_and_translate_its_own(study_toml):
    text = """
[[survey]]
id = "device"
text = "What do you sit at?"
choices = ["a laptop, e.g. a 13.3 inch one"]
[text.en]
[text.de]
title = "Welcher Clip?"
consent = "Ich stimme zu."
trial = { pause = "Halt" }
[text.de.questions]
realism = "Was wirkt echter?"
[text.de.choices]
"a laptop, e.g. a 13.3 inch one" = "ein Laptop"
"""

    texts = load_study(study_toml(extra=text, clips=False)).text

    assert list(texts) == ["en", "de"]
    assert texts["de"] == {
        "title": "Welcher Clip?",
        "consent": "Ich stimme zu.",
        "trial.pause": "Halt",
        "questions.realism": "Was wirkt echter?",
        "choices.a laptop, e.g. a 13.3 inch one": "ein Laptop",
    }


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ('[text.de.trial]\npuase = "x"\n', r":28: \[text.de.trial\] puase: .*trial\.pause"),
        ("[text.de.trial]\npause = 3\n", r":28: .*pause: must be text"),
        ('[text.de.trial]\ncount = "{n}"\n', r":28: .*\{n\} is not set in here; known: \{number"),
        ('[text.de.trial]\npause = "{n}"\n', r":28: .*known: none"),
        ('[text.de.questions]\nrealism = ""\n', r":28: .*is empty"),
        (
            '[text.de.questions]\nrealsim = "Was?"\n',
            r':28: \[text.de.questions\] realsim: no question has .*mean "realism"\?',
        ),
        ('[text.de]\nquestions = { a = "Was?" }\n', r":28: \[text.de.questions\] a: no question"),
        ('[text.de.survey]\nage = "Alter"\n', r":28: .*age: no question .* has this id$"),
        ('[text.de.choices]\nyes = "ja"\n', r":28: .*yes: no question .* has this choice$"),
    ],
)
def test_a_wrong_text_is_named_with_its_line(study_toml, table, message):
    with pytest.raises(StudyFileError, match=message):
        load_study(study_toml(extra=table, clips=False))
