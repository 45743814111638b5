import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from app.contracts.landing import NAMES, SCHEMA
from app.validation.transaction import Validated, reasons, validate
from tests.support.landing import record

VALUES = {
    name: st.sampled_from([value, "", None, "x", "0", value + " "]) | st.text(max_size=6)
    for name, value in (record(1) | {"counterparty_iban": "GB29NWBK60161331926819", "merchant_category": "5411"}).items()
}
RECORDS = st.fixed_dictionaries(VALUES) | st.integers(1, 99).map(record)


def answers(validated: Validated) -> list[tuple[object, ...]]:
    """What validation says of each row; values of rejected rows mean nothing."""
    rows = validated.typed.to_pylist()
    codes = np.stack(validated.codes, axis=1).tolist()
    kept = [None if rejected else row for row, rejected in zip(rows, validated.rejected.tolist(), strict=True)]
    return list(zip(kept, map(tuple, codes), validated.rejected.tolist(), validated.readable.tolist(), strict=True))


def table(rows: list[dict[str, str | None]]) -> pa.Table:
    return pa.Table.from_pylist(rows, SCHEMA)


@given(st.lists(RECORDS, max_size=8), st.integers(0, 8))
def test_a_record_is_judged_alike_alone_among_others_in_slices_and_in_chunks(rows: list[dict[str, str | None]], cut: int) -> None:
    whole = table(rows)
    together = answers(validate(whole))
    assert together == [answer for row in rows for answer in answers(validate(table([row])))]
    assert together[cut:] == answers(validate(whole.slice(cut)))
    assert together == answers(validate(pa.concat_tables([whole.slice(0, cut), whole.slice(cut)])))


@given(st.lists(RECORDS, max_size=8))
def test_whatever_comes_in_the_typed_table_is_valid_and_every_rejection_has_its_reasons(rows: list[dict[str, str | None]]) -> None:
    validated = validate(table(rows))
    validated.typed.validate(full=True)
    lists = reasons(validated, np.arange(len(rows))).to_pylist()
    assert [bool(codes) for codes in lists] == validated.rejected.tolist()
    assert validated.filled == {name: sum(1 for row in rows if row.get(name)) for name in NAMES}


@given(st.lists(RECORDS, max_size=8))
def test_identifiers_currency_country_and_text_come_out_as_they_came_in(rows: list[dict[str, str | None]]) -> None:
    validated = validate(table(rows))
    for row, typed, rejected in zip(rows, validated.typed.to_pylist(), validated.rejected.tolist(), strict=True):
        if not rejected:
            for name in ("transaction_id", "account_number", "currency", "country"):
                assert typed[name] == row[name]
            assert (typed["description"] or "") == (row["description"] or "")
