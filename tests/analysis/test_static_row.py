"""The static frame control from clips to Table 1, beside the published row (38 %)."""

import csv
import io

import pytest
from click.testing import CliRunner

from analysis.load import load_judgments
from analysis.table1 import main
from evaluation.database import create_database
from evaluation.freeze import init_study
from evaluation.simulate import simulate
from evaluation.storage import LocalStore
from evaluation.study_file.reader import load_study
from vgan.data.statics import make_statics

STUDY = """\
[study]
name = "static"
title = "Which video is more realistic?"
seed = 3

[sources]
vgan-two-stream = "clips/vgan-two-stream"
static = "clips/static"
real = "clips/real"

[design]
comparisons = [["vgan-two-stream", "static"], ["vgan-two-stream", "real"], ["static", "real"]]
pairing = "item"
judgments_per_cell = 300

[session]
trials = 20
practice = 1
gold = 0
repeats = 0

[workers]
workers = 60
sessions_per_worker = 2
"""


@pytest.fixture
def judged(tmp_path, clip_folder):
    """A study of a generator, its static frames and real clips, judged by simulated raters."""
    generated = clip_folder("vgan-two-stream", {"beach": 30}, manifest=True)
    clip_folder("real", {"beach": 30}, manifest=True)
    make_statics(generated, tmp_path / "clips/static", 5, progress=False)
    file = tmp_path / "study.toml"
    file.write_text(STUDY)
    url = f"sqlite:///{tmp_path}/study.db"
    with create_database(url) as database:
        init_study(database, load_study(file), LocalStore(tmp_path / "media"), tmp_path / "assets")
        # Their default strengths prefer the generator to the static frame in 62 % of pairs.
        simulate(database, None, workers=60, mix={"careful": 1.0}, seed=2)
    return url


def test_the_static_frame_is_a_row_of_the_table_beside_the_published_one(judged):
    result = CliRunner().invoke(main, ["--db", judged, "--paper", "--format", "csv"])
    assert result.exit_code == 0, result.output
    lines = list(csv.DictReader(io.StringIO(result.stdout)))
    means = {line["row"]: line for line in lines if line["category"] == "Mean"}

    # In the study's order; `static` second to the generator, `real` second to both.
    assert list(means) == [
        "vgan-two-stream over static", "vgan-two-stream over real", "static over real"
    ]  # fmt: skip
    row = means["vgan-two-stream over static"]
    assert float(row["published"]) == 100 - 38
    # Of 300 judgments whose workers and clips are shared: about 3 standard errors.
    assert float(row["percent"]) == pytest.approx(62, abs=12)
    assert int(row["n"]) == 300


def test_no_pair_shows_a_clip_beside_its_own_first_frame(judged):
    judgments = load_judgments(db=judged)
    pairs = judgments[judgments["pair_type"] == "static__vgan-two-stream"]
    left_is_static = pairs["left_source"] == "static"
    held = pairs["left_origin"].where(left_is_static, pairs["right_origin"])
    beside = pairs["right_clip"].where(left_is_static, pairs["left_clip"])

    assert len(pairs) >= 300
    assert held.str.startswith("vgan-two-stream/beach/").all()
    assert (held != beside).all()
