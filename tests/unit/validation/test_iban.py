import pytest

from app.reference.ibans import iban_structures
from app.validation import iban
from app.validation.account_number import Account
from app.validation.account_number import check as check_account_number
from app.validation.sort_code import check as check_sort_code
from tests.support.validation import names, strings, text

# The examples that the registry itself gives.
EXAMPLES = [
    "GB29NWBK60161331926819",
    "DE89370400440532013000",
    "MT84MALT011000012345MTLCAST001S",
    "NO9386011117947",
    "XK051212012345678906",
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_electronic_and_paper_form_are_the_same_iban(example: str) -> None:
    paper = " ".join(example[i : i + 4] for i in range(0, len(example), 4))
    canonical, codes = iban.check(text(example, paper))
    assert strings(canonical) == [example, example]
    assert names(codes) == [None, None]


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ("GB29-NWBK", "format"),
        ("gb29NWBK60161331926819", "format"),
        ("GB29NWBK6016133192681\uff19", "format"),
        ("GB\u017f9NWBK60161331926819", "format"),
        ("GB29nwbk60161331926819", "format"),
        (" GB29NWBK60161331926819", "format"),
        ("GB29NWBK60161331926819 ", "format"),
        ("GB29  NWBK 6016 1331 9268 19", "format"),
        ("GB29 NWBK 6016 1331 9268 19 ", "format"),
        ("GB29 NWBK 6016 1331 926819", "format"),
        ("GB2 9NWB K601 6133 1926 819", "format"),
        ("GB29NWBK 60161331926819", "format"),
        ("GB29\u00a0NWBK\u00a06016\u00a01331\u00a09268\u00a019", "format"),
        ("G129NWBK60161331926819", "format"),
        ("GBX9NWBK60161331926819", "format"),
        ("GB29", "format"),
        ("GB29 ", "format"),
        ("G", "format"),
        ("DE89" + "1" * 31, "format"),
        ("US64SVBKUS6S3300958879", "country"),
        ("ZZ29NWBK60161331926819", "country"),
        ("GB29NWBK6016133192681", "length"),
        ("GB29NWBK601613319268199", "length"),
        ("GB29123460161331926819", "structure"),
        ("GB29NWBK6016133192681A", "structure"),
        ("DE8937040044053201300A", "structure"),
        ("GB28NWBK60161331926819", "checksum"),
        ("GB29NWBK60161331926818", "checksum"),
    ],
)
def test_anything_else_is_refused_by_its_first_fault(written: str, fault: str) -> None:
    canonical, codes = iban.check(text(written))
    assert names(codes) == [f"counterparty_iban_{fault}"]
    assert strings(canonical) == [""]


@pytest.mark.parametrize(("good", "alias"), [(2, 99), (97, 0), (98, 1)])
def test_check_digits_outside_02_to_98_are_refused_although_they_divide(good: int, alias: int) -> None:
    accounts = [f"NWBK601613{number:08d}" for number in range(400)]
    account = next(a for a in accounts if names(iban.check(text(f"GB{good:02d}{a}"))[1]) == [None])
    assert names(iban.check(text(f"GB{alias:02d}{account}"))[1]) == ["counterparty_iban_checksum"]


def test_none_is_welcome() -> None:
    canonical, codes = iban.check(text("", None, EXAMPLES[0]))
    assert names(codes) == [None, None, None]
    assert strings(canonical) == ["", "", EXAMPLES[0]]


def test_the_table_has_89_countries() -> None:
    assert len(iban_structures()) == 89


@pytest.mark.parametrize(
    ("written", "sort_code", "number", "fault"),
    [
        ("GB29NWBK60161331926819", "60-16-13", "31926819", False),
        ("GB29NWBK60161331926819", "", "", False),
        ("GB29NWBK60161331926819", "601613", "", False),
        ("GB29NWBK60161331926819", "601614", "", True),
        ("GB29NWBK60161331926819", "", "31926818", True),
        ("GB29NWBK60161331926819", "601614", "31926819", True),
        ("GB29NWBK60161331926819", "60161", "3192681", False),  # what is objected to is not compared
        ("GB28NWBK60161331926819", "601614", "31926818", False),
        ("DE89370400440532013000", "601614", "31926818", False),
        ("", "601614", "31926818", False),
    ],
)
def test_a_gb_iban_must_name_the_account_beside_it(written: str, sort_code: str, number: str, fault: bool) -> None:
    canonical_sort_code, _ = check_sort_code(text(sort_code), "counterparty_sort_code")
    number_text = text(number)
    account = Account(canonical_sort_code, number_text, check_account_number(number_text, "counterparty_account"))
    codes = iban.mismatches(iban.check(text(written))[0], account)
    assert names(codes) == ["counterparty_iban_mismatch" if fault else None]
