import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import columns
from app.compliance.control_totals import plain_amounts
from app.contracts.amount_form import LEADING, PARENTHESES, TRAILING, AmountForm, form_of
from app.errors import UsageError
from app.validation.amount_form import plain

EXAMPLES = tuple(
    signed.format(number)
    for number in ("1234.56", "1234,56", "1,234.56", "1.234,56", "1 234.56", "1 234,56", "1'234.56", "1'234,56")
    for signed in ("{}", "{}-", "({})")
)


def read(text: str, example: str) -> str:
    made = plain(columns.from_arrow(pa.array([text], pa.string())), form_of(example))
    return made.data[: made.offsets[1]].tobytes().decode()


def test_a_form_is_declared_by_its_example() -> None:
    assert form_of("1,234.56") == AmountForm(",", ".", LEADING)
    assert form_of("-1,234.56") == AmountForm(",", ".", LEADING)
    assert form_of("1.234,56-") == AmountForm(".", ",", TRAILING)
    assert form_of("(1234.56)") == AmountForm("", ".", PARENTHESES)


@pytest.mark.parametrize("example", ["", "1234", "1.234.56", "1,234,56", "-1234.56-", "2,345.67", "((1234.56))", "\u0661234.56", "-"])
def test_what_is_no_example_is_refused_and_named(example: str) -> None:
    with pytest.raises(UsageError, match=r"--amounts .*1234\.56"):
        form_of(example)


@pytest.mark.parametrize(
    ("text", "example", "expected"),
    [
        ("1,234,567.89", "1,234.56", "1234567.89"), ("-1,234.5", "1,234.56", "-1234.5"), ("+12", "1,234.56", "+12"),
        ("1234.56", "1,234.56", "1234.56"), ("", "1,234.56", ""),
        ("1.234", "1.234,56", "1234"), ("1.234,56-", "1.234,56-", "-1234.56"), ("7+", "1.234,56-", "+7"),
        ("(1234.56)", "(1234.56)", "-1234.56"), ("1234.56", "(1234.56)", "1234.56"), ("1 000", "1 234,56", "1000"),
    ],
)  # fmt: skip
def test_an_amount_of_the_form_becomes_a_plain_decimal(text: str, example: str, expected: str) -> None:
    assert read(text, example) == expected


@pytest.mark.parametrize(
    ("text", "example"),
    [
        ("12,34.56", "1,234.56"), ("1,2345", "1,234.56"), (",123", "1,234.56"), ("1,234,", "1,234.56"), ("1234,567", "1,234.56"),
        ("1,,234", "1,234.56"), ("1.234,567", "1,234.56"), ("12.34", "1.234,56"), ("1.", "1,234.56"), (".5", "1,234.56"),
        ("-5", "1,234.56-"), ("5--", "1,234.56-"), ("-", "1,234.56"), ("-", "1,234.56-"), ("()", "(1234.56)"), ("-5", "(1234.56)"),
        ("(5", "(1234.56)"), ("(-5)", "(1234.56)"), (" 5", "1 234,56"), ("1,234.5,6", "1,234.56"), ("1E5", "1234.56"), ("NaN", "1234.56"),
        ("\u0661", "1234.56"), ("5\n", "1234.56"),
    ],
)  # fmt: skip
def test_any_other_text_is_left_to_be_refused(text: str, example: str) -> None:
    assert read(text, example) == "?"


@given(st.lists(st.text("0123,. '+-()x", max_size=12), max_size=20), st.lists(st.integers(0, 10**9)), st.sampled_from(EXAMPLES))
def test_the_kernel_and_the_control_totals_read_every_form_alike(texts: list[str], numbers: list[int], example: str) -> None:
    form = form_of(example)
    written = texts + [f"{number:,}.{number % 100:02d}".translate({44: form.separator, 46: form.point}) for number in numbers]
    written += [example.replace("234", str(number % 1000)) for number in numbers]
    amounts = pa.array(written, pa.string())
    made = columns.to_arrow(plain(columns.from_arrow(amounts), form)).to_pylist()
    totals = plain_amounts(amounts, form).to_pylist()
    for original, by_kernel, by_expression in zip(written, made, totals, strict=True):
        assert by_kernel.removeprefix("+") == ((by_expression or "?") if original else "")
    assert made[len(texts) : len(texts) + len(numbers)] == [f"{number}.{number % 100:02d}" for number in numbers]
