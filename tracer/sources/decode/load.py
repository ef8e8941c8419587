"""Big-endian numbers from memory, as single unaligned loads.

They are numba intrinsics: a load is an instruction in its caller, where a small function would be
a compilation of its own and be compiled again inside each of its callers (10 seconds in all). They
test no bounds: the caller has compared the offset with the cursor's `captured_end`. The bytes are
given by their address, for an array argument is counted in and out of every call.
"""

from collections.abc import Callable
from typing import Any, cast

import numba
from llvmlite import ir
from numba.extending import intrinsic

Bytes = int  # the address of the first byte
Load = Callable[[Bytes, int], int]

_I64 = ir.IntType(64)


def _loader(result: Any, *widths: int, swap: bool = True) -> Load:
    # A number made of pieces of the given widths in bits, which stand one after the other.
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = builder.inttoptr(builder.add(*args), ir.IntType(8).as_pointer())
        value = ir.Constant(_I64, 0)
        for width in widths:
            kind = ir.IntType(width)
            piece = builder.load(builder.bitcast(pointer, kind.as_pointer()), align=1)
            if swap and width > 8:
                piece = builder.bswap(piece)
            piece = builder.zext(piece, _I64) if width < 64 else piece
            if width < 64:
                value = builder.shl(value, ir.Constant(_I64, width))
            value = builder.or_(value, piece)
            pointer = builder.gep(pointer, [ir.Constant(_I64, width // 8)])
        return value

    def load(typing_context: Any, base: Any, at: Any) -> Any:
        return result(numba.types.int64, numba.types.int64), codegen

    return cast(Load, intrinsic(load))


u8 = _loader(numba.types.int64, 8)
"""The byte at an offset, int64."""
be16 = _loader(numba.types.int64, 16)
"""The 16-bit number at an offset, int64."""
be32 = _loader(numba.types.int64, 32)
"""The 32-bit number at an offset, int64 and never negative."""
be48 = _loader(numba.types.uint64, 16, 32)
"""The MAC at an offset, uint64."""
be64 = _loader(numba.types.uint64, 64)
"""Half an IPv6 address at an offset, uint64."""
le64 = _loader(numba.types.uint64, 64, swap=False)
"""Eight bytes at an offset as a little-endian uint64."""


@intrinsic
def prefetch(typing_context: Any, base: Any, at: Any) -> Any:
    """Ask for the cache line at an offset ahead of its use; harmless wherever it points."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        byte = ir.IntType(8).as_pointer()
        flag = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, flag, flag, flag])
        function = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
        pointer = builder.inttoptr(builder.add(*args), byte)
        builder.call(function, [pointer, flag(0), flag(3), flag(1)])  # read, keep, data
        return context.get_dummy_value()

    return numba.types.none(numba.types.int64, numba.types.int64), codegen
