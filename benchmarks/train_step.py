"""Clips per second of one training step: this package against a plain eager port.

The port does what a careful line-by-line translation of the authors' main.lua
(https://github.com/cvondrick/videogan at 88c0c4d) into PyTorch does: float32, default memory
layout, a head per stream, `squeeze`d convolutions instead of matrix products, the background
repeated over time, the fakes judged again for the generator with the discriminator's gradients
computed and thrown away, Adam parameter by parameter. Same networks, same batch, same mathematics
as `--recipe paper --generator-step alternating`.

    python benchmarks/train_step.py                        # a laptop's size, about a minute
    python benchmarks/train_step.py --width 64 --batch 64  # the paper's, for a GPU

The two take turns in one process and the ratio is the median over pairs, so that a machine that
slows down slows both.
"""

import argparse
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from vgan.training.config import DTYPES, GENERATOR_STEPS, TrainConfig, resolve_config
from vgan.training.trainers import build_trainer

LATENT = 100
SIDES = ("port", "ours")


class PortedGenerator(nn.Module):
    """The two-stream generator, layer by layer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        w = width
        layers: list[nn.Module] = [nn.ConvTranspose3d(LATENT, 8 * w, (2, 4, 4))]
        still: list[nn.Module] = [nn.ConvTranspose2d(LATENT, 8 * w, 4)]
        for c in (8 * w, 4 * w, 2 * w):
            layers += [nn.BatchNorm3d(c), nn.ReLU(), nn.ConvTranspose3d(c, c // 2, 4, 2, 1)]
            still += [nn.BatchNorm2d(c), nn.ReLU(), nn.ConvTranspose2d(c, c // 2, 4, 2, 1)]
        self.trunk = nn.Sequential(*layers, nn.BatchNorm3d(w), nn.ReLU())
        self.video = nn.Sequential(nn.ConvTranspose3d(w, 3, 4, 2, 1), nn.Tanh())
        self.mask = nn.Sequential(nn.ConvTranspose3d(w, 1, 4, 2, 1), nn.Sigmoid())
        self.still = nn.Sequential(
            *still, nn.BatchNorm2d(w), nn.ReLU(), nn.ConvTranspose2d(w, 3, 4, 2, 1), nn.Tanh()
        )

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return clips (B, 3, 32, 64, 64) and masks of latents (B, 100)."""
        maps = self.trunk(z.view(-1, LATENT, 1, 1, 1))
        foreground = self.video(maps)
        mask = self.mask(maps)
        background = self.still(z.view(-1, LATENT, 1, 1)).unsqueeze(2).repeat(1, 1, 32, 1, 1)
        repeated = mask.repeat(1, 3, 1, 1, 1)
        return repeated * foreground + (1 - repeated) * background, mask


def ported_discriminator(width: int) -> nn.Sequential:
    """Return the discriminator, layer by layer."""
    layers: list[nn.Module] = [nn.Conv3d(3, width, 4, 2, 1), nn.LeakyReLU(0.2)]
    for c in (width, 2 * width, 4 * width):
        layers += [nn.Conv3d(c, 2 * c, 4, 2, 1), nn.BatchNorm3d(2 * c, eps=1e-3), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv3d(8 * width, 2, (2, 4, 4)), nn.Flatten())


class PortedTrainer:
    """The authors' training step, translated."""

    def __init__(self, width: int, device: torch.device) -> None:
        self.device = device
        self.generator = PortedGenerator(width).to(device)
        self.discriminator = ported_discriminator(width).to(device)
        for module in [*self.generator.modules(), *self.discriminator.modules()]:
            if isinstance(module, nn.modules.conv._ConvNd):
                nn.init.normal_(module.weight, 0.0, 0.01)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
        self.of_g, self.of_d = (
            torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999), foreach=False)
            for net in (self.generator, self.discriminator)
        )

    def step(self, real: Tensor) -> None:
        """One update of both networks."""
        z = torch.randn(len(real), LATENT, device=self.device)
        as_real = torch.zeros(len(real), dtype=torch.long, device=self.device)
        as_fake = torch.ones_like(as_real)
        clip, mask = self.generator(z)
        self.of_d.zero_grad()
        functional.cross_entropy(self.discriminator(real), as_real).backward()
        functional.cross_entropy(self.discriminator(clip.detach()), as_fake).backward()
        self.of_d.step()
        self.of_g.zero_grad()
        loss = functional.cross_entropy(self.discriminator(clip), as_real)
        (loss + 0.1 * mask.abs().mean()).backward()
        self.of_g.step()


def seconds(step: Callable[[Tensor], object], real: Tensor, steps: int) -> float:
    """Return seconds per step, the device's queue drained before and after."""
    synchronise(real.device)
    start = time.perf_counter()
    for _ in range(steps):
        step(real)
    synchronise(real.device)
    return (time.perf_counter() - start) / steps


def synchronise(device: torch.device) -> None:
    """Wait for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_mib(device: torch.device) -> float:
    """Return the most memory this process has had, MiB: of the device, on a CPU of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss would count the process that started this one
        return float(status.read_text().partition("VmHWM:")[2].split()[0]) / 2**10
    scale = 2**20 if sys.platform == "darwin" else 2**10  # bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale


def make_step(
    side: str, args: argparse.Namespace, device: torch.device
) -> Callable[[Tensor], object]:
    """Return one of the two steps that are compared: `port` or `ours`."""
    torch.manual_seed(0)
    return PortedTrainer(args.width, device).step if side == "port" else _ours(args, device)


def _ours(args: argparse.Namespace, device: torch.device) -> Callable[[Tensor], object]:
    config: TrainConfig = resolve_config(
        "two-stream", "paper", "paper",
        device=device.type, width=args.width, batch=args.batch, dtype=args.dtype,
        generator_step=args.generator_step,
    )  # fmt: skip
    return build_trainer(config, None, device).step


def run_memory(args: argparse.Namespace, device: torch.device, real: Tensor) -> None:
    """Train one side alone and print its peak memory: a process of its own, so none is shared."""
    step = make_step(args.only, args, device)
    seconds(step, real, 2)
    print(peak_mib(device))


def memory_of(side: str, arguments: list[str]) -> float:
    """Return the peak memory of one side, MiB, measured in a process of its own."""
    command = [sys.executable, str(Path(__file__).resolve()), *arguments, "--only", side]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def run_pairs(args: argparse.Namespace, device: torch.device, real: Tensor) -> None:
    """Let the two take turns and print the table."""
    steps = {side: make_step(side, args, device) for side in SIDES}
    for step in steps.values():
        seconds(step, real, 1)  # choose kernels, allocate
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(args.pairs):
        for name, step in steps.items():
            times[name].append(seconds(step, real, args.steps))
    ratios = [port / ours for port, ours in zip(times["port"], times["ours"], strict=True)]
    print(f"{'':6}{'clips/s':>10}{'s/step':>10}{'peak MiB':>10}")
    for name, taken in times.items():
        typical = statistics.median(taken)
        memory = memory_of(name, sys.argv[1:])
        print(f"{name:6}{args.batch / typical:10.1f}{typical:10.3f}{memory:10.0f}")
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
    parser.add_argument("--only", choices=SIDES, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Run the benchmark."""
    args = parse_arguments()
    device = torch.device(args.device)
    real = torch.rand(args.batch, 3, 32, 64, 64, device=device) * 2 - 1
    if args.only:
        run_memory(args, device, real)
        return
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor()
    print(f"torch {torch.__version__}, {name or device.type}, {torch.get_num_threads()} threads")
    print(f"two-stream, width {args.width}, batch {args.batch}, 32 frames of 64x64")
    run_pairs(args, device, real)


if __name__ == "__main__":
    main()
