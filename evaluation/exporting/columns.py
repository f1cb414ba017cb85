"""The columns of the exported files: their order, their meaning, and the data dictionary.

The names of `judgments.csv` are a contract: other people's scripts read them. The analysis needs
the required ones and can do without the optional ones.
"""

from typing import NamedTuple

from evaluation.crowd.terms import TERMS

Value = str | int | float | None  # of a field; bool is an int


class Column(NamedTuple):
    """A column: its name, what kind of value it has, and what the value means."""

    name: str
    values: str
    meaning: str


_PSEUDONYM = "text"
_TIME = "ISO 8601, UTC"

REQUIRED_JUDGMENT_COLUMNS = (
    Column("study", "slug", "Name of the study."),
    Column("worker", _PSEUDONYM, "Pseudonym of the worker: equal for one person on one crowd."),
    Column("assignment", _PSEUDONYM, "Pseudonym of the session, as in `sessions.csv`."),
    Column("hit", _PSEUDONYM, "Pseudonym of the HIT (or link, or platform study)."),
    Column("trial", "integer", "The planned slot. At most one counted judgment per question."),
    Column(
        "trial_kind",
        "test, gold, practice, repeat or identical",
        "What the trial is for. Only `test` trials enter Table 1. A `gold` one has a known answer, "
        "`practice` comes before the others, a `repeat` is a test pair again, `identical` is one "
        "clip on both sides.",
    ),
    Column("category", "slug", "Category of the pair."),
    Column("pair_type", "text", "The two source names, sorted, joined by two underscores."),
    Column("left_source", "slug", "Source of the clip on the left."),
    Column("right_source", "slug", "Source of the clip on the right."),
    Column("left_clip", "text", "Id of the clip on the left, as in `clips.csv`."),
    Column("right_clip", "text", "Id of the clip on the right."),
    Column("label", "text", "Id of the chosen clip; empty for a tie."),
    Column("choice", "left, right or tie", "The answer."),
    Column(
        "rt_ms",
        "number, ms",
        "Response time, from the first frame painted on both sides to the key or click.",
    ),
    Column("answered_at", _TIME, "When the server recorded the answer."),
    Column("crowd", f"{', '.join(TERMS)} or simulated", "Where the worker came from."),
)
OPTIONAL_JUDGMENT_COLUMNS = (
    Column("study_hash", "hexadecimal", "Hash of the frozen design; equal hash, equal study."),
    Column(
        "batch",
        "integer",
        "Number of the plan batch the trial belongs to, in the order they were made: 1 is the "
        "study file's plan; gold, practice, repeat and identical trials of all sessions have one, "
        "made at the first start (2, unless a top-up came before); each top-up has the next. 0, "
        "the pool that sessions draw from, is never shown itself.",
    ),
    Column("session", "integer", "Which session of this worker in this study it was, from 1."),
    Column("position", "integer", "Place of the trial in its session, from 1."),
    Column("question", "slug", "Which question was answered."),
    Column(
        "source_a",
        "slug",
        "First source of the comparison in the study's order (of gold, practice and identical "
        "trials: of the pair, whose sources may be in no comparison).",
    ),
    Column("source_b", "slug", "Second source, likewise."),
    Column("item", "text", "What both clips have in common where pairs are made by item."),
    Column("left_origin", "text", "Id of the video the left clip was cut from, where known."),
    Column("right_origin", "text", "Id of the video the right clip was cut from, where known."),
    Column(
        "correct_choice",
        "left or right",
        "The right answer of gold and practice trials; empty for questions that `[gold] questions` "
        "leaves out.",
    ),
    Column("repeat_of", "integer", "The trial that a repeat shows again, sides swapped."),
    Column("clip_ms", "number, ms", "How long the clips had run at the answer."),
    Column(
        "loops",
        "number",
        "How many times both clips had been shown through at the answer; below 1: it came too "
        "early. At least 1 on this tool's pages, which lock answers until then.",
    ),
    Column(
        "counted",
        "true or false",
        "Whether it is the trial's one counted judgment. Late and returned judgments are false "
        "and are only in an export of all judgments.",
    ),
    Column("simulated", "true or false", "Whether a program answered, not a person."),
    Column(
        "environment",
        "sandbox, production or simulated",
        "Where the session took place: `sandbox` is a rehearsal on a platform, `simulated` a "
        "program, `production` all else, in a room or on this machine too.",
    ),
)
JUDGMENT_COLUMNS = (*REQUIRED_JUDGMENT_COLUMNS, *OPTIONAL_JUDGMENT_COLUMNS)

SESSION_COLUMNS = (
    Column("study", "slug", "Name of the study."),
    Column("worker", _PSEUDONYM, "Pseudonym of the worker."),
    Column("assignment", _PSEUDONYM, "Pseudonym of the session."),
    Column("hit", _PSEUDONYM, "Pseudonym of the HIT."),
    Column("session", "integer", "Which session of this worker in this study it was, from 1."),
    Column("crowd", "text", "Where the worker came from."),
    Column(
        "environment",
        "sandbox, production or simulated",
        "Where it took place, as in `judgments.csv`.",
    ),
    Column("simulated", "true or false", "Whether a program answered, not a person."),
    Column(
        "status",
        "accepted, submitted, approved, rejected or returned",
        "Where it stands: begun, finished, reviewed (either way), or given up.",
    ),
    Column("accepted_at", _TIME, "When its trials were leased."),
    Column("submitted_at", _TIME, "When it was finished; empty: not finished."),
    Column(
        "seconds",
        "number, s",
        "From accepted to submitted; empty: not finished, or the server's clock was set back.",
    ),
    Column("trials", "integer", "How many trials it has, of all kinds."),
    Column("judgments", "integer", "How many answers it has."),
    Column("answered", "integer", "How many of its trials have an answer to every question."),
    Column("counted", "integer", "How many of them are counted judgments of test trials."),
    Column("device", "desktop, tablet or phone", "What it was rated on, where known."),
    Column("screen", "WIDTHxHEIGHT", "Size of the screen in CSS pixels."),
    Column("viewport", "WIDTHxHEIGHT", "Size of the page in CSS pixels."),
    Column("device_pixel_ratio", "number", "Screen pixels per CSS pixel."),
    Column("refresh_hz", "number, Hz", "Measured refresh rate of the screen."),
    Column("reduced_motion", "true or false", "Whether the system asks for reduced motion."),
    Column("survey", "JSON", "Answers to the survey by question id; only where asked for."),
)

CLIP_COLUMNS = (
    Column("study", "slug", "Name of the study."),
    Column("clip", "text", "Id of the clip: source/relative-path."),
    Column("source", "slug", "Source of the clip."),
    Column("category", "slug", "What it shows."),
    Column("sha256", "hexadecimal", "SHA-256 of the file's bytes at import."),
    Column("frames", "integer", "Number of frames of the file; 1 is a still image."),
    Column("fps", "number", "Frames per second of the file."),
    Column("width", "integer", "Width of the file in pixels."),
    Column("height", "integer", "Height of the file in pixels."),
    Column("item", "text", "What it has in common with clips of other sources."),
    Column("prompt", "text", "The prompt it was generated from."),
    Column("origin_video", "text", "Id of the video it was cut from."),
    Column("origin_frame", "integer", "First frame in that video, from 0."),
    Column(
        "hidden",
        "true or false",
        "Whether its source is in gold or practice trials only, and in no comparison.",
    ),
)


def names(columns: tuple[Column, ...]) -> tuple[str, ...]:
    """Return the names of columns, in order."""
    return tuple(column.name for column in columns)


def _table(columns: tuple[Column, ...]) -> str:
    lines = [f"| `{c.name}` | {c.values} | {c.meaning} |" for c in columns]
    return "\n".join(["| column | values | meaning |", "| --- | --- | --- |", *lines])


def data_dictionary() -> str:
    """Return the data dictionary as Markdown; `docs/data-dictionary.md` is this text."""
    return f"""# Data dictionary

What `vgan-eval export` writes. All files are UTF-8 with one header line; an empty field is a
missing value, never zero. Workers, assignments and HITs are pseudonyms: keyed hashes that cannot
be undone without the installation's key. Sessions that their worker withdrew are in no file.
The files can be published once you have read what docs/privacy.md of this tool says of free text,
equal pseudonyms and `contact`.

## judgments.csv

One row per judgment. Required by the analysis:

{_table(REQUIRED_JUDGMENT_COLUMNS)}

Optional for the analysis, always written:

{_table(OPTIONAL_JUDGMENT_COLUMNS)}

## sessions.csv

One row per session. Of the device only what bears on how the clips looked is written; the
browser's identification and languages are not, because together they could identify a person.

{_table(SESSION_COLUMNS)}

## clips.csv

One row per clip of the study. Of the files as they were imported: what was shown instead, where
they differ, is `[display]` in `study.toml`.

{_table(CLIP_COLUMNS)}

## study.toml

The study file as it was given to `vgan-eval init`, but for the address under `completion` of
[recruit.link], which grants a participant's credit and is left out.

## Reading it

The percentages of Table 1 with pandas, where no exclusion rule is used. Without the two options a
category that is called `null` would be missing:

```python
import pandas as pd

judgments = pd.read_csv("judgments.csv", keep_default_na=False, na_values=[""])
tests = judgments[judgments["counted"] & (judgments["trial_kind"] == "test")]
a_won = (tests["choice"] == "left") == (tests["left_source"] == tests["source_a"])
percent = 100 * a_won.astype(float).where(tests["choice"] != "tie", 0.5)
cell = [tests[name] for name in ("question", "source_a", "source_b", "category")]
table = percent.groupby(cell).mean().unstack()
table["Mean"] = table.mean(axis=1, skipna=False)
```

Intervals need more, because judgments share workers and clips: `analysis/table1.py` of this tool
reads the same file, and its report has the data and a script for R.
"""
