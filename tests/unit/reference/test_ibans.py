import pytest
from schwifty import IBAN

from app.reference.ibans import LENGTH_MAX, IbanStructure, iban_structures

WRONG = {"n": "A", "a": "1", "c": "-"}


@pytest.mark.parametrize("structure", iban_structures(), ids=lambda structure: structure.country)
def test_each_structure_is_the_one_that_schwifty_has(structure: IbanStructure) -> None:
    spec = IBAN(structure.country + "00", allow_invalid=True).spec
    assert structure.length == spec.iban_length == 4 + len(structure.bban) <= LENGTH_MAX
    spelled = "".join({"n": "1", "a": "A", "c": "1"}[kind] for kind in structure.bban)
    wrong = [spelled[:i] + WRONG[kind] + spelled[i + 1 :] for i, kind in enumerate(structure.bban)]
    assert spec.regex.fullmatch(spelled)
    if structure.country != "BR":  # schwifty has a later form of Brazil's, with letters in the bank code
        assert not any(spec.regex.fullmatch(bban) for bban in wrong)
