"""The errors a user of `vgan` can cause; `vgan.cli` turns each into one line and an exit code."""

import re

# What torch says when a device fails. Not told by their classes: loading weights wraps these errors
# in others, and this module, which every command imports, is to import no torch.
_NO_MEMORY = re.compile("out of memory|can't allocate memory")
_OF_THE_MACHINE = "can't allocate memory"
_BROKEN = re.compile(r"(?:CUDA|cuDNN) error: [^\n\\]*")


class VganError(Exception):
    """Something failed; the message is one line that says what to do. Exit code 1."""

    exit_code = 1


class UsageError(VganError):
    """The command was asked for something that cannot be. Exit code 2."""

    exit_code = 2


class DataError(VganError):
    """A video, clip, manifest or shard cannot be used; the message names the file."""


class CheckpointError(VganError):
    """A run folder or checkpoint is missing, damaged, or belongs to another model."""


class TrainingError(VganError):
    """Training diverged or collapsed; the message names the last good checkpoint."""


class DeviceError(VganError):
    """A device has too little memory, or has failed; what was read or asked for is sound."""


def failure_of_device(error: Exception) -> str | None:
    """Return what is wrong with a device, in words; None where the error is about something else.

    Args:
        error: a RuntimeError of torch's, as a rule.
    """
    said = str(error)
    if _NO_MEMORY.search(said):
        where = "this machine" if _OF_THE_MACHINE in said else "the GPU"
        return f"not enough memory on {where}, which other programs may use too"
    broken = _BROKEN.search(said)
    return f"the GPU failed ({broken[0]})" if broken else None
