"""Reads a study file: each table into its dataclass, then what must hold between tables."""

from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, TypeVar

from evaluation.study import (
    DEFAULT_SEED,
    HIDDEN_SOURCES,
    RESERVED,
    Analysis,
    Comparison,
    Consent,
    Design,
    Display,
    Gold,
    Pay,
    Question,
    Session,
    Slug,
    Source,
    Study,
    SurveyQuestion,
    Workers,
)
from evaluation.study_file.recruit import read_recruit
from evaluation.study_file.tables import (
    SLUG_RULE,
    Length,
    Matches,
    Range,
    TomlFile,
    did_you_mean,
    read_table,
)
from evaluation.study_file.text import read_texts

TABLES = (
    "study", "questions", "sources", "categories", "design", "session", "gold", "display", "pay",
    "workers", "text", "consent", "survey", "analysis", "recruit",
)  # fmt: skip
PAY_PRESETS = ("paper",)  # one cent per comparison shown
Q = TypeVar("Q", Question, SurveyQuestion)
_LANGUAGE = Matches(r"[a-z]{2,3}(-[A-Za-z0-9]+)*", "a language code such as en")


@dataclass(frozen=True)
class _Head:
    """[study]."""

    name: Slug
    title: Annotated[str, Length(200)] = ""
    # PostgreSQL's integers end here.
    seed: Annotated[int, Range(0, 2**31 - 1)] = DEFAULT_SEED
    prompts: Path | None = None  # of every source that names none itself
    retention_days: Annotated[int | None, Range(1, 36_500)] = None


def load_study(path: Path) -> Study:
    """Read and check a study file.

    Raises:
        StudyFileError: it is missing, is not TOML, or a key is unknown, missing, of the wrong type
            or against a rule. The message names the file, the line, the table and the key.
    """
    file = TomlFile(path)
    file.check_keys("", file.data, TABLES)
    head = read_table(file, "study", _required(file, "study"), _Head)
    if head.name in RESERVED:
        raise file.error("study", "name", f"{head.name!r} is reserved; take another name")
    sources = _sources(file, head.prompts)
    session = read_table(file, "session", file.table("session") or {}, Session)
    if session.repeats > session.trials:
        raise file.error(
            "session", "repeats", f"is {session.repeats}, more than the {session.trials} trials"
        )
    design = _design(file, [s.name for s in sources])
    consent = file.table("consent")
    questions = _asked(file, "questions", Question) or (Question(),)
    survey = _asked(file, "survey", SurveyQuestion)
    return Study(
        name=head.name,
        title=head.title or head.name,
        seed=head.seed,
        path=path.resolve(),
        sources=sources,
        design=design,
        questions=questions,
        category_names=_category_names(file),
        session=session,
        gold=_gold(file, design, sources, session, questions),
        display=read_table(file, "display", file.table("display") or {}, Display),
        pay=_pay(file, session),
        workers=_workers(file),
        text=_texts(file, questions, survey),
        consent=None if consent is None else read_table(file, "consent", consent, Consent),
        survey=survey,
        analysis=_analysis(file, design),
        recruit=read_recruit(file),
        retention_days=head.retention_days,
    )


def _required(file: TomlFile, table: str) -> dict[str, Any]:
    raw = file.table(table)
    if raw is None:
        raise file.error("", None, f"the table [{table}] is missing")
    return raw


def _check_slug(file: TomlFile, table: str, key: str) -> None:
    if complaint := SLUG_RULE.complaint(key):
        raise file.error(table, key, complaint)
    if len(key) > 64:
        raise file.error(table, key, f"is {len(key)} characters long; at most 64 fit")
    if key in RESERVED or key in HIDDEN_SOURCES:
        raise file.error(table, key, f"{key!r} is reserved; take another name")


def _sources(file: TomlFile, prompts: Path | None) -> tuple[Source, ...]:
    sources = []
    for key, value in _required(file, "sources").items():
        _check_slug(file, "sources", key)
        raw = {"path": value} if isinstance(value, str) else value
        if not isinstance(raw, dict):
            raise file.error(
                "sources", key, f'must be a folder such as {key} = "clips/{key}", got {value!r}'
            )
        known = {name: raw.get(name) for name in ("path", "split", "prompts")}
        known["name"] = raw.get("name", key)
        for unknown in set(raw) - set(known):
            raise file.error("sources", key, f"unknown key {unknown}{did_you_mean(unknown, known)}")
        table = {"display_name": known.pop("name")} | known
        table = {k: v for k, v in table.items() if v is not None}
        source = _source(file, key, table)
        sources.append(replace(source, prompts=source.prompts or prompts))
    if len(sources) < 2:
        raise file.error(
            "sources", None, "names fewer than two sources; there is nothing to compare"
        )
    return tuple(sources)


def _source(file: TomlFile, key: str, table: dict[str, Any]) -> Source:
    if "path" not in table:
        raise file.error("sources", key, f'path is missing; write {key} = {{ path = "folder" }}')
    for name in ("path", "split", "prompts", "display_name"):
        if name in table and (not isinstance(table[name], str) or not table[name].strip()):
            shown = "name" if name == "display_name" else name
            raise file.error("sources", key, f"{shown} must be text in quotes, got {table[name]!r}")
    return read_table(file, "sources", table, Source, given={"name": key})


def _asked(file: TomlFile, name: str, cls: type[Q]) -> tuple[Q, ...]:
    """Read a list of tables, each of which has an id of its own."""
    found: dict[str, Q] = {}
    for i, table in enumerate(file.tables(name)):
        one = read_table(file, f"{name}[{i}]", table, cls)
        if one.id in found:
            raise file.error(f"{name}[{i}]", "id", f"{one.id!r} is used twice; ids must differ")
        found[one.id] = one
    return tuple(found.values())


def _category_names(file: TomlFile) -> dict[str, str]:
    names = file.table("categories") or {}
    for key, value in names.items():
        _check_slug(file, "categories", key)
        if not isinstance(value, str) or not value.strip() or len(value) > 100:
            raise file.error(
                "categories", key, f"must be a display name of 1 to 100 characters, got {value!r}"
            )
    return dict(names)


def _design(file: TomlFile, sources: list[str]) -> Design:
    raw = _required(file, "design")
    comparisons = _comparisons(file, raw.get("comparisons"), sources)
    design = read_table(file, "design", raw, Design, given={"comparisons": comparisons})
    repeated = [c for i, c in enumerate(design.categories) if c in design.categories[:i]]
    if repeated:
        raise file.error("design", "categories", f"{repeated[0]!r} is listed twice")
    if reserved := RESERVED.intersection(design.categories):
        raise file.error("design", "categories", f"{min(reserved)!r} is reserved")
    _check_counts(file, design)
    return design


def _check_counts(file: TomlFile, design: Design) -> None:
    per_cell, per_pair = design.judgments_per_cell, design.judgments_per_pair
    if (per_cell is None) == (per_pair is None):
        both = "both are set; keep" if per_cell is not None else "neither is set; write"
        key = "judgments_per_cell"
        raise file.error("design", key, f"exactly one of this and judgments_per_pair: {both} one")
    if per_cell is not None and per_cell % 2:
        raise file.error(
            "design",
            "judgments_per_cell",
            f"{per_cell} is odd, so the sides cannot be balanced; "
            f"write {per_cell - 1} or {per_cell + 1}",
        )
    if per_pair is not None and design.pairing == "random":
        raise file.error(
            "design",
            "judgments_per_pair",
            'needs pairing = "item"; random pairs take judgments_per_cell',
        )
    if design.leaves_out and design.pairing == "random":
        raise file.error("design", "unmatched", 'needs pairing = "item"; random pairs lack nothing')


def _comparisons(file: TomlFile, raw: Any, sources: list[str]) -> tuple[Comparison, ...]:
    key = "comparisons"
    if raw == "all":
        return tuple(Comparison(a, b) for a, b in combinations(sources, 2))
    if not isinstance(raw, list) or not raw:
        raise file.error(
            "design", key, f'must be "all" or a list of pairs such as [["a", "b"]], got {raw!r}'
        )
    seen: set[frozenset[str]] = set()
    for pair in raw:
        if not (
            isinstance(pair, list) and len(pair) == 2 and all(isinstance(s, str) for s in pair)
        ):
            raise file.error("design", key, f'must hold pairs such as ["a", "b"], got {pair!r}')
        for name in pair:
            if name not in sources:
                hint = did_you_mean(name, sources)
                raise file.error("design", key, f"no source {name!r} in [sources]{hint}")
        if pair[0] == pair[1]:
            raise file.error("design", key, f"{pair[0]!r} is compared with itself")
        if frozenset(pair) in seen:
            raise file.error("design", key, f"{pair[0]!r} and {pair[1]!r} are compared twice")
        seen.add(frozenset(pair))
    return tuple(Comparison(a, b) for a, b in raw)


def _gold(
    file: TomlFile,
    design: Design,
    sources: tuple[Source, ...],
    session: Session,
    questions: tuple[Question, ...],
) -> Gold:
    raw = file.table("gold") or {}
    names = [s.name for s in sources]
    if raw.keys() <= {"questions"}:
        if not session.gold + session.practice:
            return Gold()
        # Noise is what every attentive worker sees, whatever the clips show.
        first = "real" if "real" in names else design.comparisons[0].source_a
        raw = {**raw, "auto": "noise", "source": first}
    gold = read_table(file, "gold", raw, Gold)
    if (gold.folder is None) == (gold.auto is None):
        raise file.error(
            "gold", "folder", "write either folder (with good/ and bad/) or auto, one of the two"
        )
    if gold.auto is not None and gold.source is None:
        raise file.error("gold", "source", "is missing; name the source whose clips are spoilt")
    if gold.source is not None and gold.auto is None:
        raise file.error("gold", "source", "goes with auto; a folder brings its own clips")
    if gold.prompts is not None and gold.folder is None:
        raise file.error("gold", "prompts", "goes with folder; spoilt clips have their source's")
    if gold.source is not None and gold.source not in names:
        raise file.error(
            "gold", "source", f"no source {gold.source!r}{did_you_mean(gold.source, names)}"
        )
    if "questions" in raw and not gold.questions:
        raise file.error(
            "gold", "questions", "names none; for none, set gold = 0 and practice = 0 in [session]"
        )
    asked = [question.id for question in questions]
    if unknown := [name for name in gold.questions if name not in asked]:
        hint = did_you_mean(unknown[0], asked)
        raise file.error("gold", "questions", f"no question {unknown[0]!r}{hint}")
    return gold


def _pay(file: TomlFile, session: Session) -> Pay:
    raw = dict(file.table("pay") or {})
    preset = raw.pop("preset", None)
    pay = read_table(file, "pay", raw, Pay)
    if preset is None:
        return pay
    if preset not in PAY_PRESETS:
        hint = did_you_mean(str(preset), PAY_PRESETS)
        raise file.error("pay", "preset", f"{preset!r} is not known{hint}")
    if "reward_cents" in raw:
        raise file.error("pay", "reward_cents", "is set by the preset; keep one of the two")
    return replace(pay, reward_cents=session.shown)


def _workers(file: TomlFile) -> Workers:
    workers = read_table(file, "workers", file.table("workers") or {}, Workers)
    if not workers.devices:
        raise file.error("workers", "devices", 'is empty, which lets nobody in; write ["desktop"]')
    return workers


def _texts(
    file: TomlFile, questions: tuple[Question, ...], survey: tuple[SurveyQuestion, ...]
) -> dict[str, dict[str, str]]:
    translated = {
        "questions": [question.id for question in questions],
        "survey": [question.id for question in survey],
        "choices": [choice for question in survey for choice in question.choices],
    }
    texts: dict[str, dict[str, str]] = {}
    for language, table in (file.table("text") or {}).items():
        if complaint := _LANGUAGE.complaint(language):
            raise file.error("text", language, complaint)
        if not isinstance(table, dict):
            raise file.error("text", language, f"must be a table; write [text.{language}]")
        texts[language] = read_texts(file, language, table, translated)
    return texts


def _analysis(file: TomlFile, design: Design) -> Analysis:
    analysis = read_table(file, "analysis", file.table("analysis") or {}, Analysis)
    rows = {(c.source_a, c.source_b) for c in design.comparisons}
    for row in analysis.primary:
        if row not in rows:
            raise file.error(
                "analysis", "primary", f"{list(row)!r} is no comparison of [design] (in that order)"
            )
    return analysis
