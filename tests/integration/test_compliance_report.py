"""The evidence of a period: what it says, that it names nobody, and that a changed byte of it is found."""

import json
import re
import shutil
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import html5lib
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from typer.testing import CliRunner

from app.compliance.anchors import Ed25519Key
from app.compliance.audit import Action
from app.contracts.lake import ALERTS, AUDIT, CORRECTIONS, QUARANTINE, RUNS, SCORES, SILVER
from app.contracts.table import Classification
from app.lake.storage import Storage
from app.settings import Settings
from pipelines import compliance_bundle
from pipelines.cli import app
from pipelines.compliance_runs import adds_up
from pipelines.executor import InProcess
from pipelines.progress import Silent
from pipelines.score import score
from tests.support.audit import SECRET, ed25519_key
from tests.support.champion import forest, put_into_use
from tests.support.lake import NOW, load, load_modulus_table, opened, rows
from tests.support.landing import record, records, write_csv
from tests.support.review import correct, items_of, replayed
from tests.support.tampering import move_a_penny

SECRETIVE = "for Zebedee's wedding, 12-34-56 87654321"
TODAY = datetime.now(UTC).date().isoformat()
FILES = ("report.json", "report.html", "report.sig")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with two loads, a replay, scores, feedback, a key that was revoked, and somebody who was refused."""
    folder = tmp_path_factory.mktemp("made")
    lake = folder / "lake"
    load_modulus_table(lake)
    wrong = [record(31, amount="x"), record(32, sort_code="1"), record(33, timestamp="2026-03-01T00:00:00")]
    iban = record(34, counterparty_sort_code="", counterparty_account="", counterparty_iban="GB29NWBK60161331926819")
    write_csv(folder / "one/a.csv", [*records(1, 30), *wrong, iban, record(35, description=SECRETIVE), record(1)])
    load(folder / "one", lake)
    items = items_of(lake)
    correct(lake, {items[31]: {"amount": "1.00"}, items[32]: None})
    replayed(lake)
    put_into_use(lake)
    write_csv(folder / "two/b.csv", [record(n, currency="EUR") for n in range(50, 60)])
    load(folder / "two", lake, now=NOW + timedelta(days=3))
    score(Storage(str(lake)), Settings(), InProcess(), Silent(), NOW + timedelta(days=3))
    (folder / "labels.csv").write_text("transaction_id,is_suspicious,typology\nT000002,1,mule\nT000003,0,\n")
    done("feedback", "import", folder / "labels.csv", "--lake", lake)
    done("keys", "create", "--name", "payments", "--scope", "score", "--lake", lake)
    done("keys", "revoke", "--name", "payments", "--lake", lake)
    done("trace", "T000004", "--lake", lake)
    done("quarantine", "propose", str(items[33]), "--leave-out", "--why", SECRETIVE, "--lake", lake)
    refused = leofric("quarantine", "approve", str(items[33]), "--why", "mine", "--lake", lake)
    assert "somebody else" in refused.stderr
    return lake


@pytest.fixture
def lake(made: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    return Path(shutil.copytree(made, tmp_path / "lake"))


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ed25519Key:
    """A key that signs what is made from now on; its public half is in public.pem."""
    pair = ed25519_key()
    (tmp_path / "private.pem").write_bytes(pair.pem)
    (tmp_path / "public.pem").write_bytes(pair.public.pem)
    monkeypatch.setenv("LEOFRIC_SIGNING_KEY_FILE", str(tmp_path / "private.pem"))
    return pair


def leofric(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


def done(*words: object) -> str:
    ran = leofric(*words)
    assert ran.exit_code == 0, ran.output
    return str(ran.stdout)


def report(lake: Path, folder: Path, first: str = "2026-03-01", last: str = TODAY) -> dict[str, Any]:
    done("compliance", "report", folder, "--from", first, "--to", last, "--lake", lake, "--why", "the yearly audit")
    return dict(json.loads((folder / "report.json").read_text()))


def test_a_report_says_what_the_lake_holds_of_the_period(lake: Path, tmp_path: Path) -> None:
    sections = report(lake, tmp_path / "bundle")["sections"]
    certificates = [json.loads(row["certificate"]) for row in rows(lake, RUNS)]
    said = {run["run_id"]: run for run in sections["runs"]["runs"]}
    assert {one["run_id"]: one["totals"]["records"] for one in certificates} == {name: run["records"] for name, run in said.items()}
    assert all(run["adds_up"] and run["holds_now"] and run["status"] == "succeeded" for run in said.values())
    assert [row["kind"] for row in sections["runs"]["by_kind"]] == ["feedback", "load", "replay", "score"]
    loads = next(row for row in sections["runs"]["by_kind"] if row["kind"] == "load")
    assert (loads["runs"], loads["records"], loads["quarantined"], loads["duplicates"]) == (2, 46, 3, 1)
    assert [type(row["not_succeeded"]) for row in sections["runs"]["by_kind"]] == 4 * [int]
    for row in sections["runs"]["money"]:
        assert row["source"] == row["accepted"] + row["quarantined"] + row["duplicates"]
    last = max(rows(lake, RUNS), key=lambda row: int(row["sequence"]))
    assert sections["chain"]["after"] == {"sequence": len(certificates), "hash": last["hash"]}
    assert sections["chain"]["before"]["sequence"] == 0
    assert (sections["quarantine"]["came"], sections["quarantine"]["stood_as_of"]) == (3, "2026-03-07")
    assert {row["reason"]: row["records"] for row in sections["quarantine"]["came_by_reason"]}["amount_format"] == 1
    assert sum(row["records"] for row in sections["quarantine"]["stood"]) == 3
    assert {row["dimension"] for row in sections["quality"]["days"]} >= {"completeness", "validity"}
    assert [row["action"] for row in sections["models"]["decided"]] == ["promote"]
    assert [row["model_id"] for row in sections["models"]["in_use_at_end"]] == [forest()[0].model_id]
    assert sum(row["alerts"] for row in sections["alerts"]["raised"]) == len(rows(lake, ALERTS))
    assert sections["feedback"]["decided"] == [{"is_suspicious": False, "payments": 1}, {"is_suspicious": True, "payments": 1}]
    assert {row["model_id"] for row in sections["drift"]["subjects"]} == {forest()[0].model_id}
    assert [(row["name"], row["act"]) for row in sections["keys"]["changed"]] == [("payments", "created"), ("payments", "revoked")]
    assert sections["keys"]["good_at_end"] == 0
    assert [(row["version"], row["in_force"]) for row in sections["reference"]["tables"]] == [("synthetic", True)]
    assert {row["table"]: row["rows"] for row in sections["versions"]["tables"]}[SILVER.path] == len(rows(lake, SILVER))


def test_four_eyes_are_counted_and_who_was_refused_is_pointed_to(lake: Path, tmp_path: Path) -> None:
    sections = report(lake, tmp_path / "bundle")["sections"]
    eyes = sections["four_eyes"]
    counted = {row["act"]: (row["decisions"], row["records"]) for row in eyes["decided"]}
    assert counted == {"proposed": (2, 3), "approved": (1, 1), "closed": (1, 1), "accepted": (1, 1)}
    assert (eyes["proposers"], eyes["approvers"], eyes["refused"]) == (2, 1, 1)
    assert eyes["approved_by_who_proposed"] == eyes["approved_without_a_proposal"] == []
    (denied,) = sections["trail"]["denied"]
    entry = next(row for row in rows(lake, AUDIT) if row["result"] == "denied")
    assert (denied["entry"], denied["action"]) == (entry["sequence"], "review.decide")
    acts = {(row["action"], row["result"]): row["entries"] for row in sections["trail"]["acts"]}
    assert acts["view", "succeeded"] == acts["key.create", "succeeded"] == acts["key.revoke", "succeeded"] == 1
    assert sum(acts.values()) == sections["trail"]["entries"] == len(rows(lake, AUDIT)) - 1  # the export itself came after


def test_a_period_has_its_own_days_only(lake: Path, tmp_path: Path) -> None:
    one = report(lake, tmp_path / "one", "2026-03-04", "2026-03-06")
    assert [run["kind"] for run in one["sections"]["runs"]["runs"]] == ["load", "replay"]
    assert one["sections"]["trail"]["acts"] == [], "what was written down today is not of March"
    assert one["sections"]["models"]["in_use_at_end"][0]["kind"] == "isolation_forest"
    two = report(lake, tmp_path / "two", "2026-03-07", "2026-03-07")
    assert [run["kind"] for run in two["sections"]["runs"]["runs"]] == ["load", "score"]
    assert two["sections"]["chain"]["before"] == one["sections"]["chain"]["after"]
    assert (two["sections"]["quarantine"]["came"], two["sections"]["quarantine"]["stood_as_of"]) == (0, "2026-03-07")


def test_a_period_in_which_nothing_happened_says_so(lake: Path, tmp_path: Path) -> None:
    sections = report(lake, tmp_path / "bundle", "2026-04-01", "2026-04-30")["sections"]
    assert sections["runs"]["runs"] == sections["runs"]["money"] == sections["alerts"]["raised"] == sections["trail"]["denied"] == []
    assert sections["chain"]["before"] == sections["chain"]["after"]
    assert sections["runs"]["certificates_of_the_lake"] == len(rows(lake, RUNS))
    assert "None." in (tmp_path / "bundle/report.html").read_text()


def test_no_account_and_no_description_is_in_a_bundle(lake: Path, tmp_path: Path) -> None:
    report(lake, tmp_path / "bundle")
    text = "".join((tmp_path / "bundle" / name).read_text() for name in FILES)
    names = {column.name for column in SILVER.columns if column.classification is Classification.PERSONAL} | {"transaction_id", "sort_code"}
    silver = rows(lake, SILVER)
    held = {str(row[name]) for row in silver for name in names | {"counterparty_sort_code"} if row[name]}
    held |= {part for row in silver for party in (row["payer"], row["payee"]) if party for part in party.split("-")}
    held |= {row["account"] for row in rows(lake, ALERTS)} | {row["sentence"] for row in rows(lake, ALERTS)}
    held |= {row["raw_record"].decode() for row in rows(lake, QUARANTINE)}
    assert len(held) > 100
    assert "GB29NWBK60161331926819" in held
    assert [value for value in held | {SECRETIVE, "Zebedee", "ada", "grace"} if re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text)] == []


def test_a_certificate_that_no_longer_holds_is_said(lake: Path, tmp_path: Path) -> None:
    DeltaTable(lake / SILVER.path).update(updates={"amount_minor": "amount_minor + 1"}, predicate="transaction_id = 'T000007'")
    sections = report(lake, tmp_path / "bundle")["sections"]
    (bad,) = [run for run in sections["runs"]["runs"] if not run["holds_now"] and run["kind"] == "load"]
    assert {"run_id": bad["run_id"], "faults": bad["faults"]} in sections["runs"]["that_do_not_hold"]
    assert 'class="no">no<' in (tmp_path / "bundle/report.html").read_text()


def test_an_approval_by_who_proposed_is_said(lake: Path, tmp_path: Path) -> None:
    table = DeltaTable(lake / CORRECTIONS.path)
    table.alter.set_table_properties({"delta.appendOnly": "false"})
    table.update(updates={"who": "'ada'"}, predicate="act = 'approved'")
    (approval,) = [row for row in rows(lake, CORRECTIONS) if row["act"] == "approved"]
    sections = report(lake, tmp_path / "bundle")["sections"]
    assert sections["four_eyes"]["approved_by_who_proposed"] == [{"decision": approval["sequence"]}]
    assert sections["runs"]["that_do_not_hold"]


def test_of_a_table_that_cannot_be_read_there_is_no_evidence_and_that_is_written_down(lake: Path, tmp_path: Path) -> None:
    move_a_penny(Path(opened(lake).table(SILVER).file_uris()[0].removeprefix("file://")))
    ran = leofric("compliance", "report", tmp_path / "bundle", "--from", "2026-03-04", "--to", "2026-03-05", "--lake", lake)
    assert (ran.exit_code, "the table silver/transactions cannot be read" in ran.stderr) == (1, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lake"]
    last = max(rows(lake, AUDIT), key=lambda row: int(row["sequence"]))
    assert (last["action"], last["result"]) == ("export", "failed")


def test_totals_that_do_not_add_up_are_seen() -> None:
    money = {"GBP": {"source": 5, "accepted": 4, "quarantined": 1, "duplicates": 0}}
    good = {"records": 3, "accepted": 1, "quarantined": 1, "duplicates": 1, "amount_minor": money}
    assert adds_up(good)
    assert not adds_up(good | {"records": 4})
    assert not adds_up(good | {"amount_minor": {"GBP": money["GBP"] | {"source": 6}}})


def test_a_trail_that_was_tampered_with_is_said_and_the_rest_is_reported(lake: Path, tmp_path: Path) -> None:
    path = Path(opened(lake).table(AUDIT).file_uris()[0].removeprefix("file://"))
    held = pq.ParquetFile(path).read()
    place = held.schema.get_field_index("actor")
    pq.write_table(held.set_column(place, "actor", pa.array(["mallory"] * held.num_rows)), path)
    sections = report(lake, tmp_path / "bundle")["sections"]
    assert not sections["trail"]["holds"]
    assert sections["trail"]["fault"]["kind"] == "edited"
    assert sections["runs"]["runs"]


def test_decisions_of_the_service_that_wait_for_the_trail_are_counted(lake: Path, tmp_path: Path) -> None:
    assert report(lake, tmp_path / "one")["sections"]["trail"]["decisions_of_the_service"] is None
    (lake / "journal/decisions").mkdir(parents=True)
    (lake / "journal/decisions/a.ndjson").write_text("{}\n")
    counted = report(lake, tmp_path / "two")["sections"]["trail"]["decisions_of_the_service"]
    assert counted == {"whole": 0, "gone": 0, "waiting": 1, "faults": 0}


def test_that_a_report_was_made_is_in_the_audit_trail(lake: Path, tmp_path: Path) -> None:
    report(lake, tmp_path / "bundle", "2026-03-04", "2026-03-04")
    entry = rows(lake, AUDIT)
    (export,) = [row for row in entry if row["action"] == Action.EXPORT]
    details = json.loads(export["details"])
    assert (export["object"], export["reason"], export["result"]) == ("compliance report", "the yearly audit", "succeeded")
    assert (details["from"], details["to"], details["signed_by"]) == ("2026-03-04", "2026-03-04", None)
    assert details["files"] == {name: sha256((tmp_path / "bundle" / name).read_bytes()).hexdigest() for name in FILES[:2]}
    done("audit", "verify", "--lake", lake)


def test_the_page_parses_loads_nothing_and_links_to_its_own_sections(lake: Path, tmp_path: Path) -> None:
    document = report(lake, tmp_path / "bundle")
    text = (tmp_path / "bundle/report.html").read_text()
    page = html5lib.HTMLParser(strict=True).parse(text)
    assert not [one.tag for one in page.iter() if str(one.tag).endswith(("script", "link", "img", "iframe", "object"))]
    assert "default-src 'none'" in text
    assert not re.search(r"\b(src|on\w+)=|url\(|@import", re.sub(r">[^<]*<", "><", text))
    places = {one.attrib["id"] for one in page.iter() if "id" in one.attrib}
    links = {one.attrib["href"] for one in page.iter("{http://www.w3.org/1999/xhtml}a")}
    assert links <= {f"#{place}" for place in places}
    assert places == {*document["sections"], "requirements", *(one["id"] for one in document["requirements"])}


def test_what_a_report_says_is_escaped(lake: Path, tmp_path: Path) -> None:
    document = report(lake, tmp_path / "bundle")
    document["sections"]["reference"]["tables"][0]["version"] = "<script>alert(1)</script>"
    text = compliance_bundle.html(document)
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_a_signed_bundle_is_verified_without_the_lake(made: Path, tmp_path: Path, key: Ed25519Key) -> None:
    lake = Path(shutil.copytree(made, tmp_path / "lake"))
    report(lake, tmp_path / "bundle")
    shutil.rmtree(lake)
    said = done("compliance", "verify", tmp_path / "bundle", "--trusted-key", tmp_path / "public.pem")
    assert f"signed by {key.key_id}, which is trusted" in said
    assert f"Signed by the key {key.key_id}" in (tmp_path / "bundle/report.html").read_text()
    assert "add --trusted-key" in done("compliance", "verify", tmp_path / "bundle")
    (tmp_path / "other.pem").write_bytes(ed25519_key().public.pem)
    other = leofric("compliance", "verify", tmp_path / "bundle", "--trusted-key", tmp_path / "other.pem", "--json")
    assert other.exit_code == 1
    assert f"it is signed by {key.key_id}, and the key that is trusted is" in json.loads(other.stdout)["faults"][0]


def test_a_bundle_without_a_key_says_that_it_is_unsigned(lake: Path, tmp_path: Path) -> None:
    ran = done("compliance", "report", tmp_path / "bundle", "--from", "2026-03-04", "--to", "2026-03-05", "--lake", lake)
    assert ran.endswith("unsigned\n")
    assert "<strong>Unsigned:</strong>" in (tmp_path / "bundle/report.html").read_text()
    assert "unsigned: whoever changed all three files would not be found" in " ".join(
        done("compliance", "verify", tmp_path / "bundle").split()
    )
    (tmp_path / "key.pem").write_bytes(ed25519_key().public.pem)
    asked = leofric("compliance", "verify", tmp_path / "bundle", "--trusted-key", tmp_path / "key.pem")
    assert (asked.exit_code, asked.stdout) == (1, "it is unsigned, and a trusted key was named\n")


@pytest.mark.parametrize("signed", [True, False])
def test_a_changed_byte_anywhere_in_a_bundle_is_found(signed: bool, tmp_path: Path) -> None:
    """Every byte of the signature, and every hundredth of the others; without a trusted key."""
    key = ed25519_key() if signed else None
    document: dict[str, Any] = {
        "made_by_version": "another",
        "signed_by": key and key.key_id,
        "period": {},
        "sections": {},
        "requirements": [],
        "words": "x" * 1_000,
    }
    files = {"report.json": json.dumps(document).encode(), "report.html": b"<!DOCTYPE html>" + b"<p>" * 300}
    files["report.sig"] = compliance_bundle.signature_of(files, key)
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    assert compliance_bundle.check(tmp_path, None).faults == ()
    for name, data in files.items():
        for place in range(0, len(data), 1 if name == "report.sig" else 100):
            for changed in {data[place] ^ 0x20, data[place] ^ 0x01, 0xFF} - {data[place]}:
                (tmp_path / name).write_bytes(data[:place] + bytes([changed]) + data[place + 1 :])
                assert compliance_bundle.check(tmp_path, None).faults, f"byte {place} of {name}"
        (tmp_path / name).write_bytes(data + b"\n")
        assert compliance_bundle.check(tmp_path, None).faults
        (tmp_path / name).unlink()
        assert compliance_bundle.check(tmp_path, None).faults == (f"{name} is not there",)
        (tmp_path / name).write_bytes(data)


def test_a_signature_that_was_taken_away_is_missed(lake: Path, tmp_path: Path, key: Ed25519Key) -> None:
    report(lake, tmp_path / "bundle")
    files = {name: (tmp_path / "bundle" / name).read_bytes() for name in FILES[:2]}
    (tmp_path / "bundle/report.sig").write_bytes(compliance_bundle.signature_of(files, None))
    ran = leofric("compliance", "verify", tmp_path / "bundle")
    assert (ran.exit_code, ran.stdout) == (1, f"report.json says that its signature is by {key.key_id}, report.sig is by None\n")


def test_a_page_of_another_report_is_found_though_its_hash_was_mended(lake: Path, tmp_path: Path) -> None:
    report(lake, tmp_path / "bundle")
    files = {name: (tmp_path / "bundle" / name).read_bytes() for name in FILES[:2]}
    files["report.html"] = files["report.html"].replace(b"Evidence from 2026", b"Evidence from 2025")
    (tmp_path / "bundle/report.html").write_bytes(files["report.html"])
    (tmp_path / "bundle/report.sig").write_bytes(compliance_bundle.signature_of(files, None))
    ran = leofric("compliance", "verify", tmp_path / "bundle")
    assert (ran.exit_code, ran.stdout) == (1, "report.html is not made of report.json\n")


@pytest.mark.parametrize(
    ("first", "last", "code", "said"),
    [
        ("2026-03-05", "2026-03-04", 2, "the period ends on 2026-03-04, before it begins on 2026-03-05"),
        ("2026-03-05", "2999-01-01", 2, "of days to come there is no evidence"),
        ("2020-01-01", "2026-03-03", 2, "has nothing of the time up to 2026-03-03: its first run began on 2026-03-04"),
        ("yesterday", "2026-03-04", 2, "does not match the format"),
    ],
)
def test_a_period_that_cannot_be_is_refused_and_nothing_is_written(
    made: Path, tmp_path: Path, first: str, last: str, code: int, said: str
) -> None:
    lake = Path(shutil.copytree(made, tmp_path / "lake"))
    ran = leofric("compliance", "report", tmp_path / "bundle", "--from", first, "--to", last, "--lake", lake)
    assert ran.exit_code == code
    assert said in " ".join(ran.stderr.replace("│", " ").split())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lake"]


def test_a_folder_that_is_taken_and_a_key_that_is_none_are_refused(lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    period = ("--from", "2026-03-04", "--to", "2026-03-05", "--lake", lake)
    taken = leofric("compliance", "report", lake, *period)
    assert (taken.exit_code, "is not an empty folder" in taken.stderr) == (2, True)
    (tmp_path / "empty").mkdir()
    done("compliance", "report", tmp_path / "empty", *period)
    (tmp_path / "secret").write_bytes(SECRET.secret)
    monkeypatch.setenv("LEOFRIC_SIGNING_KEY_FILE", str(tmp_path / "secret"))
    secret = leofric("compliance", "report", tmp_path / "bundle", *period)
    assert (secret.exit_code, "is no Ed25519 private key" in secret.stderr) == (2, True)
    assert not (tmp_path / "bundle").exists()
    nothing = leofric("compliance", "verify", tmp_path / "nowhere")
    assert (nothing.exit_code, "is no bundle of evidence" in nothing.stderr) == (2, True)


def test_a_lake_without_a_run_has_no_evidence(tmp_path: Path) -> None:
    load_modulus_table(tmp_path / "lake")
    ran = leofric("compliance", "report", tmp_path / "bundle", "--from", "2026-03-01", "--to", TODAY, "--lake", tmp_path / "lake")
    assert (ran.exit_code, "it has no run yet" in ran.stderr) == (2, True)
    assert not rows(tmp_path / "lake", SCORES)
