"""What a study is: `study.toml` as frozen dataclasses.

The file has the tables [study] [[questions]] [sources] [categories] [design] [session] [gold]
[display] [pay] [workers] [text] [consent] [[survey]] [analysis] [recruit]. `load_study` reads and
checks it; every error names the file, the line and the key.
"""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Question:
    """A question asked of every pair. `id` is a slug, `text` is what workers read."""

    id: str = "realism"
    text: str = "Which video is more realistic?"


@dataclass(frozen=True)
class Source:
    """A folder of clips under one name. `path` is resolved against the study file's folder."""

    name: str
    path: Path
    display_name: str
    split: str | None = None  # take only clips of this split from the manifest


@dataclass(frozen=True)
class Comparison:
    """One row of Table 1: how often `source_a` is preferred over `source_b`."""

    source_a: str
    source_b: str


@dataclass(frozen=True)
class Design:
    """[design]. Exactly one of the two counts is set.

    `categories` is empty until init fills it with all that the sources share.
    """

    comparisons: tuple[Comparison, ...]
    categories: tuple[str, ...] = ()
    pairing: str = "random"  # or "item"
    judgments_per_cell: int | None = None
    judgments_per_pair: int | None = None
    allow_tie: bool = False
    show_prompt: bool = False


@dataclass(frozen=True)
class Session:
    """[session]: what one worker does in one assignment, in trials."""

    trials: int = 20
    practice: int = 2
    gold: int = 2
    repeats: int = 1
    identical: int = 0
    minutes_limit: int = 60  # a lease lives this long ...
    grace_minutes: int = 15  # ... plus this


@dataclass(frozen=True)
class Gold:
    """[gold]: a folder with `good/` and `bad/` clips of equal names, or an automatic spoiling."""

    folder: Path | None = None
    auto: str | None = None  # "frame-shuffle", "freeze" or "noise"
    source: str | None = None  # whose clips are spoilt


@dataclass(frozen=True)
class Display:
    """[display]: how clips of unequal size, rate or length are made comparable."""

    scale: str = "integer"  # largest whole-number scale that fits `box`; or "fit"
    box: int = 400  # CSS pixels
    fit: str | None = None  # "pad" or "crop": needed when sizes differ
    fps: float | None = None  # needed when rates differ
    duration: str | None = None  # "shortest" or "loop-each": needed when lengths differ
    layout: str = "side-by-side"


@dataclass(frozen=True)
class Pay:
    """[pay]: for one session, whatever the answers."""

    reward_cents: int = 0
    currency: str = "USD"
    expected_minutes: float = 5.0
    bonus_cents: int = 0


@dataclass(frozen=True)
class Workers:
    """[workers]: who may take part, and how often."""

    minimum_approval: int = 95
    minimum_hits: int = 0
    sessions_per_worker: int = 1
    workers: int | None = None  # how many are expected; init checks that they can fill the plan
    countries: tuple[str, ...] = ()
    devices: tuple[str, ...] = ("desktop",)


@dataclass(frozen=True)
class Consent:
    """[consent]: shown before the first trial; the version is stored with each consent."""

    text: str
    version: str = "1"
    irb_id: str = ""
    contact: str = ""


@dataclass(frozen=True)
class SurveyQuestion:
    """[[survey]]: asked after the last trial. `choices` empty means free text."""

    id: str
    text: str
    choices: tuple[str, ...] = ()
    required: bool = False


@dataclass(frozen=True)
class Analysis:
    """[analysis]: fixed before the data."""

    exclude: tuple[str, ...] = ()
    primary: tuple[tuple[str, str], ...] = ()
    stop_when: str | None = None


@dataclass(frozen=True)
class Recruit:
    """[recruit]: where workers come from; not part of the design hash."""

    crowd: str = "local"
    hit_title: str = ""
    hit_description: str = ""
    keywords: tuple[str, ...] = ()
    lifetime_hours: float = 168.0
    auto_approval_hours: float = 72.0


@dataclass(frozen=True)
class Study:
    """A whole study file."""

    name: str
    title: str
    seed: int
    path: Path
    sources: tuple[Source, ...]
    design: Design
    questions: tuple[Question, ...] = (Question(),)
    category_names: dict[str, str] = field(default_factory=dict)
    session: Session = Session()
    gold: Gold = Gold()
    display: Display = Display()
    pay: Pay = Pay()
    workers: Workers = Workers()
    text: dict[str, dict[str, str]] = field(default_factory=dict)
    consent: Consent | None = None
    survey: tuple[SurveyQuestion, ...] = ()
    analysis: Analysis = Analysis()
    recruit: Recruit = Recruit()
