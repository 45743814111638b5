from hypothesis import example, given
from hypothesis import strategies as st
from schwifty import IBAN
from schwifty.exceptions import SchwiftyException

from app.reference.ibans import iban_structures
from app.validation import iban
from tests.support.validation import names, strings, text

CHARACTERS = {"n": "0123456789", "a": "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "c": "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


COUNTRIES = {structure.country for structure in iban_structures()}


def check_digits(country: str, bban: str) -> str:
    """ISO/IEC 7064, MOD 97-10, in whole numbers."""
    return f"{98 - int(''.join(str(int(character, 36)) for character in bban + country + '00')) % 97:02d}"


@st.composite
def ibans(draw: st.DrawFn) -> str:
    structure = draw(st.sampled_from(iban_structures()))
    bban = "".join(draw(st.sampled_from(CHARACTERS[kind])) for kind in structure.bban)
    return structure.country + check_digits(structure.country, bban) + bban


def codes_of(*written: str) -> list[str | None]:
    return names(iban.check(text(*written))[1])


def schwifty_takes(written: str) -> bool:
    try:
        IBAN(written)
    except SchwiftyException:
        return False
    return True


@given(ibans())
def test_every_iban_of_the_registry_is_taken_in_both_forms(written: str) -> None:
    paper = " ".join(written[i : i + 4] for i in range(0, len(written), 4))
    canonical, codes = iban.check(text(written, paper))
    assert names(codes) == [None, None]
    assert strings(canonical) == [written, written]


@given(ibans())
def test_every_change_of_one_digit_is_refused(written: str) -> None:
    changed = [
        written[:i] + digit + written[i + 1 :] for i, old in enumerate(written) if old.isdigit() for digit in "0123456789" if digit != old
    ]
    assert None not in codes_of(*changed)


@given(ibans(), st.data())
def test_two_neighbours_that_change_places_are_refused(written: str, data: st.DataObject) -> None:
    i = data.draw(st.integers(0, len(written) - 2))
    changed = written[:i] + written[i + 1] + written[i] + written[i + 2 :]
    assert changed == written or codes_of(changed) != [None]


@st.composite
def damaged(draw: st.DrawFn) -> str:
    written = draw(ibans())
    at = draw(st.integers(0, len(written) - 1))
    insert = draw(st.text(alphabet="0123456789ABCXYZabcé-\u017f\uff19", max_size=2))
    return written[:at] + insert + written[at + draw(st.integers(0, 2)) :]


@given(damaged() | st.text(alphabet="GBDEFR0123456789", max_size=36))
@example("GB29NWBK60161331926819")
@example("BY86c00000000000000000000000")
@example("BR1800360305000010009795493C1")
def test_texts_without_blanks_agree_with_schwifty(written: str) -> None:
    if written[:2] in COUNTRIES - {"BR"}:
        # schwifty takes small letters for capital ones; ISO 13616 has capital letters only.
        assert (codes_of(written) == [None]) == (schwifty_takes(written) and not any("a" <= character <= "z" for character in written))
    else:
        # schwifty also knows countries that use IBANs without being in the registry, and the form that Brazil's bank codes get
        # after release 99 (8!c for 8!n, 1!c for 1!a): there we are the stricter.
        assert codes_of(written) != [None] or schwifty_takes(written) or written == ""


@given(ibans(), st.integers(1, 33), st.sampled_from(["  ", " ", "\t", "\u00a0", "\n"]))
def test_schwifty_drops_blanks_anywhere_and_we_take_only_the_paper_form(written: str, at: int, blank: str) -> None:
    """ISO 13616-1, section 5: blanks elsewhere hint at damage on the way, and schwifty means to be kind to people who type."""
    spaced = written[:at] + blank + written[at:]
    assert schwifty_takes(spaced)
    assert codes_of(spaced) == ["counterparty_iban_format"]


@given(ibans().map(str.lower))
def test_small_letters_are_refused_although_some_programs_fold_them(written: str) -> None:
    assert codes_of(written) == ["counterparty_iban_format"]


@given(st.lists(ibans() | st.just("") | damaged(), max_size=10))
def test_the_answer_does_not_depend_on_the_neighbours(rows: list[str]) -> None:
    together = dict(zip(rows, codes_of(*rows), strict=True))
    assert together == {row: codes_of(row)[0] for row in rows}
