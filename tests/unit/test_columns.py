import numpy as np
import pyarrow as pa
import pytest

from app.columns import from_arrow, to_arrow
from tests.support.validation import strings


def with_bytes_under_nulls() -> pa.StringArray:
    """Arrow does not say that a null's slot is empty: here the second one holds "xx"."""
    validity = pa.py_buffer(np.packbits([True, False, True], bitorder="little"))
    return pa.StringArray.from_buffers(3, pa.py_buffer(np.array([0, 1, 3, 4], dtype=np.int32)), pa.py_buffer(b"axxb"), validity)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array(["a", None, "", "é"]), ["a", "", "", "é"]), (pa.array(["a", None, "b", None, "c"]).slice(1, 3), ["", "b", ""]),
        (pa.chunked_array([["a"], [None, "b"]], pa.string()), ["a", "", "b"]), (pa.chunked_array([], pa.string()), []),
        (pa.array([], pa.string()), []), (pa.nulls(2, pa.string()), ["", ""]), (with_bytes_under_nulls(), ["a", "", "b"]),
        (with_bytes_under_nulls().slice(1), ["", "b"]),
    ],
)  # fmt: skip
def test_a_null_and_an_empty_text_look_the_same_however_arrow_holds_them(column: pa.Array, expected: list[str]) -> None:
    text = from_arrow(column)
    assert (len(text), strings(text)) == (len(expected), expected)


def test_texts_come_back_with_the_nulls_that_are_given() -> None:
    text = from_arrow(pa.array(["a", "", "b"]))
    assert to_arrow(text, np.array([False, True, False])).to_pylist() == ["a", None, "b"]
    assert to_arrow(text).to_pylist() == ["a", "", "b"]
