"""What a study is: `study.toml` as frozen dataclasses.

The file has the tables [study] [[questions]] [sources] [categories] [design] [session] [gold]
[display] [pay] [workers] [text] [consent] [[survey]] [analysis] [recruit]. The annotations below
are the rules: `study_file.reader` reads and checks the file by them, and every error names the
file, the line and the key. docs/study-file.md says what each key means.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from evaluation.crowd.terms import TERMS
from evaluation.exclusion_rules import THRESHOLDS
from evaluation.study_file.stop_rule import Stops
from evaluation.study_file.tables import SLUG_RULE, Length, Matches, OneOf, Range

RESERVED = frozenset({"mean"})
DEFAULT_SEED = 1  # of a study file that names none
HIDDEN_SOURCES = ("gold-good", "gold-bad")
DEVICES = ("desktop", "tablet", "phone")
EXCLUSIONS = tuple(THRESHOLDS)

Slug = Annotated[str, SLUG_RULE, Length(64)]
Count = Annotated[int, Range(0, 1000)]


@dataclass(frozen=True)
class Question:
    """A question asked of every pair. `id` is a slug, `text` is what workers read."""

    id: Slug = "realism"
    text: Annotated[str, Length(500)] = "Which video is more realistic?"


@dataclass(frozen=True)
class Source:
    """A folder of clips under one name. `path` is resolved against the study file's folder."""

    name: Slug
    path: Path
    display_name: Annotated[str, Length(100)]
    split: str | None = None  # take only clips of this split from the manifest
    prompts: Path | None = None  # a CSV of its clips' prompts, beside or in place of the manifest's


@dataclass(frozen=True)
class Comparison:
    """One row of Table 1: how often `source_a` is preferred over `source_b`."""

    source_a: str
    source_b: str

    @property
    def label(self) -> str:
        """The row's name in data and messages."""
        return f"{self.source_a} over {self.source_b}"

    @property
    def sources(self) -> frozenset[str]:
        """The two, whichever comes first."""
        return frozenset((self.source_a, self.source_b))


@dataclass(frozen=True)
class Design:
    """[design]. Exactly one of the two counts is set.

    `categories` is empty until init fills it with all that the sources share.
    """

    comparisons: tuple[Comparison, ...]
    categories: Annotated[tuple[str, ...], SLUG_RULE] = ()
    pairing: Annotated[str, OneOf(("random", "item"))] = "random"
    # Items that one of two compared sources lacks.
    unmatched: Annotated[str, OneOf(("refuse", "leave-out"))] = "refuse"
    judgments_per_cell: Annotated[int | None, Range(2, 1_000_000)] = None
    judgments_per_pair: Annotated[int | None, Range(1, 100_000)] = None
    allow_tie: bool = False
    show_prompt: bool = False

    @property
    def leaves_out(self) -> bool:
        """Whether items that one of two compared sources lacks are left out."""
        return self.unmatched == "leave-out"

    @property
    def compared(self) -> frozenset[str]:
        """The sources that are in a comparison."""
        return frozenset().union(*(row.sources for row in self.comparisons))


@dataclass(frozen=True)
class Session:
    """[session]: what one worker does in one assignment, in trials."""

    trials: Annotated[int, Range(1, 1000)] = 20
    practice: Count = 2
    gold: Count = 2
    repeats: Count = 1
    identical: Count = 0
    minutes_limit: Annotated[int, Range(1, 1440)] = 60  # a lease lives this long ...
    grace_minutes: Annotated[int, Range(0, 1440)] = 15  # ... plus this

    @property
    def shown(self) -> int:
        """How many trials a worker sees in all; every one of them is paid."""
        return self.trials + self.practice + self.gold + self.repeats + self.identical


@dataclass(frozen=True)
class Gold:
    """[gold]: a folder with `good/` and `bad/` clips of equal names, or an automatic spoiling."""

    folder: Path | None = None
    auto: Annotated[str | None, OneOf(("frame-shuffle", "freeze", "noise"))] = None
    source: str | None = None  # whose clips are spoilt
    prompts: Path | None = None  # a CSV of the prompts of the folder's good clips
    # To which the good clip is the right answer; empty: to all of them.
    questions: Annotated[tuple[str, ...], SLUG_RULE] = ()


@dataclass(frozen=True)
class Display:
    """[display]: how clips of unequal size, rate or length are made comparable."""

    scale: Annotated[str, OneOf(("integer", "fit"))] = "integer"  # largest whole number in `box`
    box: Annotated[int, Range(16, 4096)] = 400  # CSS pixels
    fit: Annotated[str | None, OneOf(("pad", "crop"))] = None  # needed when sizes differ
    fps: Annotated[float | None, Range(0.1, 240)] = None  # needed when rates differ
    # Needed when lengths differ.
    duration: Annotated[str | None, OneOf(("shortest", "loop-each"))] = None
    layout: Annotated[str, OneOf(("side-by-side",))] = "side-by-side"


@dataclass(frozen=True)
class Pay:
    """[pay]: for one session, whatever the answers."""

    reward_cents: Annotated[int, Range(0, 100_000)] = 0
    currency: Annotated[str, Matches(r"[A-Z]{3}", "a currency code such as USD")] = "USD"
    expected_minutes: Annotated[float, Range(0.1, 1440)] = 5.0
    bonus_cents: Annotated[int, Range(0, 100_000)] = 0


@dataclass(frozen=True)
class Workers:
    """[workers]: who may take part, and how often."""

    minimum_approval: Annotated[int, Range(0, 100)] = 95
    minimum_hits: Annotated[int, Range(0, 1_000_000)] = 0
    sessions_per_worker: Annotated[int, Range(1, 1000)] = 1
    # How many are expected; init checks that they can fill the plan.
    workers: Annotated[int | None, Range(1, 10_000_000)] = None
    countries: Annotated[tuple[str, ...], Matches(r"[A-Z]{2}", "a country code such as US")] = ()
    devices: Annotated[tuple[str, ...], OneOf(DEVICES)] = ("desktop",)


@dataclass(frozen=True)
class Consent:
    """[consent]: shown before the first trial; the version is stored with each consent."""

    text: Annotated[str, Length(20_000)]
    version: Annotated[str, Length(64)] = "1"
    irb_id: Annotated[str, Length(200, empty=True)] = ""
    contact: Annotated[str, Length(500, empty=True)] = ""


@dataclass(frozen=True)
class SurveyQuestion:
    """[[survey]]: asked after the last trial. `choices` empty means free text."""

    id: Slug
    text: Annotated[str, Length(500)]
    choices: tuple[str, ...] = ()
    required: bool = False


@dataclass(frozen=True)
class Analysis:
    """[analysis]: fixed before the data."""

    exclude: Annotated[tuple[str, ...], OneOf(EXCLUSIONS)] = ()
    primary: tuple[tuple[str, str], ...] = ()
    stop_when: Annotated[str | None, Length(200), Stops()] = None


@dataclass(frozen=True)
class Link:
    """[recruit.link]: how the site that sends people names them, and how they go back to it.

    Without `participant` only links made for one person each let anybody in.
    """

    preset: Annotated[str | None, OneOf(("connect", "sona"))] = None
    participant: Annotated[
        str, Matches(r"([A-Za-z][A-Za-z0-9_-]{0,63})?", "a parameter's name such as participantId")
    ] = ""
    pattern: Annotated[str, Length(200)] = "[A-Za-z0-9_-]{1,64}"
    completion: Annotated[str, Length(1000, empty=True)] = ""  # {code} and {participant} are set in
    quota: Annotated[int | None, Range(1, 1_000_000)] = None


@dataclass(frozen=True)
class Prolific:
    """[recruit.prolific]: what only Prolific has."""

    project: Annotated[str, Length(64, empty=True)] = ""  # its id; empty is the first
    filters: Annotated[
        tuple[str, ...],
        Matches(r"[\w-]+=[\w.,-]+", 'a condition such as "fluent-languages=19"'),
    ] = ()
    screen_out_cents: Annotated[int, Range(0, 100_000)] = 20  # who finds nothing left; 0: unpaid


@dataclass(frozen=True)
class Recruit:
    """[recruit]: where workers come from; not part of the design hash."""

    crowd: Annotated[str, OneOf(tuple(TERMS))] = "local"
    hit_title: Annotated[str, Length(128, empty=True)] = ""
    hit_description: Annotated[str, Length(2000, empty=True)] = ""
    keywords: Annotated[tuple[str, ...], Length(1000, empty=True)] = ()
    lifetime_hours: Annotated[float, Range(0.01, 8760)] = 168.0
    auto_approval_hours: Annotated[float, Range(0, 720)] = 72.0
    link: Link = Link()
    prolific: Prolific = Prolific()


@dataclass(frozen=True)
class Study:
    """A whole study file."""

    name: Slug
    title: Annotated[str, Length(200)]
    seed: Annotated[int, Range(0, 2**31 - 1)]
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
    retention_days: int | None = None  # then `vgan-eval forget` takes the platforms' ids away
