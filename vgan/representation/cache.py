"""Arrays that are computed once and kept as .npy files."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vgan.data.files import write_atomic
from vgan.errors import DataError


def cached(path: Path, make: Callable[[], NDArray[Any]]) -> NDArray[Any]:
    """Return the array in a file, memory-mapped; made and written where there is none.

    Raises:
        DataError: the file is damaged, or cannot be written.
    """
    if not path.is_file():
        buffer = io.BytesIO()
        np.save(buffer, make())
        write_atomic(path, buffer.getvalue())
    try:
        found: NDArray[Any] = np.load(path, mmap_mode="r")
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: damaged ({error}); delete it to compute it again") from None
    return found
