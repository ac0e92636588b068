"""Ask for memory before it is needed, in compiled loops over scattered rows.

A row of a table larger than the cache is about 100 ns away. A processor waits for a few such rows at once only, since
it looks a few hundred operations ahead; told which rows come next, it fetches as many as its memory delivers. With a
million rows that makes a row-wise step two to four times as fast.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

LINE = 64
"""Bytes that come at once."""
AHEAD = 32
"""Rows ahead of the one that is worked on."""


@intrinsic
def _fetch(context: Any, address: Any) -> Any:
    """The processor's own instruction: a hint that changes nothing, whatever the address."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        number = ir.IntType(32)
        pointer = builder.inttoptr(args[0], ir.IntType(8).as_pointer())
        called = ir.FunctionType(ir.VoidType(), [pointer.type, number, number, number])
        hint = cgutils.get_or_insert_function(builder.module, called, "llvm.prefetch.p0")
        builder.call(hint, [pointer, number(0), number(3), number(1)])  # to read, into the nearest cache, data
        return context.get_dummy_value()

    return types.void(types.intp), generate


@njit(cache=True, nogil=True)
def fetch(array, row):  # type: ignore[no-untyped-def]
    """Ask for ``array[row]`` of a contiguous array."""
    size = array.strides[0]
    first = array.ctypes.data + row * size
    for at in range(0, size, LINE):
        _fetch(first + at)
