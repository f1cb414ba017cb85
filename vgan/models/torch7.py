"""Read Torch7's binary files (`torch.save`, `.t7`): tables, strings, tensors and modules.

The one library that reads them, `torchfile` (last release 2016), trusts the file: a stride read
from it may point anywhere in memory. Here every length is held against what is left of the file,
every tensor against its storage; no code in the file is run (functions are skipped), and an error
says at which byte reading stopped.
"""

import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vgan.errors import DataError

# Kinds of object, as numbered in torch7's File.lua.
_NIL, _NUMBER, _STRING, _TABLE, _TORCH, _BOOLEAN, _FUNCTION = range(7)
_CLOSURES = (7, 8)
_DEEPEST = 100  # the released generator nests about 20 deep, tables and modules counted
_MOST_DIMENSIONS = 32

_ELEMENTS = {
    "Byte": "<u1", "Char": "<i1", "Short": "<i2", "Int": "<i4", "Long": "<i8", "Half": "<f2",
    "Float": "<f4", "Double": "<f8",
}  # fmt: skip
_ELEMENT_OF = {f"torch.{cuda}{name}": code for name, code in _ELEMENTS.items()
               for cuda in ("", "Cuda")} | {"torch.Cuda": "<f4"}  # fmt: skip


class Torch7Error(DataError):
    """A .t7 file cannot be read; the message names the file and the byte."""


@dataclass(eq=False)
class TorchObject:
    """An object of a Torch class other than tensors and storages.

    Args:
        name: of the class, such as `nn.Sequential`.
        fields: by name.
    """

    name: str
    fields: dict[Any, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class SkippedFunction:
    """Stands for a Lua function, whose code is not read."""


def read_torch7(path: Path) -> Any:
    """Read the object in a file.

    Args:
        path: as written by `torch.save(path, object)`, in the binary format of a 64-bit machine.

    Returns:
        None, a float, bool or str, a dict for a table, an array for a tensor or storage, or a
        `TorchObject`. Objects that the file shares are shared.

    Raises:
        Torch7Error: the file is missing, truncated, nested too deeply, or no such file.
    """
    try:
        with path.open("rb") as file, _mapped(file) as data:
            return _Reader(path, data).read()
    except OSError as error:
        raise Torch7Error(f"{path}: cannot be read ({error.strerror or error})") from None


@contextmanager
def _mapped(file: Any) -> Iterator[memoryview]:
    try:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except ValueError:
        raise Torch7Error(f"{file.name}: is empty (0 bytes)") from None
    with mapped, memoryview(mapped) as view:
        yield view


class _Reader:
    """Reads one file from its start; arrays are copies, so the file can be closed."""

    def __init__(self, path: Path, data: memoryview) -> None:
        self.path, self.data = path, data
        self.at = 0
        self.depth = 0
        self.objects: dict[int, Any] = {}

    def fail(self, why: str) -> Torch7Error:
        return Torch7Error(f"{self.path}: at byte {self.at}: {why}")

    def take(self, count: int, what: str) -> memoryview:
        left = len(self.data) - self.at
        if not 0 <= count <= left:
            raise self.fail(
                f"{what} of {count} bytes, and {left} are left: the file is truncated, or no "
                "Torch7 file in binary format"
            )
        self.at += count
        return self.data[self.at - count : self.at]

    def whole(self, what: str) -> int:
        return int(struct.unpack("<i", self.take(4, what))[0])

    def longs(self, count: int, what: str) -> list[int]:
        return list(struct.unpack(f"<{count}q", self.take(8 * count, what)))

    def string(self, what: str) -> str:
        return bytes(self.take(self.whole(what), what)).decode("latin-1")

    def read(self) -> Any:
        """Read one object, with all that it holds."""
        kind = self.whole("an object")
        if kind == _NIL:
            return None
        if kind == _NUMBER:
            return struct.unpack("<d", self.take(8, "a number"))[0]
        if kind == _BOOLEAN:
            return self.whole("a boolean") == 1
        if kind == _STRING:
            return self.string("a string")
        if kind not in (_TABLE, _TORCH, _FUNCTION, *_CLOSURES):
            self.at -= 4
            raise self.fail(f"no kind of object has the number {kind}: not a Torch7 binary file")
        if self.depth == _DEEPEST:
            raise self.fail(f"objects are nested more than {_DEEPEST} deep")
        self.depth += 1
        found = self._function() if kind == _FUNCTION else self._referenced(kind)
        self.depth -= 1
        return found

    def _referenced(self, kind: int) -> Any:
        """Read what carries a number, or find it where it has been read already."""
        number = self.whole("an object's number")
        if number in self.objects:
            return self.objects[number]
        if kind == _TABLE:
            return self._table(self.objects.setdefault(number, {}))
        if kind in _CLOSURES:
            self.objects[number] = SkippedFunction()
            return self._function()
        return self._torch(number)

    def _function(self) -> SkippedFunction:
        self.string("a function's code")
        self.read()  # what it had closed over
        return SkippedFunction()

    def _table(self, table: dict[Any, Any]) -> dict[Any, Any]:
        size = self.whole("a table's size")
        if not 0 <= size <= len(self.data) - self.at:
            raise self.fail(f"a table of {size} entries, more than the file can hold")
        for _ in range(size):
            key = self.read()
            if not isinstance(key, str | float | bool):
                raise self.fail("a table's key is neither a string, a number nor a boolean")
            table[key] = self.read()
        return table

    def _torch(self, number: int) -> Any:
        """Read an object of a Torch class."""
        name = self.string("a version")
        if name.startswith("V "):  # files from before classes had versions lack it
            name = self.string("a class name")
        if name.endswith("Storage") and name.removesuffix("Storage") in _ELEMENT_OF:
            found: Any = self._storage(np.dtype(_ELEMENT_OF[name.removesuffix("Storage")]))
        elif name.endswith("Tensor") and name.removesuffix("Tensor") in _ELEMENT_OF:
            found = self._tensor()
        else:
            found = self.objects[number] = TorchObject(name)
            fields = self.read()
            if not isinstance(fields, dict):
                raise self.fail(f"class {name!r} does not keep its fields in a table")
            found.fields.update(fields)
        self.objects[number] = found
        return found

    def _storage(self, dtype: "np.dtype[Any]") -> NDArray[Any]:
        [size] = self.longs(1, "a storage's size")
        return np.frombuffer(self.take(size * dtype.itemsize, "a storage"), dtype).copy()

    def _tensor(self) -> NDArray[Any]:
        dimensions = self.whole("a tensor's number of dimensions")
        if not 0 <= dimensions <= _MOST_DIMENSIONS:
            raise self.fail(f"a tensor of {dimensions} dimensions")
        sizes = self.longs(dimensions, "a tensor's sizes")
        strides = self.longs(dimensions, "a tensor's strides")
        first = self.longs(1, "a tensor's offset")[0] - 1  # written from 1
        storage = self.read()
        if storage is None or dimensions == 0:
            return np.empty(0, np.float32 if storage is None else storage.dtype)
        if not isinstance(storage, np.ndarray):
            raise self.fail("a tensor without a storage")
        last = first + sum((size - 1) * step for size, step in zip(sizes, strides, strict=True))
        if min(sizes) < 1 or min(strides) < 0 or first < 0 or last >= len(storage):
            raise self.fail(
                f"a tensor of sizes {sizes}, strides {strides} and offset {first} reaches out of "
                f"its storage of {len(storage)}"
            )
        steps = [step * storage.itemsize for step in strides]
        return np.lib.stride_tricks.as_strided(storage[first:], sizes, steps, writeable=False)
