"""What is left of a table for somebody who may not see all of it."""

from datetime import UTC, date, datetime

import pyarrow as pa
import pytest

from app.compliance.masking import STARS, masked, tokenised
from app.contracts.lake import ALERTS, SCORES, SILVER
from app.contracts.table import Classification, Column, TableContract
from app.errors import UsageError

PUBLIC, INTERNAL, CONFIDENTIAL, PERSONAL, SPECIAL = Classification
KEY = bytes(range(16))


def contract(**columns: tuple[pa.DataType, Classification]) -> TableContract:
    return TableContract("gold/a", "a", tuple(Column(name, kind, name, classification) for name, (kind, classification) in columns.items()))


def one(kind: pa.DataType, classification: Classification, values: list[object], *may_see: Classification) -> list[object]:
    """The values of the only column, as somebody sees it."""
    table = pa.table({"a": pa.array(values, kind)})
    found = masked(table, contract(a=(kind, classification)), may_see)
    assert found.schema.types == [kind]
    return list(found["a"].to_pylist())


@pytest.mark.parametrize("classification", [INTERNAL, CONFIDENTIAL, PERSONAL, SPECIAL])
def test_who_may_see_a_class_sees_its_values(classification: Classification) -> None:
    assert one(pa.string(), classification, ["12345678", None], classification) == ["12345678", None]
    assert one(pa.string(), classification, ["12345678", None]) != ["12345678", None]


def test_public_values_are_for_everybody() -> None:
    assert one(pa.string(), PUBLIC, ["12345678"]) == ["12345678"]


def test_personal_values_are_gone_but_for_whether_there_is_one() -> None:
    assert one(pa.string(), PERSONAL, ["12345678", "", None]) == [STARS, STARS, None]
    assert one(pa.list_(pa.string()), PERSONAL, [["a", None], [], None]) == [[STARS, None], [], None]
    for kind, value in ((pa.int64(), 7), (pa.date32(), date(2026, 1, 2)), (pa.binary(), b"abc"), (pa.bool_(), True), (pa.float64(), 1.5)):
        assert one(kind, PERSONAL, [value, None]) == [None, None]


def test_special_category_values_are_all_null() -> None:
    assert one(pa.string(), SPECIAL, ["diabetes", None]) == [None, None]
    assert one(pa.int64(), SPECIAL, [1]) == [None]
    assert one(pa.string(), SPECIAL, ["diabetes"], PUBLIC, INTERNAL, CONFIDENTIAL, PERSONAL) == [None]


def test_of_confidential_texts_the_end_of_long_ones_stays() -> None:
    assert one(pa.string(), CONFIDENTIAL, ["070246", "GBP", "12345", "", None]) == ["****46", STARS, STARS, STARS, None]
    assert one(pa.string(), CONFIDENTIAL, ["ünïcödé-漢字"]) == ["****漢字"]
    assert one(pa.list_(pa.string()), CONFIDENTIAL, [["P-000017", None, "x"], [], None]) == [["****17", None, STARS], [], None]


def test_of_confidential_numbers_the_first_figure_stays() -> None:
    assert one(pa.int64(), CONFIDENTIAL, [-12550, 99, 7, 0, None]) == [-10000, 90, 0, 0, None]
    assert one(pa.int64(), CONFIDENTIAL, [-(2**63), 2**63 - 1]) == [-9 * 10**18, 9 * 10**18]
    assert one(pa.float64(), CONFIDENTIAL, [0.5, -40.25, 0.0, None, float("nan"), float("inf")]) == [0.5, -40.0, 0.0, None, None, None]
    assert one(pa.bool_(), CONFIDENTIAL, [True, None]) == [None, None]


def test_of_confidential_days_and_instants_the_month_stays() -> None:
    assert one(pa.date32(), CONFIDENTIAL, [date(2026, 3, 17), None]) == [date(2026, 3, 1), None]
    instant = datetime(2026, 3, 17, 14, 5, 12, tzinfo=UTC)
    assert one(pa.timestamp("us", tz="UTC"), CONFIDENTIAL, [instant]) == [datetime(2026, 3, 1, tzinfo=UTC)]


def test_a_slice_of_a_table_is_masked_as_the_slice() -> None:
    kind = pa.list_(pa.string())
    table = pa.table({"a": pa.array([["1234567"], None, ["7654321", "1"], []], kind)}).slice(1, 2)
    assert masked(table, contract(a=(kind, CONFIDENTIAL)), ())["a"].to_pylist() == [None, ["****21", STARS]]


def test_a_column_in_dictionary_form_keeps_its_form() -> None:
    kind = pa.dictionary(pa.int32(), pa.string())
    table = pa.table({"a": pa.array(["12345678", None, "12345678"]).dictionary_encode()})
    found = masked(table, contract(a=(kind, PERSONAL)), ())
    assert (found.schema.types, found["a"].to_pylist()) == ([kind], [STARS, None, STARS])


def test_a_column_that_the_contract_does_not_have_is_shown_to_nobody() -> None:
    with pytest.raises(UsageError, match="gold/a has no column b: its class is not known"):
        masked(pa.table({"b": [1]}), contract(a=(pa.int64(), PUBLIC)), tuple(Classification))


def test_a_table_of_no_rows_stays_one() -> None:
    assert masked(SILVER.schema.empty_table(), SILVER, ()).num_rows == 0
    assert tokenised(SILVER.schema.empty_table(), SILVER, KEY, ()).num_rows == 0


def example(of: TableContract) -> pa.Table:
    rows = {c.name: [list(v) if isinstance(v := of.example_of(c), tuple) else v] for c in of.columns}
    return pa.table(rows, schema=of.schema)


def test_every_type_that_the_lake_has_can_be_masked_and_made_tokens() -> None:
    for of in (SILVER, SCORES, ALERTS):
        for found in (masked(example(of), of, ()), tokenised(example(of), of, KEY, (), (PERSONAL, CONFIDENTIAL, INTERNAL))):
            assert found.schema.types == of.schema.types
            for column in of.columns:
                assert found[column.name].to_pylist() != example(of)[column.name].to_pylist() or not pa.types.is_string(column.type)


def test_tables_of_one_lake_join_by_tokens() -> None:
    silver = tokenised(example(SILVER), SILVER, KEY, ())
    alerts = tokenised(example(ALERTS), ALERTS, KEY, ())
    assert silver["payer"].to_pylist() == alerts["account"].to_pylist()
    (token,) = silver["payer"].to_pylist()
    assert token.startswith("tok_")
    assert len(token) == 36
    assert silver["sort_code"].to_pylist() == ["****46"], "other classes are masked"


def test_a_class_of_keys_can_be_made_tokens_too() -> None:
    silver, scores = (tokenised(example(of), of, KEY, (), (PERSONAL, CONFIDENTIAL)) for of in (SILVER, SCORES))
    assert silver["transaction_id"].to_pylist() == scores["transaction_id"].to_pylist()
    assert scores["sentences"].to_pylist()[0][0].startswith("tok_")
    assert silver["amount_minor"].to_pylist() == [None], "a number cannot hold a token, and a part of it is no key"


def test_who_may_see_personal_data_gets_no_tokens() -> None:
    assert tokenised(example(SILVER), SILVER, KEY, (PERSONAL,))["payer"].to_pylist() == ["070246-12345678"]


def test_types_that_cannot_hold_a_token_are_null_and_bytes_hold_one() -> None:
    of = contract(a=(pa.int64(), PERSONAL), b=(pa.binary(), PERSONAL), c=(pa.string(), PERSONAL))
    found = tokenised(pa.table({"a": [12345678], "b": [b"12345678"], "c": ["12345678"]}), of, KEY, ()).to_pylist()[0]
    assert found["a"] is None
    assert found["b"] == found["c"].encode()


def test_special_category_and_short_keys_make_no_tokens() -> None:
    with pytest.raises(UsageError, match="special category data is not made into tokens"):
        tokenised(example(SILVER), SILVER, KEY, (), (SPECIAL,))
    with pytest.raises(UsageError, match="has 3 bytes; it needs 16 or more"):
        tokenised(example(SILVER), SILVER, b"abc", ())
    of = contract(a=(pa.string(), SPECIAL))
    assert tokenised(pa.table({"a": ["diabetes"]}), of, KEY, ())["a"].to_pylist() == [None]
