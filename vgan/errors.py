"""The errors a user of `vgan` can cause; `vgan.cli` turns each into one line and an exit code."""


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
