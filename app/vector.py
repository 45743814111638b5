"""Loads and stores of many bytes at once, for kernels that read or copy text.

numba compiles a loop over bytes into one byte at a time; these are what a C compiler would be asked for.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
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

ZEROS = 0x3030303030303030
"""Eight ASCII zeros."""

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


@inlined
def word_at(data: Bytes, at: int) -> np.uint64:
    """The eight bytes from ``at`` as one word, the first byte lowest; all must be there."""
    word: np.uint64 = _word_at(data, at)
    return word


@inlined
def are_digits(word: np.uint64) -> bool:
    """Whether each of eight bytes is 0 to 9 (an ASCII digit is, once 48 is taken from it by ^ ZEROS)."""
    return not bool((((word & np.uint64(0x7F7F7F7F7F7F7F7F)) + np.uint64(0x7676767676767676)) | word) & np.uint64(0x8080808080808080))


@inlined
def weighted_sum(low: np.uint64, high: np.uint64, weights: npt.NDArray[np.int16], row: int) -> int:
    """The sum of the sixteen bytes of two words, each times its weight: ``weights[row, 0:8]`` for ``low``, ``[8:16]`` for ``high``."""
    total: int = _weighted_sum(low, high, weights, row)
    return total


@inlined
def weighted_tens(low: np.uint64, high: np.uint64, weights: npt.NDArray[np.int16], row: int) -> int:
    """The same of the products' tens; no product is below 0 or above 99."""
    total: int = _weighted_tens(low, high, weights, row)
    return total


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


_LANE = ir.IntType(16)
_LANES = 16


def _word_code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    data = context.make_array(signature.args[0])(context, builder, value=arguments[0]).data
    address = builder.bitcast(builder.gep(data, [arguments[1]]), ir.IntType(64).as_pointer())
    return builder.load(address, align=1)


def _products(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Sixteen products of 16 bits."""
    low, high, weights, row = arguments
    pair = ir.Constant(ir.VectorType(ir.IntType(64), 2), ir.Undefined)
    for place, word in enumerate((low, high)):
        pair = builder.insert_element(pair, word, ir.Constant(ir.IntType(32), place))
    digits = builder.zext(builder.bitcast(pair, ir.VectorType(_BYTE, _LANES)), ir.VectorType(_LANE, _LANES))
    array = context.make_array(signature.args[2])(context, builder, value=weights)
    start = builder.mul(row, ir.Constant(row.type, _LANES))
    address = builder.bitcast(builder.gep(array.data, [start]), ir.VectorType(_LANE, _LANES).as_pointer())
    return builder.mul(digits, builder.load(address, align=2))


def _added(builder: Any, lanes: Any) -> Any:
    """Their sum, as 64 bits."""
    wide = builder.sext(lanes, ir.VectorType(ir.IntType(32), _LANES))
    kind = ir.FunctionType(ir.IntType(32), [ir.VectorType(ir.IntType(32), _LANES)])
    get: Any = cgutils.get_or_insert_function
    add = get(builder.module, kind, "llvm.vector.reduce.add.v16i32")
    return builder.sext(builder.call(add, [wide]), ir.IntType(64))


def _sum_code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    return _added(builder, _products(context, builder, signature, arguments))


def _tens_code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    vector = ir.VectorType(_LANE, _LANES)
    products = _products(context, builder, signature, arguments)
    # p // 10 is p * 103 >> 10 for p up to 99.
    scaled = builder.mul(products, ir.Constant(vector, [103] * _LANES))
    return _added(builder, builder.lshr(scaled, ir.Constant(vector, [10] * _LANES)))


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


@intrinsic
def _word_of(_typing: Any, data: Any, _at: Any) -> Any:
    return types.uint64(data, types.int64), _word_code


@intrinsic
def _sum_of(_typing: Any, _low: Any, _high: Any, weights: Any, _row: Any) -> Any:
    return types.int64(types.uint64, types.uint64, weights, types.int64), _sum_code


@intrinsic
def _tens_of(_typing: Any, _low: Any, _high: Any, weights: Any, _row: Any) -> Any:
    return types.int64(types.uint64, types.uint64, weights, types.int64), _tens_code


# numba reads the functions above as it compiles a caller; to a type checker they are anything.
_text_marks: Any = _marks_of
_copy_chunk: Any = _chunk_of
_lowest_bit: Any = _bit_of
_word_at: Any = _word_of
_weighted_sum: Any = _sum_of
_weighted_tens: Any = _tens_of
