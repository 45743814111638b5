import pytest
from schwifty import IBAN

from app.reference.ibans import LENGTH_MAX, IbanStructure, iban_structures


@pytest.mark.parametrize("structure", iban_structures(), ids=lambda structure: structure.country)
def test_each_structure_is_the_one_that_schwifty_has(structure: IbanStructure) -> None:
    spec = IBAN(structure.country + "00", allow_invalid=True).spec
    assert structure.length == spec.iban_length == 4 + len(structure.bban) <= LENGTH_MAX
    spelled = "".join({"n": "1", "a": "A", "c": "1"}[kind] for kind in structure.bban)
    assert spec.regex.fullmatch(spelled)
    assert all(spec.regex.fullmatch(spelled[:i] + other + spelled[i + 1 :]) is None for i, other in enumerate(_wrong(structure.bban)))


def _wrong(bban: str) -> list[str]:
    return [{"n": "A", "a": "1", "c": "-"}[kind] for kind in bban]
