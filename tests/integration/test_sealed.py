"""A sealed lake: opened it says what a plain one says, to the bit; on the disk it names nobody; who is erased is gone from all of it."""

import json
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from app.contracts.lake import ALERTS, BRONZE, QUARANTINE, SILVER
from app.lake.lake import create_sealed
from app.lake.storage import Storage
from app.sealing import ERASED
from app.settings import Settings
from pipelines import sample, verify
from pipelines.cli import app
from pipelines.executor import InProcess
from pipelines.progress import Silent
from pipelines.score import score
from tests.support import sealed
from tests.support.champion import put_into_use
from tests.support.lake import NOW, content, load, load_modulus_table, opened, rows
from tests.support.landing import record, records, write_csv
from tests.support.review import correct, items_of, replayed

LONDON = ("branch-*=Europe/London",)


@pytest.fixture(scope="module", autouse=True)
def key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The secret that opens the key stores of these tests."""
    file = sealed.secret_file(tmp_path_factory.mktemp("secret") / "key")
    with sealed.opening(key_file=file):
        yield file


def faults(lake: Path) -> list[str]:
    return [fault for verdict in verify.verify(opened(lake)) for fault in verdict.faults]


def leofric(*words: str) -> Any:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == 0, result.output
    return result


def differences(plain: dict[str, list[str]], other: dict[str, list[str]]) -> dict[str, tuple[list[str], list[str]]]:
    """By table, up to three rows of each that the other has not."""
    found = {}
    for path, held in plain.items():
        if held != other[path]:
            found[path] = (sorted(set(held) - set(other[path]))[:3], sorted(set(other[path]) - set(held))[:3])
    return found


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample bank's week, with all its defects, in a plain lake and a sealed one: in two runs, the second with what came before."""
    folder = tmp_path_factory.mktemp("both")
    sample.write(folder / "landing", rows=3_000, seed=7)
    shutil.rmtree(folder / "landing/ground_truth")
    (folder / "first").mkdir()
    for path in sorted((folder / "landing").iterdir())[:7]:
        path.rename(folder / "first" / path.name)
    sealed.make(folder)
    for lake in (folder / "plain", folder / "lake"):
        load_modulus_table(lake)
        for landing in ("first", "landing"):
            load(folder / landing, lake, zones=LONDON)
        put_into_use(lake)
        score(Storage(str(lake)), Settings(), InProcess(), Silent(), NOW)
    return folder


def test_opened_every_table_of_a_sealed_lake_is_that_of_a_plain_one(both: Path) -> None:
    plain, other = (content(both / lake, {"alert_id"}) for lake in ("plain", "lake"))
    assert differences(plain, other) == {}
    assert all(len(plain[path]) > 5 for path in (BRONZE.path, SILVER.path, QUARANTINE.path, "gold/scores"))
    assert faults(both / "lake") == []


def texts_of(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Every file below a folder as it lies there, and Parquet files with their values, too."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            yield path, data
            if data[:4] == b"PAR1":
                for column in pq.ParquetFile(path).read().columns:
                    yield path, _values(column)


def _values(column: pa.ChunkedArray) -> bytes:
    def one(value: object) -> bytes:
        return value if isinstance(value, bytes) else str(value).encode()

    return b"\n".join(map(one, column.to_pylist()))


def found_in(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Which of these texts stand, not as a part of a longer word, in a file below a folder; and one of the files."""
    sought = re.compile(rb"(?<![0-9A-Za-z])(?:" + b"|".join(re.escape(name.encode()) for name in names) + rb")(?![0-9A-Za-z])")
    return {match.decode(): str(path) for path, text in texts_of(folder) for match in sought.findall(text)}


def named(lake: Path) -> set[str]:
    """Account numbers, IBANs and descriptions of a plain lake: what names people, or is theirs."""
    silver = opened(lake).table(SILVER).to_pyarrow_table()
    columns = ("account_number", "counterparty_account", "counterparty_iban", "description")
    return {text for name in columns for text in silver[name].to_pylist() if text is not None and len(text) > 7}


def test_no_file_of_a_sealed_lake_has_an_account_number_an_iban_or_a_text_of_the_feed(both: Path) -> None:
    names = named(both / "plain")
    assert len(names) > 500
    assert found_in(both / "lake", names) == {}
    assert len(found_in(both / "plain", names)) > 500, "the search finds what is there"


def test_a_corrected_record_is_that_of_a_plain_lake_and_its_new_values_are_sealed(tmp_path: Path) -> None:
    wrong = [*records(1, 20), record(21, sort_code="12345", account_number="33344455")]
    write_csv(tmp_path / "landing/a.csv", wrong)
    sealed.make(tmp_path)
    for lake in (tmp_path / "plain", tmp_path / "lake"):
        load(tmp_path / "landing", lake)
        (item,) = items_of(lake).values()
        correct(lake, {item: {"sort_code": "990001", "description": "put right by hand"}})
        assert replayed(lake)["status"] == "succeeded"
    plain, other = (content(tmp_path / lake) for lake in ("plain", "lake"))
    assert differences({k: v for k, v in plain.items() if "corrections" not in k}, other) == {}
    assert found_in(tmp_path / "lake", {"33344455", "put right by hand"}) == {}
    assert found_in(tmp_path / "plain", {"33344455", "put right by hand"}).keys() == {"33344455", "put right by hand"}
    assert faults(tmp_path / "lake") == []


def of_one(number: int, account: str, other: str, year: int, **changes: str) -> dict[str, str]:
    return record(number, account_number=account, counterparty_account=other, timestamp=f"{year}-03-0{1 + number % 9}T10:00:00Z") | changes


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Payments of eleven years ago of two accounts, one of whom pays the other this year, too; 11111111 is only in the old ones."""
    payments = [of_one(n, "11111111", "22222222", 2014, description=f"for Ms Old {n}") for n in range(1, 8)]
    payments += [of_one(n, "22222222", "33333333", 2026) for n in range(8, 12)]
    payments += [record(12, sort_code="990001", account_number="11111111", amount="1,2,3", timestamp="2014-03-01T10:00:00Z")]
    write_csv(tmp_path / "landing/a.csv", payments)
    sealed.make(tmp_path)
    load(tmp_path / "landing", tmp_path / "lake", now=NOW.replace(year=2014))
    return tmp_path


def test_an_erased_person_is_gone_from_every_table_and_version_and_totals_still_hold(old: Path) -> None:
    before = {contract.path: len(rows(old / "lake", contract)) for contract in (BRONZE, SILVER, QUARANTINE, ALERTS)}
    shown = json.loads(leofric("subject", "show", "990001-11111111", "--lake", str(old / "lake"), "--json").stdout)
    assert shown["if_erased"]["outcome"] == "erase", shown
    backup = old / "backup"
    shutil.copytree(old / "lake", backup)
    leofric("subject", "erase", "990001-11111111", "--lake", str(old / "lake"), "--why", "the customer asked", "--yes")
    assert {contract.path: len(rows(old / "lake", contract)) for contract in (BRONZE, SILVER, QUARANTINE, ALERTS)} == before
    for lake in (old / "lake", backup):
        again = opened(lake)
        silver = again.opened(again.table(SILVER).to_pyarrow_table())
        theirs = [row for row in silver.to_pylist() if row["booked_at"].year == 2014]
        assert {row["description"] for row in theirs} == {ERASED}
        assert all(re.fullmatch("~[a-z2-7]{16}", row["account_number"]) for row in theirs)
        assert {row["counterparty_account"] for row in theirs} == {"22222222"}
        (raw,) = again.opened(again.table(QUARANTINE).to_pyarrow_table())["raw_record"].to_pylist()
        assert raw == ERASED.encode()
    assert found_in(old / "lake", {"11111111", "for Ms Old"}) == {}
    assert faults(old / "lake") == []
    assert leofric("audit", "verify", "--lake", str(old / "lake")).exit_code == 0


def test_the_copy_of_what_is_held_is_opened_and_names_no_other(old: Path) -> None:
    said = leofric("subject", "show", "990001-11111111", "--lake", str(old / "lake"), "--json", "--records").stdout
    silver = json.loads(said)["records"]["silver/transactions"]
    assert {row["description"] for row in silver} == {f"for Ms Old {n}" for n in range(1, 8)}
    assert {(row["account_number"], row["counterparty_account"]) for row in silver} == {("11111111", "****")}
    assert "22222222" not in said


def test_who_comes_again_after_an_erasure_is_somebody_new(old: Path) -> None:
    token = opened(old / "lake").subjects.token("990001-11111111")  # type: ignore[union-attr]
    leofric("subject", "erase", "990001-11111111", "--lake", str(old / "lake"), "--why", "the customer asked", "--yes")
    write_csv(old / "more/b.csv", [of_one(30, "11111111", "22222222", 2026)])
    load(old / "more", old / "lake")
    subjects = opened(old / "lake").subjects
    assert subjects is not None
    assert subjects.token("990001-11111111") not in (None, token)
    assert faults(old / "lake") == []


def test_a_legal_hold_keeps_a_key_from_being_destroyed(old: Path) -> None:
    lake = str(old / "lake")
    leofric("retention", "hold", "add", "--account", "990001-11111111", "--lake", lake, "--why", "a court asked")
    assert found_in(old / "lake", {"11111111"}) == {}, "the hold names nobody"
    assert "990001-11111111" in leofric("retention", "hold", "list", "--lake", lake, "--json").stdout
    said = json.loads(leofric("subject", "erase", "990001-11111111", "--lake", lake, "--why", "asked", "--yes", "--json").stdout)
    assert said["decision"]["outcome"] != "erase", said
    assert opened(old / "lake").subjects.token("990001-11111111") is not None  # type: ignore[union-attr]
    item = str(next(iter(items_of(old / "lake").values())))
    shown = leofric("quarantine", "show", item, "--lake", lake, "--json").stdout
    seen = leofric("query", "select account_number, description from silver_transactions", "--lake", lake).stdout
    for answer in (shown, seen):
        assert "11111111" not in answer, "who is restricted is shown to nobody"
        assert "****" in answer
    assert "33333333" in leofric("query", "select counterparty_account from silver_transactions", "--lake", lake).stdout


def test_relationships_count_in_a_sealed_lake_and_name_nobody_there(old: Path) -> None:
    (old / "who.csv").write_text("account,kind,ended_on\n990001-22222222,customer,2026-03-20\n")
    leofric("retention", "relationships", "load", str(old / "who.csv"), "--lake", str(old / "lake"), "--in-force-from", "2014-01-01")
    assert found_in(old / "lake", {"22222222"}) == {}
    shown = json.loads(leofric("subject", "show", "990001-22222222", "--lake", str(old / "lake"), "--json").stdout)
    assert shown["if_erased"]["outcome"] == "restrict"
    assert shown["if_erased"]["until"] == "2031-03-20"


def test_a_query_is_answered_as_on_a_plain_lake_also_where_a_filter_is_on_what_is_sealed(both: Path) -> None:
    sql = "select transaction_id, account_number, payee, description from silver_transactions where {} order by transaction_id"
    account, text = (rows(both / "plain", SILVER)[5][name] for name in ("account_number", "description"))
    for condition in (f"account_number = '{account}'", f"description = '{text}'", "payee like '99%' and counterparty_account is not null"):
        plain, other = (leofric("query", sql.format(condition), "--lake", str(both / lake)).stdout for lake in ("plain", "lake"))
        assert plain == other
        assert account in plain or text in plain


def test_a_trace_shows_the_record_opened(both: Path) -> None:
    (row,) = [one for one in rows(both / "plain", SILVER) if one["counterparty_iban"]][:1]
    (way,) = json.loads(leofric("trace", row["transaction_id"], "--lake", str(both / "lake"), "--json").stdout)["ways"]
    assert way["row"]["account_number"] == row["account_number"]
    assert json.loads(way["source"]["record"])["account_number"] == row["account_number"]


def test_a_sealed_lake_is_made_once(tmp_path: Path) -> None:
    sealed.make(tmp_path)
    with pytest.raises(Exception, match="is a lake already"):
        create_sealed(Storage(str(tmp_path / "lake")), secrets.token_bytes(16), str(tmp_path / "other"), 30)
