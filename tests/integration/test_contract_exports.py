"""Contracts in other tools' forms: held against the standard's schema, and run by the tool itself on tables that a run left."""

import json
import warnings
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pandas as pd
import pyarrow as pa
import pytest
import yaml
from open_data_contract_standard.model import OpenDataContractStandard
from typer.testing import CliRunner

from app.contracts.lake import ACCOUNT_DAILY, BRONZE, DATA_QUALITY_DAILY, QUARANTINE, RUNS, SILVER, TABLES
from app.contracts.table import TableContract
from pipelines import odcs
from pipelines.catalog import CONTRACTS
from pipelines.cli import app
from tests.support.lake import load, opened
from tests.support.landing import record, records, write_csv

SCHEMA = json.loads(files("open_data_contract_standard").joinpath("schema.json").read_text(encoding="utf-8"))


def exported(command: str, folder: Path) -> dict[str, str]:
    ran = CliRunner().invoke(app, ["catalog", command, str(folder)])
    assert ran.exit_code == 0, ran.output
    return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}


def test_every_contract_is_what_the_standards_schema_asks(tmp_path: Path) -> None:
    written = exported("odcs", tmp_path / "odcs")
    assert set(written) == {f"{contract.name}.odcs.yaml" for contract in CONTRACTS}
    for text in written.values():
        jsonschema.Draft201909Validator(SCHEMA).validate(yaml.safe_load(text))


def test_a_document_that_breaks_the_standard_is_noticed() -> None:
    document = odcs.document(SILVER, "1")
    document["schema"][0]["properties"][0]["logicalType"] = "text"
    with pytest.raises(jsonschema.ValidationError, match="'text' is not one of"):
        jsonschema.Draft201909Validator(SCHEMA).validate(document)


def test_the_standards_own_model_reads_what_the_contract_says() -> None:
    read: Any = OpenDataContractStandard.from_string(odcs.text(SILVER, "0.1.0"))
    assert (read.apiVersion, read.id, read.version, read.team[0].username) == (
        "v3.0.2",
        "leofric.silver_transactions",
        "0.1.0",
        "payments operations",
    )
    properties = {one.name: one for one in read.schema_[0].properties}
    assert list(properties) == [column.name for column in SILVER.columns]
    account, day, amount = properties["account_number"], properties["booking_date"], properties["amount_minor"]
    assert (account.logicalType, account.logicalTypeOptions, account.required) == (
        "string",
        {"pattern": "^(?:[0-9]{8}|~[a-z2-7]{16})$"},
        True,
    )
    assert (account.classification, account.examples) == ("personal", ["12345678"])
    assert (day.partitioned, day.partitionKeyPosition) == (True, 1)
    assert (amount.logicalType, amount.logicalTypeOptions) == ("integer", {"format": "i64"})
    assert {one.property: one.value for one in amount.customProperties}["unit"] == "minor units of currency"
    (kept,) = read.slaProperties
    assert (kept.property, kept.value, kept.unit) == ("retention", 5, "y")


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exports")
    write_csv(folder / "landing/a.csv", [*records(1, 40), record(41, amount="x"), record(42, channel="", country="FR")])
    load(folder / "landing", folder / "lake")
    return folder / "lake"


def frame(rows: pa.Table, contract: TableContract) -> Any:
    return rows.select(contract.schema.names).to_pandas(types_mapper=pd.ArrowDtype)


def validated(suite: dict[str, Any], data: Any) -> list[Any]:
    """What Great Expectations says of each expectation on a frame."""
    with warnings.catch_warnings(action="ignore"):  # it imports modules that Python has deprecated
        import great_expectations as gx
        from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    batch = context.data_sources.add_pandas("frames").add_dataframe_asset("frame").add_batch_definition_whole_dataframe("whole")
    said = batch.get_batch({"dataframe": data}).validate(gx.ExpectationSuite(**suite))
    assert len(said.results) == len(suite["expectations"])
    return list(said.results)


def failed(results: list[Any]) -> set[tuple[str, str]]:
    return {(one.expectation_config.type, str(one.expectation_config.kwargs.get("column"))) for one in results if not one.success}


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GX_ANALYTICS_ENABLED", "false")


@pytest.mark.parametrize("contract", [BRONZE, SILVER, QUARANTINE, ACCOUNT_DAILY, DATA_QUALITY_DAILY, RUNS], ids=lambda one: one.path)
def test_a_suite_holds_on_the_table_that_a_run_left(contract: TableContract, lake: Path, tmp_path: Path) -> None:
    suite = json.loads(exported("expectations", tmp_path / "suites")[f"{contract.name}.json"])
    rows = opened(lake).table(contract).to_pyarrow_table()
    assert rows.num_rows
    assert not failed(validated(suite, frame(rows, contract)))


def test_a_suite_fails_where_a_row_breaks_the_contract(lake: Path, tmp_path: Path) -> None:
    suite = json.loads(exported("expectations", tmp_path / "suites")["silver_transactions.json"])
    data = frame(opened(lake).table(SILVER).to_pyarrow_table(), SILVER)
    data.loc[3, "sort_code"] = "07024"
    data.loc[4, "transaction_id"] = None
    data.loc[5, "record_number"] = 0
    data["amount_minor"] = data["amount_minor"].astype(pd.ArrowDtype(pa.string()))
    assert failed(validated(suite, data)) == {
        ("expect_column_values_to_match_regex", "sort_code"),
        ("expect_column_values_to_not_be_null", "transaction_id"),
        ("expect_column_values_to_be_between", "record_number"),
        ("expect_column_values_to_be_of_type", "amount_minor"),
    }
    assert failed(validated(suite, data[data.columns[::-1]])) >= {("expect_table_columns_to_match_ordered_list", "None")}


def test_every_table_has_a_suite_that_names_all_its_columns(tmp_path: Path) -> None:
    written = exported("expectations", tmp_path / "suites")
    assert set(written) == {f"{contract.name}.json" for contract in CONTRACTS}
    for contract in TABLES:
        suite = json.loads(written[f"{contract.name}.json"])
        named = {one["kwargs"].get("column") for one in suite["expectations"]}
        assert named == {None, *(column.name for column in contract.columns)}
