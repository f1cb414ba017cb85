"""Hold a device's fast arithmetic against plain float32, and measure what it could reach.

For each network, logits or clips and the gradients of its weights are compared between float32 and
bfloat16 under autocast, channels-last as in training; with --compile, of networks with compiled
batch norms and activations too. Some releases of cuDNN were wrong without a word
(docs/training.md): the exit code is 1 where the difference is beyond the tolerance. Before that,
with --product: the device's matrix-product rate, and each network's forward and backward pass apart
as a share of it. Kernels are chosen as in training.

    python benchmarks/gpu/check.py                                    # the paper's size
    python benchmarks/gpu/check.py --device cpu --width 8 --batch 2   # the same checks anywhere
"""

import argparse
import copy
import sys
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from vgan.models.discriminator import Discriminator
from vgan.models.generator import TwoStreamGenerator
from vgan.models.layers import lay_out
from vgan.models.measuring import drain, exact_float32
from vgan.training import players
from vgan.training.process import arithmetic
from vgan.training.steps import autocast

# Relative to the float32 result's norm. bfloat16 keeps 8 bits (0.4 %), batch norm over a batch of
# near-equal values magnifies that; a wrong kernel is off by more than half.
TOLERANCE = {"output": 0.05, "gradient": 0.25}
CLIP = (3, 32, 64, 64)
WARM_UPS, CALLS = 5, 30  # the first calls choose kernels, and clocks rise


def networks(width: int, device: torch.device) -> dict[str, tuple[nn.Module, tuple[int, ...]]]:
    """Return each network with the shape of one of its inputs; weights spread enough to matter."""
    torch.manual_seed(0)
    built: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
        "generator": (TwoStreamGenerator(width), (100,)),
        "discriminator": (Discriminator(width), CLIP),
    }
    for network, _ in built.values():
        for weight in network.parameters():
            if weight.ndim > 2:
                nn.init.kaiming_normal_(weight)
        lay_out(network.to(device), channels_last=True)
    return built


def results(
    network: nn.Module, given: Tensor, dtype: torch.dtype, pull: Tensor
) -> dict[str, Tensor]:
    """Return a network's output, and its weights' gradients as one vector."""
    network.zero_grad()
    with autocast(given.device, dtype):
        output: Tensor = network(given).float()
    (output * pull).sum().backward()  # type: ignore[no-untyped-call]
    gradients = [weight.grad for weight in network.parameters() if weight.grad is not None]
    return {
        "output": output.detach().flatten(),
        "gradient": torch.cat([gradient.flatten() for gradient in gradients]),
    }


def differences(
    network: nn.Module, other: nn.Module, given: Tensor, dtype: torch.dtype
) -> dict[str, float]:
    """Return how far `other` in `dtype` is from `network` in float32, relative to the latter."""
    with exact_float32():
        with torch.no_grad():
            pull = torch.randn_like(network(given))
        exact = results(network, given, torch.float32, pull)
    plain = {name: values.clone() for name, values in exact.items()}
    fast = results(other, given, dtype, pull)
    return {name: float((fast[name] - plain[name]).norm() / plain[name].norm()) for name in plain}


def check(width: int, batch: int, device: torch.device, compiled: bool) -> bool:
    """Compare and print; return whether all is within the tolerance."""
    good = True
    for name, (network, shape) in networks(width, device).items():
        given = torch.randn(batch, *shape, device=device)
        ways = {"bfloat16": (network, torch.bfloat16)}
        if compiled:
            fused = copy.deepcopy(network)
            players.compile_norms(fused)
            ways |= {"compiled float32": (fused, torch.float32)}
            ways |= {"compiled bfloat16": (fused, torch.bfloat16)}
        for way, (other, dtype) in ways.items():
            for what, error in differences(network, other, given, dtype).items():
                within = error <= TOLERANCE[what]
                good &= within
                print(f"{name:14}{way:18}{what:9}{error:8.4f}  {'ok' if within else 'TOO FAR'}")
    return good


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Return seconds per call, the device's queue drained before and after."""
    for _ in range(WARM_UPS):
        work()
    drain(device)
    start = time.perf_counter()
    for _ in range(CALLS):
        work()
    drain(device)
    return (time.perf_counter() - start) / CALLS


def there_and_back(network: nn.Module, given: Tensor) -> None:
    """Go forward and backward through a network as a step does, with no gradients from before."""
    network.zero_grad()
    with autocast(given.device, torch.bfloat16):
        output = network(given)
    output.float().sum().backward()


def operations(network: nn.Module, given: Tensor) -> int:
    """Count the floating-point operations of a forward and a backward pass."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        network(given).sum().backward()
    return int(counter.get_total_flops())


def measure(width: int, batch: int, device: torch.device, size: int) -> None:
    """Print the rate of a large matrix product, and each network's beside it."""
    left = torch.randn(size, size, device=device, dtype=torch.bfloat16)
    peak = 2 * size**3 / seconds(lambda: left @ left, device)
    print(f"matrix product, bfloat16, {size}: {peak / 1e12:.2f} TFLOP/s", flush=True)
    for name, (network, shape) in networks(width, device).items():
        given = torch.randn(batch, *shape, device=device)
        taken = seconds(partial(there_and_back, network, given), device)
        rate = operations(network, given) / taken
        print(
            f"{name:14}forward and backward {1e3 * taken:8.1f} ms, {rate / 1e12:.2f} TFLOP/s, "
            f"{rate / peak:.0%} of the product's"
        )


def main() -> None:
    """Run the measurements, then the checks."""
    parser = argparse.ArgumentParser(description="Check fast arithmetic against float32.")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--compile", action="store_true", help="compiled batch norms too")
    parser.add_argument("--product", type=int, metavar="N", help="side of the matrix product")
    args = parser.parse_args()
    device = torch.device(args.device)
    with arithmetic(device):
        if args.product:  # first: what every speed is set beside, should time run out
            measure(args.width, args.batch, device, args.product)
        good = check(args.width, args.batch, device, args.compile)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
