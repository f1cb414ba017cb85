"""A small study made row by row, with drawn clips whose every pixel a test knows."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from sqlalchemy import select

from evaluation import schema
from evaluation.media.frames import write_frames
from evaluation.stimuli import prepare_stimuli
from evaluation.storage import LocalStore
from evaluation.study import Consent, Display, Question, Session, SurveyQuestion, Workers
from freezing import frozen, study_of
from vgan.data.manifest import sha256_of

NAME = "secret-study-name"
SOURCES = ("real", "vgan-two-stream")
SECRETS = (NAME, *SOURCES, "beach", "clip-", ".mp4", "gold", "two-stream")
MADE = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Recipe:
    """What the study is like."""

    frames: int = 6
    longer: int = 0  # frames that the second source's clips have more
    fps: float = 12.0
    size: tuple[int, int] = (64, 64)
    trials: int = 3
    practice: int = 0
    gold: int = 0
    repeats: int = 0
    questions: tuple[tuple[str, str], ...] = (("realism", "Which video is more realistic?"),)
    allow_tie: bool = False
    show_prompt: bool = False
    consent: Consent | None = None
    survey: tuple[SurveyQuestion, ...] = ()
    devices: tuple[str, ...] = ("desktop",)
    sessions: int = 3
    raters: int = 2
    display: Display = field(default_factory=Display)
    text: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass
class Built:
    """The study in its database: `pixels[key]` are the frames behind a media key."""

    url: str
    store: LocalStore
    pixels: dict[str, np.ndarray]


def drawn_frames(recipe: Recipe, seed: int) -> np.ndarray:
    """A textured square on a textured ground; no two frames and no two clips are alike."""
    rng = np.random.default_rng(seed)
    width, height = recipe.size
    coarse = rng.integers(40, 216, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    ground = coarse.repeat(8, 0).repeat(8, 1)[:height, :width]
    clip = np.repeat(ground[None], recipe.frames, 0).copy()
    clip += rng.integers(0, 24, clip.shape, dtype=np.uint8)
    side = height // 4
    for index, frame in enumerate(clip):
        left = (index * 3 + seed) % (width - side)
        frame[side : 2 * side, left : left + side] = rng.integers(0, 255, 3)
    return clip


def build_study(database, folder: Path, recipe: Recipe) -> dict[str, np.ndarray]:
    """Fill a database and `folder/media`; return the frames behind each media key."""
    store = LocalStore(folder / "media")
    with database.write() as session:
        study = _add_study(session, recipe)
        pixels = _add_plan(session, study, folder, recipe)
        prepare_stimuli(session, study, recipe.display, store)
        session.flush()
        made = session.scalars(select(schema.Stimulus)).all()
        return {stimulus.key: pixels[stimulus.clip.name] for stimulus in made}


def _add_study(session, recipe: Recipe) -> schema.Study:
    file = study_of(
        NAME,
        (*SOURCES, "beach"),
        title="Comparing short clips",
        questions=tuple(Question(*one) for one in recipe.questions),
        session=Session(
            trials=recipe.trials, practice=recipe.practice, gold=recipe.gold, repeats=recipe.repeats
        ),
        display=recipe.display,
        workers=Workers(sessions_per_worker=recipe.sessions, devices=recipe.devices),
        text=recipe.text,
        consent=recipe.consent,
        survey=recipe.survey,
    )
    design = replace(file.design, allow_tie=recipe.allow_tie, show_prompt=recipe.show_prompt)
    study = schema.Study(
        **frozen(replace(file, design=design)), study_file="", secret="5" * 64, created_at=MADE
    )
    study.questions = [
        schema.Question(position=n, name=name, text=text)
        for n, (name, text) in enumerate(recipe.questions)
    ]
    study.sources = [
        schema.Source(position=n, name=name, display_name=name) for n, name in enumerate(SOURCES)
    ]
    session.add(study)
    session.flush()
    return study


def _add_plan(session, study, folder, recipe: Recipe) -> dict[str, np.ndarray]:
    pixels: dict[str, np.ndarray] = {}
    plan = schema.PlanBatch(study_id=study.id, number=1, seed=1, rule="initial", reason="test",
                            created_at=MADE)  # fmt: skip
    pool = schema.PlanBatch(study_id=study.id, number=2, seed=1, rule="pool", reason="test",
                            created_at=MADE)  # fmt: skip
    session.add_all([plan, pool])
    session.flush()
    kinds = [schema.TrialKind.TEST] * (recipe.trials * recipe.raters)
    kinds += [schema.TrialKind.PRACTICE] * recipe.practice + [schema.TrialKind.GOLD] * recipe.gold
    for number, kind in enumerate(kinds):
        clips = []
        for side, source in enumerate(study.sources):
            longer = replace(recipe, frames=recipe.frames + side * recipe.longer)
            frames = drawn_frames(longer, seed=number * 2 + side)
            path = folder / source.name / "beach" / f"clip-{number}.mp4"
            write_frames(path, frames, recipe.fps)
            clip = schema.Clip(
                study_id=study.id, source_id=source.id, name=f"{source.name}/beach/{path.name}",
                category="beach", sha256=sha256_of(path), path=str(path),
                frames=len(frames), fps=recipe.fps, width=recipe.size[0], height=recipe.size[1],
                prompt=f"A wave, number {number}",
            )  # fmt: skip
            session.add(clip)
            clips.append(clip)
            pixels[clip.name] = frames
        session.flush()
        pair = schema.Pair(
            study_id=study.id, clip_a_id=clips[0].id, clip_b_id=clips[1].id, source_a=SOURCES[0],
            source_b=SOURCES[1], category="beach",
        )  # fmt: skip
        session.add(pair)
        session.flush()
        test = kind is schema.TrialKind.TEST
        session.add(
            schema.Trial(
                study_id=study.id, batch_id=plan.id if test else pool.id, number=number,
                pair_id=pair.id, kind=kind, a_is_left=number % 2 == 0,
                correct=None if test else schema.Side("left" if number % 2 == 0 else "right"),
                free=test,
            )
        )  # fmt: skip
    return pixels
