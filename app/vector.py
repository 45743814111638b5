"""Loads and stores of many bytes at once, for kernels that read or copy text.

numba compiles a loop over bytes into one byte at a time; these are what a C compiler would be asked for.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from app.columns import Bytes
from app.jit import inlined

WIDTH = 32
"""How many bytes ``text_marks`` looks at."""
CHUNK = 16
"""How many bytes ``copy`` copies at a time."""

_BYTE = ir.IntType(8)


@inlined
def text_marks(data: Bytes, at: int) -> int:
    """Bit k is set if ``data[at + k]`` is a comma, a quote, LF, CR, NUL, or not ASCII, for k in 0..31; all 32 bytes must be there."""
    marks: int = _text_marks(data, at)
    return marks


@inlined
def lowest_bit(bits: int) -> int:
    """The position of the lowest bit that is set; ``bits`` is not 0."""
    position: int = _lowest_bit(bits)
    return position


@inlined
def copy(data: Bytes, at: int, length: int, out: Bytes, to: int) -> None:
    """Copy ``data[at:at + length]`` to ``out[to:to + length]``; CHUNK bytes of ``out`` behind it must be there and are spoilt."""
    done = 0
    while done < length and at + done + CHUNK <= data.size:
        _copy_chunk(data, at + done, out, to + done)
        done += CHUNK
    while done < length:
        out[to + done] = data[at + done]
        done += 1


def _pointer(context: Any, builder: Any, kind: Any, array: Any, at: Any, width: int) -> Any:
    data = context.make_array(kind)(context, builder, value=array).data
    return builder.bitcast(builder.gep(data, [at]), ir.VectorType(_BYTE, width).as_pointer())


def _marks_code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    data, at = arguments
    vector = ir.VectorType(_BYTE, WIDTH)
    loaded = builder.load(_pointer(context, builder, signature.args[0], data, at, WIDTH), align=1)
    found = builder.icmp_signed("<", loaded, ir.Constant(vector, [0] * WIDTH))
    for byte in b',"\n\r\0':
        found = builder.or_(found, builder.icmp_unsigned("==", loaded, ir.Constant(vector, [byte] * WIDTH)))
    return builder.zext(builder.bitcast(found, ir.IntType(WIDTH)), ir.IntType(64))


def _chunk_code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    data, at, out, to = arguments
    loaded = builder.load(_pointer(context, builder, signature.args[0], data, at, CHUNK), align=1)
    builder.store(loaded, _pointer(context, builder, signature.args[2], out, to, CHUNK), align=1)
    return context.get_dummy_value()


def _lowest_bit_code(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
    return builder.cttz(arguments[0], cgutils.true_bit)


@intrinsic
def _marks_of(_typing: Any, data: Any, _at: Any) -> Any:
    return types.uint64(data, types.int64), _marks_code


@intrinsic
def _chunk_of(_typing: Any, data: Any, _at: Any, out: Any, _to: Any) -> Any:
    return types.void(data, types.int64, out, types.int64), _chunk_code


@intrinsic
def _bit_of(_typing: Any, _bits: Any) -> Any:
    return types.int64(types.uint64), _lowest_bit_code


# numba reads the functions above as it compiles a caller; to a type checker they are anything.
_text_marks: Any = _marks_of
_copy_chunk: Any = _chunk_of
_lowest_bit: Any = _bit_of
