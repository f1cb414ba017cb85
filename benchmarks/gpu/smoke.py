"""Every command that works with a run, small, on a device: does each of them end well?

Scenes are drawn; each model is trained under each recipe, generated (twice: the same bytes?) or
predicted from, and measured; one run is stopped as by Ctrl-C and gone on with; two processes share
one. All but that one are called in one process, whose start would take longer than most of them. A
command that fails is named with the end of what it said, the others run all the same, and the exit
code is 1.

    python benchmarks/gpu/smoke.py                                          # on a GPU
    python benchmarks/gpu/smoke.py --device cpu --width 1 --batch 2 --steps 2    # half a minute
"""

import argparse
import io
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from contextlib import redirect_stderr, redirect_stdout
from itertools import product
from pathlib import Path

import torch

from vgan.cli import EXIT_INTERRUPTED, main
from vgan.data.manifest import MANIFEST_NAME
from vgan.training.folder import RunFolder
from vgan.training.presets import MODELS, RECIPES

CATEGORY = "beach"
FOREVER = 1_000_000  # steps of the run that is stopped
LOOKS_EVERY = 0.02  # seconds, for a checkpoint
COMPILED = "one-stream", "paper"  # on a GPU: for a CPU the compiler takes longer than all the rest
SHARED_SECONDS = 60  # of two processes, which may wait for each other for ever
SHOWN = 20_000  # characters of what a failed command said


class Smoke:
    """The commands of one folder, and which of them failed.

    Args:
        folder: of clips and runs.
        args: the command line.
    """

    def __init__(self, folder: Path, args: argparse.Namespace) -> None:
        self.folder, self.args = folder, args
        self.clips = folder / "clips"
        self.device = ("--device", args.device)
        self.failed: list[str] = []

    def run(self) -> None:
        """Run everything."""
        drawn = ["--clips", str(self.args.clips), "--categories", CATEGORY]
        self.vgan("scenes", "scenes", "--out", str(self.clips), *drawn)
        first, *others = product(MODELS, RECIPES)
        self.use(*first)
        self.share()
        self.stop_and_resume()
        for model, recipe in others:
            self.use(model, recipe)

    def use(self, model: str, recipe: str) -> None:
        """Train a run, make clips with it and measure it."""
        name, run = f"{model} {recipe}", self.folder / f"{model}-{recipe}"
        self.vgan(f"train {name}", *self.training(model, recipe, run, self.args.steps))
        out = self.folder / f"made-{model}-{recipe}"
        if model == "future":
            given = (str(run), str(self.clips), "--split", "test")
            self.vgan(f"predict {name}", "predict", *given, "--out", str(out), *self.device)
        else:
            self.generate_twice(name, run, out)
        self.vgan(f"measure {name}", "measure", str(run), "--n", "4", *self.device)

    def generate_twice(self, name: str, run: Path, out: Path) -> None:
        """Generate the same clips into two folders, and compare these by their checksums."""
        listed = []
        for place in (out, out.with_name(f"{out.name}-again")):
            made = ("--n", "4", "--out", str(place), *self.device)
            self.vgan(f"generate {name}", "generate", str(run), *made)
            manifest = place / MANIFEST_NAME
            listed.append(manifest.read_text() if manifest.is_file() else "none")
        if listed[0] != listed[1]:
            self.note(f"the same bytes {name}", 0.0, good=False, said="\n\n".join(listed))

    def stop_and_resume(self) -> None:
        """Press Ctrl-C after a run's first checkpoint, then go on for some steps."""
        run = RunFolder(self.folder / "stopped")
        over = threading.Event()

        def press() -> None:
            while not run.saved_steps():
                if over.wait(LOOKS_EVERY):
                    return
            os.kill(os.getpid(), signal.SIGINT)

        presser = threading.Thread(target=press)
        presser.start()
        command = self.training("two-stream", "paper", run.path, FOREVER)
        self.vgan("train, stopped by Ctrl-C", *command, code=EXIT_INTERRUPTED)
        over.set()
        presser.join()
        steps = str(max(run.saved_steps(), default=0) + self.args.steps)
        resumed = ("--out", str(run.path), "--resume", "--steps", steps, *self.device)
        self.vgan("train --resume", "train", "two-stream", *resumed)

    def share(self) -> None:
        """Let two processes train together; on a single GPU both use that one."""
        command = [
            # Terminated, torchrun ends the two of them; killed, it would leave them.
            "timeout", "--foreground", "--kill-after", "40", str(SHARED_SECONDS),
            sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
            "-m", "vgan.cli",
            *self.training("two-stream", "paper", self.folder / "shared", self.args.steps),
            "--sync-batch-norm",
        ]  # fmt: skip
        # Without a network, the machine's own name may lead nowhere.
        environment = {"GLOO_SOCKET_IFNAME": "lo"} | os.environ
        begun = time.perf_counter()
        done = subprocess.run(
            command, env=environment, stdout=-1, stderr=subprocess.STDOUT, text=True, check=False
        )
        taken = time.perf_counter() - begun
        self.note("train, two processes", taken, done.returncode == 0, done.stdout)

    def training(self, model: str, recipe: str, run: Path, steps: int) -> list[str]:
        """Return the command that trains a run."""
        args = self.args
        compiled = (model, recipe) == COMPILED and args.device != "cpu"
        return [
            "train", model, "--data", str(self.clips), "--category", CATEGORY, "--out", str(run),
            "--recipe", recipe, "--width", str(args.width), "--batch", str(args.batch),
            "--steps", str(steps), "--checkpoint-every", str(max(1, args.steps // 2)),
            *(["--compile"] if compiled else []), *self.device,
        ]  # fmt: skip

    def vgan(self, name: str, *command: str, code: int = 0) -> None:
        """Run a command of `vgan`, and say whether it ended with the code that it should."""
        found, said = None, io.StringIO()
        begun = time.perf_counter()
        with redirect_stdout(said), redirect_stderr(said):
            try:
                found = main(command)
            except Exception:  # noqa: BLE001 (whatever it is, the others run all the same)
                traceback.print_exc()
        self.note(name, time.perf_counter() - begun, found == code, said.getvalue())

    def note(self, name: str, seconds: float, good: bool, said: str) -> None:
        """Print how a command ended, and the end of what it said if that was not well."""
        if not good:
            self.failed.append(name)
            print(said[-SHOWN:])
        print(f"{name:32}{seconds:7.1f} s  {'ok' if good else 'FAILED'}", flush=True)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Does every command end well on a device?")
    parser.add_argument("--clips", type=int, default=64, help="that are drawn, 10 or more")
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--batch", type=int, default=8, help="even, for two processes")
    parser.add_argument("--steps", type=int, default=20, help="of each run")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return parser.parse_args()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as work:
        smoke = Smoke(Path(work), parse_arguments())
        smoke.run()
    sys.exit(f"failed: {', '.join(smoke.failed)}" if smoke.failed else 0)
