from app.compliance.certificate import GENESIS, FileOutcome, canonical, chain_hash, totals_document
from app.compliance.control_totals import Totals

NOTHING = Totals()


def outcome(
    source: Totals = NOTHING, accepted: Totals = NOTHING, quarantined: Totals = NOTHING, duplicates: Totals = NOTHING
) -> FileOutcome:
    return FileOutcome("file:///a.csv", "ab", 10, "loaded", None, source, accepted, quarantined, duplicates)


def test_a_file_adds_up_when_records_and_every_currency_do() -> None:
    whole = outcome(
        source=Totals(3, {"GBP": 6}), accepted=Totals(1, {"GBP": 1}), quarantined=Totals(1, {"GBP": 2}), duplicates=Totals(1, {"GBP": 3})
    )
    assert list(whole.differences()) == []


def test_a_missing_record_is_named() -> None:
    short = outcome(source=Totals(3), accepted=Totals(2))
    assert list(short.differences()) == ["file:///a.csv: the reader counted 3 records, the tables hold 2"]


def test_a_missing_penny_is_named_by_currency() -> None:
    short = outcome(source=Totals(1, {"GBP": 6, "EUR": 0}), accepted=Totals(1, {"GBP": 5}))
    assert list(short.differences()) == ["file:///a.csv: the reader summed 6 minor units of GBP, the tables hold 5"]


def test_the_canonical_text_does_not_depend_on_the_order_of_keys() -> None:
    assert canonical({"b": 1, "a": "£"}) == canonical({"a": "£", "b": 1}) == '{"a":"£","b":1}'


def test_the_hash_depends_on_the_text_and_on_the_hash_before() -> None:
    hashes = {chain_hash(GENESIS, "a"), chain_hash(GENESIS, "b"), chain_hash(chain_hash(GENESIS, "a"), "a")}
    assert len(hashes) == 3


def test_totals_sum_over_files() -> None:
    files = [
        outcome(source=Totals(1, {"GBP": 1}), accepted=Totals(1, {"GBP": 1})),
        outcome(source=Totals(2, {"EUR": 5}), quarantined=Totals(2, {"EUR": 5})),
    ]
    document = totals_document(files, {"iban": 2})
    assert (document["records"], document["accepted"], document["quarantined"]) == (3, 1, 2)
    assert document["amount_minor"]["EUR"] == {"source": 5, "accepted": 0, "quarantined": 5, "duplicates": 0}
