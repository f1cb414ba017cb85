"""Synthetic judgments with a planted truth, in the contract's columns."""

import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sqlalchemy.orm import Session

from analysis import figures
from evaluation import schema as s
from evaluation.database import create_database
from evaluation.study import Analysis
from freezing import frozen, study_of

NOW = datetime(2026, 5, 1, 9, 0, tzinfo=UTC)

PAPER = {
    ("vgan-two-stream", "autoencoder-gmm"): 0.82,
    ("vgan-one-stream", "autoencoder-gmm"): 0.83,
    ("vgan-two-stream", "vgan-one-stream"): 0.53,
    ("vgan-two-stream", "real"): 0.18,
    ("vgan-one-stream", "real"): 0.16,
    ("autoencoder-gmm", "real"): 0.03,
}
CATEGORIES = ("golf", "beach", "train", "baby")


def make_judgments(
    rows: dict[tuple[str, str], float] | None = None,
    *,
    per_cell: int = 60,
    workers: int = 40,
    clips: int = 30,
    categories: tuple[str, ...] = CATEGORIES,
    seed: int = 1,
    sd: float = 0.4,
    simulated: bool = False,
) -> pd.DataFrame:
    """Return judgments as text; `sd` of worker and clip effects, on the logit scale."""
    rng = np.random.default_rng(seed)
    rows = PAPER if rows is None else rows
    parts = []
    for (a, b), rate in rows.items():
        for category in categories:
            n = per_cell
            worker = rng.integers(0, workers, n)
            ia, ib = rng.integers(0, clips, n), rng.integers(0, clips, n)
            eye = np.random.default_rng(seed + 1).normal(0, sd, workers)
            clip_a, clip_b = rng.normal(0, sd, clips), rng.normal(0, sd, clips)
            logit = np.log(rate / (1 - rate)) + eye[worker] + clip_a[ia] - clip_b[ib]
            y = rng.random(n) < 1 / (1 + np.exp(-logit))
            parts.append(_cell(rng, a, b, category, worker, ia, ib, y))
    frame = pd.concat(parts, ignore_index=True)
    frame["trial"] = [f"t{i:06d}" for i in range(len(frame))]
    start = pd.Timestamp("2026-01-01T00:00:00Z")
    times = start + pd.to_timedelta(np.arange(len(frame)) * 7, unit="s")
    frame["answered_at"] = times.strftime("%Y-%m-%dT%H:%M:%SZ")
    frame["simulated"] = "true" if simulated else "false"
    frame["study"] = "paper"
    frame["trial_kind"] = "test"
    frame["crowd"] = "local"
    frame["question"] = "realism"
    frame["counted"] = "true"
    frame["study_hash"] = "ab" * 32
    # A page measures how long the clips ran, here until the answer; a clip lasts 1280 ms.
    frame["clip_ms"] = frame["rt_ms"]
    frame["loops"] = (frame["rt_ms"].astype(float) / 1280).round(2).astype(str)
    frame["position"] = "0"
    for column in ("item", "left_origin", "right_origin", "correct_choice", "repeat_of"):
        frame[column] = ""
    return frame


def _cell(
    rng: np.random.Generator,
    a: str,
    b: str,
    category: str,
    worker: np.ndarray,
    ia: np.ndarray,
    ib: np.ndarray,
    y: np.ndarray,
) -> pd.DataFrame:
    n = len(y)
    clip_a = np.array([f"{a}/{category}/{i:04d}.mp4" for i in ia])
    clip_b = np.array([f"{b}/{category}/{i:04d}.mp4" for i in ib])
    a_left = rng.permutation(np.arange(n) % 2 == 0)
    choice = np.where(y == a_left, "left", "right")
    return pd.DataFrame(
        {
            "worker": [f"w{w:03d}" for w in worker],
            "assignment": [f"as{w:03d}" for w in worker],
            "hit": [f"h{w:03d}" for w in worker],
            "category": category,
            "pair_type": "__".join(sorted((a, b))),
            "source_a": a,
            "source_b": b,
            "left_source": np.where(a_left, a, b),
            "right_source": np.where(a_left, b, a),
            "left_clip": np.where(a_left, clip_a, clip_b),
            "right_clip": np.where(a_left, clip_b, clip_a),
            "label": np.where(y, clip_a, clip_b),
            "choice": choice,
            "rt_ms": (1300 + rng.gamma(2.0, 600.0, n)).round(1).astype(str),
        }
    )


@pytest.fixture(scope="session")
def judgments_text() -> Callable[..., pd.DataFrame]:
    return make_judgments


@pytest.fixture
def write_judgments(tmp_path: Path) -> Callable[[pd.DataFrame], Path]:
    def write(frame: pd.DataFrame, name: str = "judgments.csv") -> Path:
        path = tmp_path / name
        frame.to_csv(path, index=False)
        return path

    return write


@pytest.fixture
def no_pdf(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the figures' PDFs empty, which take half of a report's time."""
    monkeypatch.setattr(figures, "to_pdf", lambda _: b"")


@pytest.fixture
def recorded(tmp_path: Path) -> Callable[..., str]:
    """Write a small study with judgments into a new database; returns its URL."""

    def record(
        workers: int = 6, pairs: int = 12, seed: int = 1, exclude: tuple[str, ...] = ()
    ) -> str:
        url = f"sqlite:///{tmp_path / 'study.db'}"
        rng = np.random.default_rng(1)
        with create_database(url) as database, database.write() as unit:
            study = _add_study(unit, exclude)
            question = s.Question(study_id=study.id, position=0, name="realism", text="Which?")
            batch = s.PlanBatch(
                study_id=study.id, number=1, seed=5, rule="file", reason="", created_at=NOW
            )
            hit = s.Hit(
                study_id=study.id, crowd="local", environment=s.Environment.SANDBOX, token="t",
                state=s.CallState.DONE, created_at=NOW,
            )  # fmt: skip
            clips = _add_clips(unit, study, pairs, tmp_path)
            unit.add_all([question, batch, hit])
            people = [
                s.Worker(
                    crowd="local", environment=s.Environment.SANDBOX, external_id=f"w{i}",
                    created_at=NOW,
                )
                for i in range(workers)
            ]  # fmt: skip
            unit.add_all(people)
            unit.flush()
            sessions = [
                s.Assignment(
                    study_id=study.id, hit_id=hit.id, worker_id=w.id, crowd="local",
                    environment=w.environment, external_id="1", accepted_at=NOW, lease_until=NOW,
                    status=s.AssignmentStatus.SUBMITTED,
                )
                for w in people
            ]  # fmt: skip
            unit.add_all(sessions)
            unit.flush()
            for k, (a, b) in enumerate(itertools.product(clips["mine"], clips["real"])):
                session = sessions[k % workers]
                _judge(unit, study, question, batch, session, (a, b), k, bool(rng.random() < 0.3))
        return url

    return record


def _add_study(unit: Session, exclude: tuple[str, ...]) -> s.Study:
    rules = ", ".join(f'"{rule}"' for rule in exclude)
    text = f'[study]\nname = "lab"\nseed = 5\n[analysis]\nexclude = [{rules}]\n'
    file = study_of("lab", ("mine", "real", "all"), seed=5, analysis=Analysis(exclude=exclude))
    study = s.Study(**frozen(file), secret="secret", study_file=text, created_at=NOW)
    unit.add(study)
    unit.flush()
    return study


def _add_clips(unit: Session, study: s.Study, n: int, folder: Path) -> dict[str, list[s.Clip]]:
    clips: dict[str, list[s.Clip]] = {}
    for position, name in enumerate(("mine", "real")):
        source = s.Source(study_id=study.id, position=position, name=name, display_name=name)
        unit.add(source)
        unit.flush()
        clips[name] = [
            s.Clip(
                study_id=study.id, source_id=source.id, name=f"{name}/all/{i}.png", frames=1,
                category="all", sha256=f"{position}{i}".rjust(64, "0"), width=8, height=8,
                path=str(folder / "clips" / name / "all" / f"{i}.png"), fps=1.0,
                origin_video=f"video-{i // 2}" if name == "real" else "",
            )
            for i in range(n)
        ]  # fmt: skip
        unit.add_all(clips[name])
        unit.flush()
    return clips


def _judge(
    unit: Session,
    study: s.Study,
    question: s.Question,
    batch: s.PlanBatch,
    session: s.Assignment,
    clips: tuple[s.Clip, s.Clip],
    number: int,
    a_wins: bool,
) -> None:
    pair = s.Pair(
        study_id=study.id, clip_a_id=clips[0].id, clip_b_id=clips[1].id, source_a="mine",
        source_b="real", category="all",
    )  # fmt: skip
    unit.add(pair)
    unit.flush()
    a_left = number % 2 == 0
    trial = s.Trial(
        study_id=study.id, batch_id=batch.id, number=number, pair_id=pair.id,
        kind=s.TrialKind.TEST, a_is_left=a_left,
    )  # fmt: skip
    unit.add(trial)
    unit.flush()
    showing = s.Showing(
        assignment_id=session.id, trial_id=trial.id, worker_id=session.worker_id, pair_id=pair.id,
        position=number, status=s.ShowingStatus.ANSWERED, leased_at=NOW, expires_at=NOW,
    )  # fmt: skip
    unit.add(showing)
    unit.flush()
    unit.add(
        s.Judgment(
            showing_id=showing.id, trial_id=trial.id, question_id=question.id, rt_ms=2000.5,
            choice=s.Choice.LEFT if a_wins == a_left else s.Choice.RIGHT, clip_ms=1280.0,
            status=s.JudgmentStatus.COUNTED, answered_at=NOW,
        )
    )  # fmt: skip
