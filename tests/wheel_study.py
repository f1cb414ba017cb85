"""A study from init to Table 1 with the installed wheel alone: no extras, no checkout.

Run by `.ci/check-wheel` in a new environment and an empty folder; any failure is an exception.
"""

import importlib.util
import json
import re
import subprocess
import sys
import sysconfig
import urllib.request
from pathlib import Path

import imageio.v3 as iio
import numpy as np

SCRIPTS = Path(sysconfig.get_path("scripts"))
STUDY = """
[study]
name = "wheel"
title = "Which video is more realistic?"
seed = 1
[sources]
ours = "ours"
theirs = "theirs"
[design]
comparisons = [["ours", "theirs"]]
judgments_per_cell = 60
[session]
trials = 10
practice = 1
gold = 1
repeats = 0
[gold]
auto = "noise"
source = "ours"
[workers]
workers = 12
"""


def draw_clips() -> None:
    """Write 16 small clips for each of two sources: a folder is all that a model has to give."""
    rng = np.random.default_rng(0)
    for source in ("ours", "theirs"):
        Path(source).mkdir()
        for number in range(16):
            frames = rng.integers(0, 255, (8, 32, 32, 3), dtype=np.uint8)
            iio.imwrite(f"{source}/{number:02}.mp4", frames, plugin="pyav", codec="libx264", fps=10)


def run(*command: str) -> str:
    """Run a command of the wheel; its output must not be about a failure."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} exited with {done.returncode}:\n{done.stderr}")
    return done.stdout


def call(url: str, body: dict | None = None, token: str = "") -> dict:
    """Speak the rating page's JSON."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=30) as reply:
        return json.load(reply)


def rate_one_session() -> None:
    """Serve the study and answer every pair of one session as the page does: always left."""
    command = [str(SCRIPTS / "vgan-eval"), "rate", "--db", "sqlite:///people.db"]
    server = subprocess.Popen(
        [*command, "--no-browser", "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    try:
        page = re.search(r"http://\S+", server.stdout.readline())[0]
        with urllib.request.urlopen(page, timeout=30) as reply:
            ticket = re.search(r"ticket=(\S+)", reply.url)[1]
        root = page.removesuffix("/local")
        state = call(f"{root}/api/start", {"ticket": ticket, "consent": None, "device": {}})
        token = state["token"]
        while state["stage"] == "trials":
            answer = {"position": state["showing"]["position"], "question": "realism"}
            answer |= {"choice": "left", "rt_ms": 2000, "clip_ms": 1600, "details": {}}
            state = call(f"{root}/api/judgment", answer, token)["state"]
        assert call(f"{root}/api/finish", {"survey": {}}, token)["stage"] == "done"
    finally:
        server.terminate()
        server.wait()


def name_what_is_lacking() -> None:
    """Commands that need an extra say which, and that they were used wrongly."""
    train = ("train", "two-stream", "--data", "none", "--category", "none", "--out", "run")
    for extra, command in (
        ("aws", ("vgan-eval", "sandbox")),
        ("aws", ("vgan-eval", "publish-hits", "--db", "sqlite:///people.db", "--yes")),
        ("train", ("vgan", *train)),
    ):
        program, *arguments = command
        full = [str(SCRIPTS / program), *arguments]
        done = subprocess.run(full, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 2, f"{command} exited with {done.returncode}"
        assert f"python -m pip install 'vgan-eval[{extra}]'\n" in done.stderr, done.stderr


def main() -> None:
    """Init, rate, simulate, export, Table 1; what needs more than the base install says so."""
    for heavy in ("torch", "cv2", "sklearn", "boto3"):
        assert importlib.util.find_spec(heavy) is None, f"the base install brings {heavy}"
    draw_clips()
    Path("study.toml").write_text(STUDY)
    vgan_eval = str(SCRIPTS / "vgan-eval")
    for name in ("people", "simulated"):
        sys.stdout.write(run(vgan_eval, "init", "study.toml", "--db", f"sqlite:///{name}.db"))
    name_what_is_lacking()
    rate_one_session()
    run(vgan_eval, "simulate", "--db", "sqlite:///simulated.db", "--seed", "1")
    for name, judgments in (("people", 10), ("simulated", 60)):
        db = f"sqlite:///{name}.db"
        run(vgan_eval, "export", "--db", db, "--out", name)
        table = [sys.executable, "-m", "analysis.table1", "--exclude", "none", "--format", "csv"]
        from_db = run(*table, "--db", db)
        assert from_db == run(*table, "--judgments", f"{name}/judgments.csv")
        assert from_db.splitlines()[1].split(",")[5] == str(judgments)
    sys.stdout.write(from_db)


if __name__ == "__main__":
    main()
