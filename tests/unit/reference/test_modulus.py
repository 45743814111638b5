import re

import numpy as np
import pytest

from app.errors import UsageError
from app.reference import modulus
from tests.support import modulus_tables

GOOD = "990000 990099 MOD11 " + " ".join(["1"] * 14) + "\n"


def test_the_table_that_ships_has_every_algorithm_and_exception_and_fits_the_published_form() -> None:
    table = modulus.synthetic()
    assert set(table.algorithm.tolist()) == {0, 1, 2}
    assert set(table.exception.tolist()) - {0} == set(range(1, 15))
    assert table.version == "synthetic"
    assert re.fullmatch("[0-9a-f]{64}", table.sha256)


def test_the_table_that_ships_is_the_one_that_its_generator_makes() -> None:
    for name, text in zip(("valacdos", "scsubtab"), modulus_tables.fitting(7), strict=True):
        assert (modulus_tables.DATA / f"synthetic_{name}.txt").read_text() == text


def test_a_row_has_its_range_weights_and_exception() -> None:
    table = modulus.parse(b"070116 070118 MOD11    0    0    7    6    5    8    9    4    5    6    7    8    9   -1   12\r\n", b"", "v")
    assert table.rows[70115:70120].tolist() == [[-1, -1], [0, -1], [0, -1], [0, -1], [-1, -1]]
    assert table.weights.tolist() == [[0, 0, 7, 6, 5, 8, 0, 0, 9, 4, 5, 6, 7, 8, 9, -1]]
    assert (table.exception.tolist(), table.size) == ([12], 1)


def test_the_first_row_of_a_sort_code_is_its_first_check() -> None:
    table = modulus.parse((GOOD + GOOD.replace("MOD11", "DBLAL")).encode(), b"990001 990050\n", "v")
    assert table.rows[990050].tolist() == [0, 1]
    assert (int(table.substitute[990001]), int(table.substitute[990002])) == (990050, 990002)


def test_no_array_can_be_written_to() -> None:
    table = modulus.synthetic()
    for array in (table.weights, table.rows, table.algorithm, table.exception, table.substitute):
        with pytest.raises(ValueError, match="read-only"):
            np.copyto(array, 0)


@pytest.mark.parametrize(
    ("valacdos", "scsubtab", "said"),
    [
        ("", "", "valacdos: the file has no rows"),
        ("990000 990099\n", "", "line 1 is not two sort codes, an algorithm"),
        (GOOD + "99000 990099 MOD11 1\n", "", "line 2 is not two sort codes"),
        (GOOD.replace("MOD11", "MOD97"), "", "algorithm MOD97"),
        (GOOD.replace("990099", "980099"), "", r"ends \(980099\) before it begins \(990000\)"),
        (GOOD.replace(" 1\n", "\n"), "", "13 words after the algorithm"),
        (GOOD.replace(" 1\n", " 1 1 1\n"), "", "16 words after the algorithm"),
        (GOOD.replace(" 1\n", " x\n"), "", "14 words after the algorithm"),
        (GOOD.replace("\n", " 15\n"), "", "exception 15"),
        (GOOD.replace("MOD11 1", "DBLAL -1"), "", "weight that is not 0 to 11"),
        (GOOD.replace("MOD11 1", "DBLAL 12"), "", "weight that is not 0 to 11"),
        (GOOD.replace("MOD11 1", "MOD11 1000"), "", "weight beyond 999"),
        (GOOD * 3, "", "line 3 is the third row for sort code 990000"),
        (GOOD, "990000\n", "scsubtab: line 1 is not two sort codes"),
        (GOOD, "990000 99000x\n", "scsubtab: line 1"),
        (GOOD.replace("1\n", "\u0661\n"), "", "is not ASCII"),
    ],
)
def test_what_is_not_in_the_published_form_is_refused_with_its_line(valacdos: str, scsubtab: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        modulus.parse(valacdos.encode(), scsubtab.encode(), "v")
