"""The `vgan` command: draw or cut clips, train a generator, generate with it, measure it.

Its commands stand in `vgan.commands`, one module per part of the work. Nothing heavy is imported
before a command needs it, so that help is instant. Every error a user can cause becomes one line
and an exit code in `main`, and only there.
"""

import logging
import sys
from collections.abc import Sequence
from importlib.metadata import distributions

import click

from vgan.commands import authors, clips, collect, figures, future, represent, runs
from vgan.data.manifest import ManifestError
from vgan.errors import UsageError, VganError, failure_of_device
from vgan.signals import sigterm_as_ctrl_c
from vgan.threads import wait_briefly

EXIT_INTERRUPTED = 130  # 128 + SIGINT, as a shell has it
# Modules of the extra `train`; `dask` and `flickr` are asked for, and named, by options.
_OF_TRAIN = ("torch", "cv2", "sklearn", "tensorboard")
# A checkout can be run without having been installed.
VERSION = next(
    (found.version for found in distributions(name="vgan-eval")), "unknown (not installed)"
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="vgan")
def cli() -> None:
    """Train the generators of 'Generating Videos with Scene Dynamics' and generate clips."""


for room in (authors, clips, collect, runs, future, figures, represent):
    for command in room.COMMANDS:
        cli.add_command(command)


class _Messages(logging.Handler):
    """Show the program's messages above its progress bars."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one message to stderr."""
        from tqdm import tqdm

        prefix = "warning: " if record.levelno >= logging.WARNING else ""
        tqdm.write(prefix + record.getMessage(), file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `vgan`; return its exit code: 0, 1 failed, 2 wrong usage, 130 interrupted."""
    wait_briefly()
    code, failure = _run(arguments)
    # Now that the error is gone, so is the progress bar that it left open; the failure comes last.
    if failure is not None:
        click.echo(f"vgan: {failure}", err=True)
    return code


def _run(arguments: Sequence[str] | None) -> tuple[int, str | None]:
    """Run `vgan`; return its exit code, and what it failed for where that has not been said."""
    handler = _Messages()
    logger = logging.getLogger("vgan")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        with sigterm_as_ctrl_c():
            cli.main(arguments, prog_name="vgan", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code, None
    except (click.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED, "interrupted; run the same command again to go on"
    except VganError as error:
        return error.exit_code, str(error)
    except (ManifestError, OSError) as error:
        return VganError.exit_code, str(error)
    except ModuleNotFoundError as error:
        if error.name not in _OF_TRAIN:
            raise
        needed = f"needs {error.name}: python -m pip install 'vgan-eval[train]'"
        return UsageError.exit_code, needed
    except RuntimeError as error:
        if failure := failure_of_device(error):
            return VganError.exit_code, failure
        raise
    finally:
        logger.removeHandler(handler)
    return 0, None


if __name__ == "__main__":
    sys.exit(main())
