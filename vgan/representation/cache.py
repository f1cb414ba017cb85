"""Arrays that are computed once and kept as .npy files."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vgan.data.files import write_atomic
from vgan.errors import DataError


def cached(path: Path, make: Callable[[], NDArray[Any]], *, mapped: bool = True) -> NDArray[Any]:
    """Return the array in a file; made and written where there is none.

    Args:
        path: the .npy file.
        make: computes the array.
        mapped: leave the array on disk. The file is then open for as long as the array is used,
            so where there are thousands of small ones, read them whole instead.

    Raises:
        DataError: the file is damaged, or cannot be read or written.
    """
    if not path.is_file():
        buffer = io.BytesIO()
        np.save(buffer, make())
        write_atomic(path, buffer.getvalue())
    try:
        found: NDArray[Any] = np.load(path, mmap_mode="r" if mapped else None)
    except (EOFError, ValueError) as error:
        raise DataError(f"{path}: damaged ({error}); delete it to compute it again") from None
    except OSError as error:  # too many open files, say: nothing is wrong with this one
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None
    return found
