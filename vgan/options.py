"""Click options that stand under headings in a command's help, and those that several share."""

import math
import re
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from vgan.errors import UsageError

if TYPE_CHECKING:
    import torch

Folder = click.Path(path_type=Path)


class _Number(click.types.FloatParamType):
    """A float, or a quotient such as `1/8`, that can be compared.

    `nan` and `inf` are floats to Python, and pass every limit.
    """

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number, or fail with the option's name."""
        with suppress(ValueError, ZeroDivisionError):  # what is no quotient is named below
            value = float(Fraction(value)) if "/" in str(value) else value
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a number that can be used.", param, ctx)
        return number


Number = _Number()

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class GroupedCommand(click.Command):
    """A command whose help shows its options by heading, in the order they were declared."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one list of options per heading."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if isinstance(parameter, click.Option) and record is not None:
                heading = getattr(parameter, "heading", "Options")
                groups.setdefault(heading, []).append(record)
        last = groups.pop("Options", [])
        for heading, records in [*groups.items(), ("Options", last)]:
            with formatter.section(heading):
                formatter.write_dl(records)


def options(heading: str, *several: Callable[[Any], Any]) -> Callable[[Decorated], Decorated]:
    """Put several `option(...)` under one heading; those without one come last, as `Options`."""

    def decorate(command: Decorated) -> Decorated:
        for option in reversed(several):
            command = option(command)
            command.__click_params__[-1].heading = heading  # type: ignore[attr-defined]
        return command

    return decorate


def option(*names: str, **settings: Any) -> Callable[[Decorated], Decorated]:
    """Declare an option; defaults are shown in its help."""
    return click.option(*names, show_default=True, **settings)


seed_option = option("--seed", type=click.IntRange(0), default=0, help="Of everything random.")


def _device_name(context: click.Context, parameter: click.Parameter, name: str) -> str:
    """Check a device's name; whether it is there is seen when it is needed, and takes torch."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        raise click.BadParameter(f"no device called {name!r}; there are cpu and cuda")
    return name


device_option = option(
    "--device",
    metavar="cpu|cuda",
    default="auto",
    callback=_device_name,
    help="Where the network runs; auto takes a GPU when there is one.",
)


def choose_device(name: str) -> "torch.device":
    """Return the device of that name: `cpu`, `cuda` or `cuda:N`, or `auto`, a GPU if there is one.

    Raises:
        UsageError: there is no such device here.
    """
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: torch finds no GPU on this machine; use --device cpu")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"--device {name}: this machine has {torch.cuda.device_count()} GPUs")
    return device
