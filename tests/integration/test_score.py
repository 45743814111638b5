"""Scoring: every accepted payment has one score, the one that looking at all payments gives, however and whenever it came."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from app.compliance.access import Change
from app.compliance.masking import STARS, token, token_key
from app.compliance.roles import Role
from app.contracts.lake import ALERTS, BANDS, DRIFT_DAILY, SCORES, SILVER
from app.errors import UsageError
from app.features import feature_set
from app.lake import delta, runs
from app.lake.access import decide
from app.settings import Settings, operated_by
from models import archive
from pipelines import cli, score, verify
from pipelines.executor import Executor, InProcess
from pipelines.past import read_past
from pipelines.progress import Silent
from tests.support.champion import forest, put_into_use
from tests.support.lake import NOW, load, opened, rows
from tests.support.landing import Record, record, write_csv
from tests.support.tampering import Tamper, Tampering, change_a_currency, cut_in_half, double_a_row, drop_a_row, move_a_penny, remove
from tests.support.tampering import staged_scores as scores_file

ONE_SHARD, MANY_SHARDS = Settings(), Settings(score_shard_rows=40, block_rows=30, silver_file_rows=50)


def payments(count: int = 300) -> list[Record]:
    """Five days; a few accounts pay one another and others, so that most have a past; both legs of some transfers."""
    rng = np.random.default_rng(4)
    found = []
    for number in range(count):
        payer, payee = rng.choice(12, 2, replace=False).tolist()
        instant = f"2026-03-{1 + number * 5 // count:02d}T{int(rng.integers(24)):02d}:{int(rng.integers(3)) * 20:02d}:00Z"
        amount = f"{int(rng.integers(1, 50)) * 40}.00"
        leg = {"timestamp": instant, "currency": "GBP" if rng.random() < 0.9 else "EUR", "channel": ""}
        accounts = (f"{10_000_000 + payer}", f"{10_000_000 + payee}")
        sides = {"counterparty_sort_code": "990001"}
        found.append(record(2 * number, account_number=accounts[0], counterparty_account=accounts[1], amount=f"-{amount}", **leg, **sides))
        if payee % 3 == 0:
            found.append(
                record(2 * number + 1, account_number=accounts[1], counterparty_account=accounts[0], amount=amount, **leg, **sides)
            )
    return found


def scored(lake: Path, settings: Settings = ONE_SHARD, executor: Executor | None = None) -> dict[str, Any]:
    return score.score(opened(lake).storage, settings, executor or InProcess(), Silent(), NOW)


def lake_of(folder: Path, deliveries: Sequence[Sequence[Record]], settings: Settings = ONE_SHARD) -> tuple[Path, list[dict[str, Any]]]:
    """A lake that was given these deliveries one after the other, scored after each; and the certificates of scoring."""
    lake, certificates = folder / "lake", []
    for number, delivery in enumerate(deliveries):
        write_csv(folder / f"landing/{number}.csv", delivery)
        load(folder / "landing", lake, settings)
        if number == 0:
            put_into_use(lake)
        certificates.append(scored(lake, settings))
    return lake, certificates


def said(lake: Path) -> dict[str, dict[str, Any]]:
    """Of each payment all that its score says, but not which run wrote it."""
    drop = {"run_id", "scored_at", "loaded_by"}
    return {row["transaction_id"]: {name: value for name, value in row.items() if name not in drop} for row in rows(lake, SCORES)}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lake_of(tmp_path_factory.mktemp("whole"), [payments()])[0]


def test_a_score_is_what_the_model_says_of_the_features_of_all_payments(whole: Path) -> None:
    past = read_past(opened(whole), None, Silent())
    expected = dict(zip(past.transaction_ids.to_pylist(), archive.unpack(forest()[1]).scores(past.vectors).tolist(), strict=True))
    assert {row["transaction_id"]: row["score"] for row in rows(whole, SCORES)} == expected
    assert {row["transaction_id"] for row in rows(whole, SILVER)} == set(expected)


def test_what_is_in_a_higher_band_has_reasons_and_says_them(whole: Path) -> None:
    found = rows(whole, SCORES)
    assert {row["band"] for row in found} == set(BANDS)
    for row in found:
        assert len(row["reasons"]) == len(row["sentences"]) == (0 if row["band"] == "low" else 3)
        assert all(sentence.endswith(".") for sentence in row["sentences"])


def test_shards_and_blocks_change_nothing(whole: Path, tmp_path: Path) -> None:
    lake, _ = lake_of(tmp_path, [payments()], MANY_SHARDS)
    assert said(lake) == said(whole)
    assert alerts_of(lake) == alerts_of(whole)


def alerts_of(lake: Path) -> dict[str, tuple[str, ...]]:
    return {row["alert_id"]: (row["reason"], row["account"], row["sentence"], *row["evidence"]) for row in rows(lake, ALERTS)}


def test_days_in_order_give_what_all_at_once_gives(whole: Path, tmp_path: Path) -> None:
    days: dict[str, list[Record]] = {}
    for one in payments():
        days.setdefault(one["timestamp"][:10], []).append(one)
    lake, certificates = lake_of(tmp_path, list(days.values()), MANY_SHARDS)
    assert said(lake) == said(whole)
    assert alerts_of(lake) == alerts_of(whole)
    assert [certificate["scored_again"] for certificate in certificates] == [0] * 5
    assert drift_of(lake) == drift_of(whole)
    assert not any(verdict.faults for verdict in verify.verify(opened(lake)))


def drift_of(lake: Path) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    return {(row["booking_date"], row["subject"]): (row["payments"], row["psi"], *row["counts"]) for row in rows(lake, DRIFT_DAILY)}


@pytest.mark.parametrize("settings", [ONE_SHARD, MANY_SHARDS], ids=["one shard", "many shards"])
def test_late_payments_change_the_scores_after_them_and_are_counted(whole: Path, tmp_path: Path, settings: Settings) -> None:
    order = np.random.default_rng(5).permutation(len(payments()))
    mixed = [payments()[place] for place in order]
    lake, certificates = lake_of(tmp_path, [mixed[:200], mixed[200:210], mixed[210:]], settings)
    assert said(lake) == said(whole)
    assert certificates[0]["scored_again"] == 0
    assert 0 < certificates[1]["scored_again"] < 200
    assert set(alerts_of(whole)) <= set(alerts_of(lake))
    assert not any(verdict.faults for verdict in verify.verify(opened(lake)))


def test_the_certificate_says_what_was_scored_and_nothing_is_scored_twice(whole: Path) -> None:
    load_row, score_row = runs.runs(opened(whole))
    loaded, certificate = (json.loads(row["certificate"]) for row in (load_row, score_row))
    totals = {
        "records": loaded["totals"]["accepted"],
        "amount_minor": {c: a["accepted"] for c, a in loaded["totals"]["amount_minor"].items()},
    }
    assert certificate["scored"] == {load_row["run_id"]: totals}
    assert sum(certificate["bands"].values()) == totals["records"]
    assert score.nothing_to_do(opened(whole).storage)


@pytest.mark.parametrize(
    ("tamper", "why"),
    [
        (drop_a_row, "are scored"), (double_a_row, "are scored"), (move_a_penny, "minor units of"), (change_a_currency, "minor units of"),
        (cut_in_half, "cannot be read back"), (remove, "cannot be read back"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)  # fmt: skip
def test_scores_that_do_not_reconcile_are_not_published(whole: Path, tmp_path: Path, tamper: Tamper, why: str) -> None:
    write_csv(tmp_path / "landing/a.csv", payments())
    load(tmp_path / "landing", tmp_path / "lake")
    put_into_use(tmp_path / "lake")
    certificate = scored(tmp_path / "lake", executor=Tampering(tmp_path / "lake", tamper, scores_file))
    assert (certificate["status"], certificate["reconciled"], certificate["scored"]) == ("failed", False, {})
    assert why in certificate["error"]
    assert [rows(tmp_path / "lake", contract) for contract in (SCORES, ALERTS, DRIFT_DAILY)] == [[], [], []]
    assert scored(tmp_path / "lake")["status"] == "succeeded"
    assert said(tmp_path / "lake") == said(whole)


@pytest.mark.parametrize("tamper", [drop_a_row, double_a_row, move_a_penny, change_a_currency])
def test_verification_finds_scores_that_were_changed_afterwards(tmp_path: Path, tamper: Tamper) -> None:
    lake, (certificate,) = lake_of(tmp_path, [payments(60)])
    table = opened(lake).table(SCORES)
    old = pa.table(table.get_add_actions())["path"][0].as_py()
    changed = delta.stage(
        opened(lake).storage, SCORES, "changed", pq.ParquetFile(lake / SCORES.path / old).read(), {"booking_date": old[13:23]}, NOW
    )
    tamper(lake / SCORES.path / changed.path)
    changed = replace(changed, size=(lake / SCORES.path / changed.path).stat().st_size)
    delta.commit(table, SCORES, delta.Change((changed,), (old,)), 3, "somebody", NOW)
    assert [verdict.run_id for verdict in verify.verify(opened(lake)) if verdict.faults] == [certificate["run_id"]]


def test_verification_says_which_table_has_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    lake, _ = lake_of(tmp_path, [payments(60)])
    cut_in_half(next((lake / SCORES.path).rglob("part-*.parquet")))
    ran = CliRunner().invoke(cli.app, ["certificate", "verify", "--lake", str(lake)])
    assert (ran.exit_code, "gold/scores cannot be read" in ran.stderr) == (1, True)


def test_models_raise_no_alerts_of_the_time_before_they_were_trained(whole: Path) -> None:
    card, _ = forest()
    models_own = [row for row in rows(whole, ALERTS) if row["scenario"] == "unusual"]
    assert models_own
    assert min(row["fired_at"].isoformat() for row in models_own) >= card.trained["from"]


def test_an_account_that_wakes_after_a_year_is_known_to_be_dormant_and_not_new(tmp_path: Path) -> None:
    def paid(number: int, day: str, account: str, pounds: str) -> Record:
        return record(number, timestamp=f"{day}T10:00:00Z", account_number=account, amount=pounds, channel="")

    long_ago = [paid(1, "2024-11-01", "10000001", "-5.00"), paid(2, "2024-12-01", "10000001", "7.00")]
    today = [paid(3, "2026-03-02", "10000001", "-6000.00"), paid(4, "2026-03-02", "10000002", "-6000.00")]
    lake, _ = lake_of(tmp_path, [long_ago, today])
    (alert,) = [row for row in rows(lake, ALERTS) if row["scenario"] == "dormant"]
    assert (alert["account"], alert["evidence"]) == ("990001-10000001", ["T000003"])
    assert "after 455 days without a payment" in alert["sentence"]


def test_without_a_champion_there_is_no_score(tmp_path: Path) -> None:
    write_csv(tmp_path / "landing/a.csv", payments(5))
    load(tmp_path / "landing", tmp_path / "lake")
    with pytest.raises(UsageError, match="models promote"):
        scored(tmp_path / "lake")
    ran = CliRunner().invoke(cli.app, ["score", "--lake", str(tmp_path / "nowhere")])
    assert (ran.exit_code, "there is no lake" in ran.stderr) == (1, True)


def test_features_are_listed_and_written_as_models_take_them(whole: Path, tmp_path: Path) -> None:
    listed = json.loads(CliRunner().invoke(cli.app, ["features", "--json"]).stdout)
    assert [feature["name"] for feature in listed][: feature_set.COUNT] == list(feature_set.NAMES)
    output = tmp_path / "features.parquet"
    assert CliRunner().invoke(cli.app, ["features", "--lake", str(whole), "--output", str(output)]).exit_code == 0
    written = pq.read_table(output)
    past = read_past(opened(whole), None, Silent())
    assert written["transaction_id"].to_pylist() == past.transaction_ids.to_pylist()
    assert np.array_equal(np.stack([written[name].to_numpy() for name in feature_set.NAMES], axis=1), past.vectors)
    assert CliRunner().invoke(cli.app, ["features", "--lake", str(whole)]).exit_code == 2
    assert CliRunner().invoke(cli.app, ["features", "--lake", str(whole), "--output", str(tmp_path / "no/where")]).exit_code == 2


def test_alerts_are_held_against_labels(whole: Path, tmp_path: Path) -> None:
    alerts = rows(whole, ALERTS)
    cycles = {one for row in alerts if row["scenario"] == "cycle" for one in row["evidence"]}
    ids = sorted(row["transaction_id"] for row in rows(whole, SILVER))
    lines = [f"{one},{int(one in cycles)},{'ring' if one in cycles else ''}" for one in ids]
    labels = tmp_path / "labels.csv"
    labels.write_text("\n".join(["transaction_id,is_suspicious,typology", *lines]) + "\n")
    found = json.loads(CliRunner().invoke(cli.app, ["alerts", "compare", "--lake", str(whole), "--labels", str(labels), "--json"]).stdout)
    (ring,) = found["typologies"]
    assert (ring["typology"], ring["payments"], ring["in an alert"]) == ("ring", len(cycles), len(cycles))
    of_cycles = next(row for row in found["scenarios"] if row["scenario"] == "cycle")
    assert of_cycles["alerts"] == of_cycles["with a suspicious payment"] == sum(row["scenario"] == "cycle" for row in alerts)


def test_an_alert_is_listed_and_shown_with_its_payments(whole: Path) -> None:
    listed = CliRunner().invoke(cli.app, ["alerts", "list", "--lake", str(whole), "--scenario", "unusual", "--json"])
    first = json.loads(listed.stdout)[0]
    shown = CliRunner().invoke(cli.app, ["alerts", "show", first["alert_id"][:12], "--lake", str(whole), "--json"])
    document = json.loads(shown.stdout)
    assert [payment["transaction_id"] for payment in document["payments"]] == first["evidence"]
    assert max(payment["score"] for payment in document["payments"]) == first["score"]
    assert CliRunner().invoke(cli.app, ["alerts", "show", "nothing", "--lake", str(whole)]).exit_code == 1
    assert first["sentence"].split()[0] in CliRunner().invoke(cli.app, ["alerts", "show", first["alert_id"], "--lake", str(whole)]).stdout


def test_an_alert_is_as_clear_as_who_looks(whole: Path, tmp_path: Path) -> None:
    lake = Path(shutil.copytree(whole, tmp_path / "closed"))
    for person, role in (("boss", Role.APPROVER), ("ana", Role.ANALYST), ("audi", Role.AUDITOR)):
        decide(opened(lake).storage, Change.GRANT, person, role, "to work", "2026-03-04T09:00:00+00:00", "boss")

    def alerts(person: str, *words: str) -> Any:
        with operated_by(person):
            ran = CliRunner().invoke(cli.app, ["alerts", *words, "--lake", str(lake), "--json"])
        assert ran.exit_code == 0, ran.output
        return json.loads(ran.stdout)

    key = token_key(opened(lake).key)
    first = alerts("boss", "list")[0]
    account = token(first["account"].encode(), key)
    found = alerts("ana", "list", "--account", account)
    assert found
    assert [one["alert_id"] for one in found] == [one["alert_id"] for one in alerts("boss", "list", "--account", first["account"])]
    assert alerts("ana", "list", "--account", first["account"]) == []
    assert {one["account"] for one in alerts("audi", "list")} == {STARS}
    clear, shown = (alerts(person, "show", first["alert_id"]) for person in ("boss", "ana"))
    assert (shown["account"], shown["evidence"], shown["score"]) == (account, clear["evidence"], clear["score"])
    for one, seen in zip(clear["payments"], shown["payments"], strict=True):
        assert seen["payer"] == token(one["payer"].encode(), key)
        assert {name: seen[name] for name in ("transaction_id", "amount_minor", "band", "score")} == {
            name: one[name] for name in ("transaction_id", "amount_minor", "band", "score")
        }
    with operated_by("ana"):
        assert account in CliRunner().invoke(cli.app, ["alerts", "show", first["alert_id"], "--lake", str(lake)]).stdout.replace("\n", "")
