"""The audit trail as auditors and those whom it watches see it: the command line on a lake."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from app.compliance.audit import Action
from app.contracts.lake import AUDIT, SILVER
from app.errors import AuditError, LeofricError
from app.lake import registry, runs
from app.lake.storage import Storage
from app.settings import Settings
from pipelines import reconcile, verify
from pipelines.cli import app
from pipelines.executor import InProcess
from pipelines.progress import Silent
from pipelines.score import score
from tests.support.audit import OTHER_SECRET, SECRET, ed25519_key
from tests.support.challenger import GOOD, register
from tests.support.champion import forest
from tests.support.lake import load, load_modulus_table, opened, rows
from tests.support.landing import records, write_csv


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    folder = tmp_path / "lake"
    folder.mkdir()
    return folder


def leofric(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


def done(*words: object) -> str:
    ran = leofric(*words)
    assert ran.exit_code == 0, ran.output
    return str(ran.stdout)


def loaded(lake: Path, first: int = 1) -> dict[str, Any]:
    write_csv(lake.parent / f"landing-{first}" / "a.csv", records(first, first + 20))
    return load(lake.parent / f"landing-{first}", lake)


def listed(lake: Path, *words: object) -> list[dict[str, Any]]:
    return list(json.loads(done("audit", "list", "--lake", lake, "--json", *words)))


def test_a_run_and_each_table_that_it_changed_are_written_down(lake: Path) -> None:
    certificate = loaded(lake)
    (run,) = listed(lake, "--action", "run")
    assert (run["object"], run["result"], run["actor_kind"]) == (certificate["run_id"], "succeeded", "person")
    assert run["details"]["accepted"] == certificate["totals"]["accepted"]
    assert run["frameworks"]
    assert run["retention"] == "P6Y"
    commits = listed(lake, "--action", "commit")
    versions = {entry["object"]: entry["object_version"] for entry in commits}
    assert versions[SILVER.path] == str(certificate["tables"][SILVER.path]["version"])
    assert certificate["audit"] == {"sequence": len(commits) + 1, "hash": run["hash"]}
    assert [verdict.faults for verdict in verify.verify(opened(lake))] == [()]


def test_what_people_do_is_written_down_with_who_why_and_how_it_ended(lake: Path) -> None:
    load_modulus_table(lake)
    loaded(lake)
    card, data = forest()
    registry.keep(opened(lake).storage, card, data)
    register(lake, GOOD)
    held = leofric("models", "promote", card.model_id, "--lake", lake, "--why", "the first")
    assert held.exit_code == 1
    done("models", "promote", card.model_id, "--lake", lake, "--why", "the first", "--without-gate")
    done("models", "rollout", "start", GOOD, "--lake", lake, "--mode", "shadow", "--share", 0.5, "--why", "to try")
    done("models", "rollout", "stop", "--lake", lake, "--why", "enough")
    done("keys", "create", "--name", "payments", "--scope", "score", "--lake", lake)
    done("keys", "revoke", "--name", "payments", "--lake", lake, "--why", "it leaked")
    labels = lake.parent / "labels.csv"
    (first, *_) = rows(lake, SILVER)
    labels.write_text(f"transaction_id,is_suspicious,typology\n{first['transaction_id']},1,mule\n")
    done("feedback", "import", labels, "--lake", lake)
    score(Storage(str(lake)), Settings(), InProcess(), Silent())
    acts = [(entry["action"], entry["object"], entry["result"], entry["reason"]) for entry in listed(lake) if entry["action"] != "commit"]
    run_ids = [row["run_id"] for row in runs.runs(opened(lake))]
    assert acts == [
        ("reference.load", "modulus synthetic", "succeeded", None),
        ("run", run_ids[0], "succeeded", None),
        ("model.promote", card.model_id, "failed", "the first"),
        ("model.promote", card.model_id, "succeeded", "the first"),
        ("rollout.start", GOOD, "succeeded", "to try"),
        ("rollout.stop", GOOD, "succeeded", "enough"),
        ("key.create", "payments", "succeeded", None),
        ("key.revoke", "payments", "succeeded", "it leaked"),
        ("feedback.import", run_ids[1], "succeeded", None),
        ("run", run_ids[2], "succeeded", None),
    ]
    table = done("audit", "list", "--lake", lake, "--action", "key", "--object", "pay")
    assert "key.create" in table
    assert "model.promote" not in table
    assert listed(lake, "--actor", "nobody") == listed(lake, "--since", "2999-01-01") == []


def test_a_run_that_fails_is_written_down(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded(lake)

    def broken(*_: object) -> None:
        raise LeofricError("the disk is full")

    monkeypatch.setattr(reconcile, "placed", broken)
    with pytest.raises(LeofricError, match="the disk is full"):
        loaded(lake, 100)
    failed = listed(lake, "--action", "run")[-1]
    assert (failed["result"], failed["details"]) == ("failed", {"error": "LeofricError: the disk is full"})
    done("audit", "verify", "--lake", lake)


def test_nothing_is_done_while_the_trail_cannot_be_written(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded(lake)
    monkeypatch.setenv("LEOFRIC_AUDIT_STORE", "postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(AuditError, match="cannot be used"):
        loaded(lake, 100)
    refused = leofric("keys", "create", "--name", "payments", "--scope", "score", "--lake", lake)
    assert refused.exit_code == 1
    assert "the audit trail in PostgreSQL cannot be used" in " ".join(refused.output.split())
    monkeypatch.delenv("LEOFRIC_AUDIT_STORE")
    assert len(runs.runs(opened(lake))) == 1
    assert leofric("keys", "list", "--lake", lake).stdout == ""


@pytest.mark.parametrize("kind", ["secret", "ed25519"])
def test_an_export_is_verified_far_from_the_lake(lake: Path, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, trusted, pair = tmp_path / "key", tmp_path / "trusted", ed25519_key()
    key.write_bytes(SECRET.secret if kind == "secret" else pair.pem)
    trusted.write_bytes(SECRET.secret if kind == "secret" else pair.public.pem)
    monkeypatch.setenv("LEOFRIC_AUDIT_KEY_FILE", str(key))
    loaded(lake)
    file = tmp_path / "trail.ndjson"
    assert "entries in" in done("audit", "export", file, "--lake", lake, "--why", "the yearly audit")
    entry = listed(lake)[-1]
    assert (entry["action"], entry["reason"], entry["details"]["file"]) == ("export", "the yearly audit", "trail.ndjson")
    monkeypatch.delenv("LEOFRIC_AUDIT_KEY_FILE")
    whole = done("audit", "verify", "--export", file, "--trusted-key", trusted)
    assert "the chain is whole" in whole
    assert "vouched for by a trusted key" in whole
    assert "signatures were not checked" in done("audit", "verify", "--export", file)
    again = leofric("audit", "export", file, "--lake", lake)
    assert again.exit_code == 2
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:2], lines[2].replace('"result":"succeeded"', '"result":"denied"'), *lines[3:]]) + "\n")
    bad = leofric("audit", "verify", "--export", file, "--trusted-key", trusted, "--json")
    assert bad.exit_code == 1
    assert json.loads(bad.stdout)["fault"]["entry"] == 3
    file.write_text("\n".join(lines[:-1]) + "\n")
    cut = leofric("audit", "verify", "--export", file, "--trusted-key", trusted)
    assert cut.exit_code == 1
    assert "its closing line is missing" in cut.stdout


def test_what_is_done_to_the_table_is_found_and_the_first_entry_named(lake: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LEOFRIC_AUDIT_KEY", SECRET.secret.decode())
    loaded(lake)
    before = done("audit", "verify", "--lake", lake)
    head = next(word for word in before.split() if ":" in word and word[0].isdigit())
    loaded(lake, 100)
    done("audit", "verify", "--lake", lake, "--head", head)
    other = tmp_path / "other"
    other.write_bytes(OTHER_SECRET.secret)
    stranger = leofric("audit", "verify", "--lake", lake, "--trusted-key", other)
    assert stranger.exit_code == 1
    assert "no trusted key vouches for entry 1" in " ".join(stranger.stdout.split())
    newest = max((lake / AUDIT.path).glob("*.parquet"))
    held = pq.ParquetFile(newest).read()
    reasons = pa.array(["because"] * held.num_rows, pa.string())
    pq.write_table(held.set_column(held.schema.get_field_index("reason"), "reason", reasons), newest)
    bad = leofric("audit", "verify", "--lake", lake)
    assert bad.exit_code == 1
    first = min(held["sequence"].to_pylist())
    assert f"The first bad entry is {first}: entry {first} (commit, " in " ".join(bad.stdout.split())
    assert leofric("audit", "export", tmp_path / "bad.ndjson", "--lake", lake).exit_code == 1
    assert not (tmp_path / "bad.ndjson").exists()


def test_a_trail_that_was_taken_back_with_its_notes_is_found_by_the_certificates(lake: Path) -> None:
    loaded(lake)
    loaded(lake, 100)
    log = lake / AUDIT.path / "_delta_log"
    for path in log.glob("*"):
        if path.name.startswith(f"{2:020d}"):
            path.unlink()
    opened(lake).storage.delete_below("_leofric/audit_heads")
    bad = leofric("audit", "verify", "--lake", lake, "--json")
    assert bad.exit_code == 1
    fault = json.loads(bad.stdout)["fault"]
    assert fault["kind"] == "truncated"
    assert runs.runs(opened(lake))[-1]["run_id"] in fault["what"]


def test_a_trail_without_a_key_says_what_it_cannot_show(lake: Path) -> None:
    loaded(lake)
    assert "not anchored: a rewrite of the whole log would not be seen" in done("audit", "verify", "--lake", lake)


def test_what_is_wrongly_asked_is_refused(lake: Path, tmp_path: Path) -> None:
    loaded(lake)
    for words in (
        ("verify",),
        ("verify", "--lake", lake, "--export", tmp_path / "x"),
        ("verify", "--lake", lake, "--head", "7"),
        ("verify", "--export", tmp_path / "none"),
        ("verify", "--lake", lake, "--trusted-key", tmp_path / "none"),
        ("export", tmp_path / "no" / "folder", "--lake", lake),
    ):
        assert leofric("audit", *words).exit_code == 2, words
    assert {entry["action"] for entry in listed(lake)} <= set(Action)
