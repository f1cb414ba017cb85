"""Clips per second of one training step: this package against a plain eager port (`eager_port.py`).

    python benchmarks/train_step.py                        # a laptop's size, about a minute
    python benchmarks/train_step.py --width 64 --batch 64  # the paper's, for a GPU
    python benchmarks/train_step.py --busy 2               # beside programs that take two cores

Each side is a process of its own, set up as its users would: ours as `vgan train` does. They take
turns, and the ratio is the median over pairs, so that a machine that slows down slows both.
"""

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from eager_port import PortedTrainer
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from vgan.models.measuring import drain
from vgan.threads import wait_briefly
from vgan.training.config import TrainConfig, resolve_config
from vgan.training.presets import DTYPES, GENERATOR_STEPS
from vgan.training.process import arithmetic
from vgan.training.trainers import build_trainer
from vgan.training.tuning import cache_file, choose

SIDES = ("port", "ours")
CLIP = (3, 32, 64, 64)


def peak_mib(device: torch.device) -> float:
    """Return the most memory this process has had, MiB: of the device, on a CPU of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss would count the process that started this one
        return float(status.read_text().partition("VmHWM:")[2].split()[0]) / 2**10
    scale = 2**20 if sys.platform == "darwin" else 2**10  # bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale


def settings(args: argparse.Namespace, device: torch.device) -> TrainConfig:
    """Return our side's settings."""
    return resolve_config(
        "two-stream", "paper", "paper",
        device=device.type, width=args.width, batch=args.batch, dtype=args.dtype,
        generator_step=args.generator_step, compile=args.compile,
    )  # fmt: skip


@contextmanager
def training(
    args: argparse.Namespace, device: torch.device
) -> Iterator[Callable[[Tensor], object]]:
    """Set one side's process up and yield its step.

    On a GPU the forms are kept for the next process, as `vgan train` does: to try out the kernels
    of all takes minutes there.
    """
    torch.manual_seed(0)
    if args.side == "port":
        yield PortedTrainer(args.width, device).step
        return
    config = settings(args, device)
    with arithmetic(device):
        cache = cache_file() if device.type == "cuda" else None
        choice = choose(build_trainer(config, None, device), config, args.batch, device, cache)
        yield build_trainer(config, None, device, choice=choice).step


def operations(args: argparse.Namespace, device: torch.device) -> float:
    """Count the floating-point operations of one side's step, a clip: they are those of any batch.

    Not of the compiled step, nor of the chosen forms, which pad and gather: of what they work out.
    """
    trainer = (
        PortedTrainer(args.width, device)
        if args.side == "port"
        else build_trainer(replace(settings(args, device), compile=False), None, device)
    )
    with FlopCounterMode(display=False) as counter:
        trainer.step(torch.zeros(2, *CLIP, device=device))
    return float(counter.get_total_flops()) / 2


def take_part(args: argparse.Namespace, device: torch.device) -> None:
    """Be one side: say its operations a clip and what setting up took, then take turns.

    There is a turn for every line that comes in; the answer is seconds per step and peak MiB.
    """
    counted = operations(args, device)
    real = torch.rand(args.batch, *CLIP, device=device) * 2 - 1
    start = time.perf_counter()
    with training(args, device) as step:
        print(counted, time.perf_counter() - start, flush=True)
        for _ in sys.stdin:
            drain(device)
            if device.type == "cuda":  # a turn's own, without what choosing kernels takes before it
                torch.cuda.reset_peak_memory_stats(device)
            start = time.perf_counter()
            for _ in range(args.steps):
                step(real)
            drain(device)
            print((time.perf_counter() - start) / args.steps, peak_mib(device), flush=True)


@dataclass(frozen=True)
class Opponent:
    """A side in a process of its own.

    Args:
        operations: of its step, a clip.
        setting_up: seconds; ours measures the forms of its layers in them.
        turn: takes one; returns seconds per step, and the peak memory in MiB.
    """

    operations: float
    setting_up: float
    turn: Callable[[], tuple[float, float]]


@contextmanager
def opponent(side: str) -> Iterator[Opponent]:
    """Start a side and yield it."""
    command = [sys.executable, str(Path(__file__).resolve()), *sys.argv[1:], "--side", side]
    environment = dict(os.environ)
    if side == "ours":
        wait_briefly(environment)
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True, env=environment) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        questions, answers = process.stdin, process.stdout

        def answer() -> list[float]:
            said = answers.readline().split()
            if not said:
                raise SystemExit(f"the side `{side}` ended early")
            return [float(number) for number in said]

        def turn() -> tuple[float, float]:
            questions.write("go\n")
            questions.flush()
            seconds, mebibytes = answer()
            return seconds, mebibytes

        counted, setting_up = answer()
        yield Opponent(counted, setting_up, turn)
        questions.close()


@contextmanager
def busy() -> Iterator[None]:
    """Keep a core busy meanwhile."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            yield
        finally:
            process.kill()


def run_pairs(args: argparse.Namespace) -> None:
    """Let the two take turns, or ours alone, and print the table."""
    sides = ("ours",) if args.ours_only else SIDES
    times: dict[str, list[float]] = {side: [] for side in sides}
    memory = dict.fromkeys(sides, 0.0)
    with ExitStack() as stack:
        for _ in range(args.busy):
            stack.enter_context(busy())
        opponents = {side: stack.enter_context(opponent(side)) for side in sides}
        for one in opponents.values():
            one.turn()  # choose kernels, allocate
        for _ in range(args.pairs):
            for side, one in opponents.items():
                seconds, memory[side] = one.turn()
                times[side].append(seconds)
    headers = ("clips/s", "s/step", "min/1,000", "GFLOP/clip", "TFLOP/s", "peak MiB")
    print(f"{'':6}" + "".join(f"{header:>12}" for header in headers))
    for side, taken in times.items():
        typical, counted = statistics.median(taken), opponents[side].operations
        clips = args.batch / typical
        print(
            f"{side:6}{clips:12.1f}{typical:12.3f}{1000 * typical / 60:12.1f}{counted / 1e9:12.2f}"
            f"{clips * counted / 1e12:12.3f}{memory[side]:12.0f}"
        )
    print(f"forms of ours measured in {opponents['ours'].setting_up:.1f} s")
    if args.ours_only:
        return
    ratios = [port / ours for port, ours in zip(times["port"], times["ours"], strict=True)]
    print(
        f"ours / port: {statistics.median(ratios):.2f} times the clips per second "
        f"(median of {args.pairs} pairs, {min(ratios):.2f} to {max(ratios):.2f})"
    )


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Clips per second of one training step.")
    parser.add_argument("--width", type=int, default=16, help="channels; the paper's is 64")
    parser.add_argument("--batch", type=int, default=8, help="clips per step; the paper's is 64")
    parser.add_argument("--pairs", type=int, default=5, help="turns of each")
    parser.add_argument("--steps", type=int, default=2, help="steps per turn")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", choices=DTYPES, help="ours; the fastest of the device if left")
    parser.add_argument(
        "--generator-step", choices=GENERATOR_STEPS, default="simultaneous", help="ours"
    )
    parser.add_argument("--compile", action="store_true", help="ours")
    parser.add_argument("--busy", type=int, default=0, help="other programs, a core each")
    parser.add_argument("--ours-only", action="store_true", help="not the port, which takes longer")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Run the benchmark."""
    args = parse_arguments()
    device = torch.device(args.device)
    if args.side:
        take_part(args, device)
        return
    name = f"{platform.processor() or 'cpu'} {torch.backends.cpu.get_cpu_capability()}"
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    print(f"torch {torch.__version__}, {name}, {torch.get_num_threads()} threads")
    print(f"two-stream, width {args.width}, batch {args.batch}, 32 frames of 64x64")
    run_pairs(args)


if __name__ == "__main__":
    main()
