"""What people read: progress while a run goes on, and its outcome."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from app.contracts.reasons import REASONS
from app.errors import LakeNotFound
from pipelines.progress import Observer
from pipelines.verify import Verdict


class _Bars:
    """A bar a stage, on a terminal; a line a stage elsewhere."""

    def __init__(self, bars: Progress, console: Console) -> None:
        self._bars = bars
        self._console = console
        self._tasks: dict[str, TaskID] = {}

    def begun(self, stage: str, tasks: int) -> None:
        self._tasks[stage] = self._bars.add_task(stage, total=tasks)

    def advanced(self, stage: str) -> None:
        self._bars.advance(self._tasks[stage])

    def ended(self, stage: str) -> None:
        task = self._bars.tasks[self._tasks[stage]]
        self._bars.update(task.id, completed=task.total)
        if not self._console.is_terminal:
            self._console.print(f"{stage}: done ({task.total} tasks, {task.elapsed or 0.0:.1f} s)")


@contextmanager
def progress(console: Console) -> Iterator[Observer]:
    """Show each stage's progress on ``console``."""
    columns = (TextColumn("{task.description:>12}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        yield _Bars(bars, console)


def warn_if_lake_is_in_a_job(lake: str, console: Console) -> None:
    """Ray copies a job's working directory and throws the copy away: a lake inside it would go with it."""
    if "://" not in lake and "/runtime_resources/" in str(Path(lake).absolute()):
        console.print(
            f"warning: {lake} lies in the copy of the working directory that Ray made for this job and will remove; "
            "name the lake by an absolute path or s3://bucket/prefix",
            style="yellow",
        )


def document(certificate: Mapping[str, Any]) -> dict[str, Any]:
    """A certificate in the order in which people read it."""
    first = (
        ["run_id", "kind", "status"]
        if certificate["kind"] != "load"
        else ["run_id", "status", "files", "totals", "reconciled", "tables", "seconds"]
    )
    return {name: certificate[name] for name in first} | {name: value for name, value in certificate.items() if name not in first}


def find(rows: Sequence[Mapping[str, Any]], run_id: str | None) -> dict[str, Any]:
    """The certificate of a run with its hashes; of the last run if ``run_id`` is None."""
    for row in reversed(rows):
        if run_id in (None, row["run_id"]):
            return document(json.loads(row["certificate"])) | {"previous_hash": row["previous_hash"], "hash": row["hash"]}
    raise LakeNotFound("the lake has no run yet" if run_id is None else f"the lake has no run {run_id}; the table control_runs lists them")


def summary(certificate: Mapping[str, Any], console: Console) -> None:
    """A certificate for people."""
    if certificate["kind"] == "score":
        scoring(certificate, console)
        return
    if certificate["kind"] == "feedback":
        said = certificate["feedback"]
        console.print(f"Run [bold]{certificate['run_id']}[/bold] (feedback) {certificate['status']}")
        console.print(f"{said['records']:,} decisions: {said['new']:,} new, {said['changed']:,} changed, {said['same']:,} known already.")
        return
    if certificate["kind"] == "retention":
        deleted(certificate, console)
        return
    if certificate["kind"] == "replay":
        replayed(certificate, console)
        return
    if certificate["kind"] in _UPKEEP:
        upkeep(certificate, console)
        return
    totals = certificate["totals"]
    console.print(
        f"\nRun [bold]{certificate['run_id']}[/bold] {certificate['status']}"
        + ("" if certificate["reconciled"] else ": the totals do NOT reconcile")
    )
    if "error" in certificate:
        console.print(str(certificate["error"]), style="red", markup=False)
    _files(certificate["files"], console)
    _money(totals, console)
    if totals["by_reason"]:
        rows(
            [
                {"reason": code, "records": count}
                for code, count in sorted(totals["by_reason"].items(), key=lambda item: (-item[1], item[0]))
            ],
            console,
        )
    if certificate["reconciled"]:
        counts = (totals["records"], totals["accepted"], totals["quarantined"], totals["duplicates"])
        console.print("{:,} records = {:,} accepted + {:,} quarantined + {:,} duplicates; every currency adds up.".format(*counts))
    if "modulus" in certificate:
        _modulus(certificate["modulus"], console)
    for file in certificate["files"]:
        if file["error"]:
            console.print(f"rejected: {file['error']['code']}: {file['error']['message']}", style="red", markup=False)


_UPKEEP = ("optimize", "restore", "vacuum")


def replayed(certificate: Mapping[str, Any], console: Console) -> None:
    """A replay's certificate for people."""
    console.print(f"Run [bold]{certificate['run_id']}[/bold] (replay) {certificate['status']}")
    if "error" in certificate:
        console.print(str(certificate["error"]), style="red", markup=False)
        return
    totals, corrected = certificate["totals"], certificate["corrected"]
    rows([{"reason": code, "corrected records": count} for code, count in sorted(corrected["by_reason"].items())], console)
    for currency, amounts in corrected["amount_minor"].items():
        console.print(f"{currency}: {amounts['before']:,} minor units could be read before, {amounts['after']:,} after.")
    counts = (totals["records"], totals["accepted"], totals["duplicates"], totals["quarantined"])
    console.print(
        "{:,} corrected records = {:,} accepted + {:,} duplicates + {:,} still quarantined; every currency adds up.".format(*counts)
    )
    if totals["by_reason"]:
        said = ", ".join(f"{count:,} {code}" for code, count in totals["by_reason"].items())
        console.print(f"Still not acceptable, and open again: {said}.", markup=False)


def deleted(certificate: Mapping[str, Any], console: Console) -> None:
    """The certificate of a run of retention for people."""
    console.print(f"Run [bold]{certificate['run_id']}[/bold] (retention) {certificate['status']}")
    if "error" in certificate:
        console.print(str(certificate["error"]), style="red", markup=False)
        return
    said = certificate["retention"]
    rows(
        [{"table": path, **{name: counts.get(name, 0) for name in ("rows", "must", "may")}} for path, counts in said["tables"].items()],
        console,
    )
    for rule in said["rules"]:
        console.print(f"{rule['name']}: {rule['law']}, {rule['article']}.", markup=False)
    console.print(f"{said['objects_deleted']:,} objects deleted, {len(said['kept_files']):,} of them kept landing files.")


def quarantined(found: Mapping[str, Any], console: Console) -> None:
    """A list of quarantined records for people."""
    shown = ("item", "state", "age", "amount_minor", "currency", "transaction_id", "proposal")
    rows([{name: item[name] for name in shown} | {"reasons": ", ".join(item["reasons"])} for item in found["items"]], console)
    rows([one | {"amount_minor": _money_of(one["amount_minor"])} for one in found["by_reason"]], console)
    ages = ", ".join(f"{count:,} {age}" for age, count in found["by_age"].items())
    console.print(f"{found['records']:,} records fit" + (f": {ages}." if ages else "."))


def _money_of(amounts: Mapping[str, int]) -> str:
    return ", ".join(f"{amount:,} {currency}" for currency, amount in amounts.items())


def quarantined_record(found: Mapping[str, Any], console: Console) -> None:
    """One quarantined record for people."""
    console.print(f"Record {found['record_number']} of {found['source']}: {found['state']}, in quarantine {found['age']}", markup=False)
    console.print(f"as it came: {found['raw']}", markup=False, soft_wrap=True)
    correction = found["correction"] or {}
    names = found["texts"] or correction
    rows(
        [{"column": name, "value": names.get(name) if found["texts"] else None, "proposed": correction.get(name)} for name in names],
        console,
    )
    for reason in found["reasons"]:
        console.print(f"{reason['code']}: {reason['sentence']} ({reason['specification']})", markup=False)
    if found["rules"]:
        console.print(f"These rules would mend it: {', '.join(found['rules'])}.")
    for one in found["decisions"]:
        about = f" of proposal {one['proposal']}" if one["proposal"] != one["number"] else ""
        still = f" ({', '.join(one['reasons'])})" if "reasons" in one else ""
        console.print(f"decision {one['number']}{about}, {one['at']}: {one['act']} by {one['who']}: {one['why']}{still}", markup=False)


def upkeep(certificate: Mapping[str, Any], console: Console) -> None:
    """The certificate of a run that looked after the lake, for people."""
    kind = certificate["kind"]
    said = certificate[kind]
    console.print(f"Run [bold]{certificate['run_id']}[/bold] ({kind}) {certificate['status']}: {said['why']}", highlight=False)
    for subject in ("tables", "undone"):
        rows([{subject.removesuffix("s"): name} | dict(one) for name, one in said.get(subject, {}).items()], console)


def _modulus(found: Mapping[str, Any], console: Console) -> None:
    counts = ", ".join(f"{count:,} {result}" for result, count in found["accounts"].items())
    if found["table"] is None:
        console.print("No modulus weight table is loaded: accounts were not checked (`leofric reference load modulus`).", style="yellow")
    elif counts:
        console.print(f"Accounts held to modulus table {found['table']}: {counts}.")


def validation(found: Mapping[str, Any], console: Console) -> None:
    """What `leofric validate` found, for people."""
    if found["rejected"]:
        console.print(
            f"{found['uri']} would be rejected: {found['rejected']['code']}: {found['rejected']['message']}", style="red", markup=False
        )
        return
    by_reason = sorted(found["by_reason"].items(), key=lambda item: (-item[1]["records"], item[0]))
    rows(
        [{"reason": code, "severity": one["severity"], "records": one["records"], "meaning": one["sentence"]} for code, one in by_reason],
        console,
    )
    for code, one in by_reason:
        for example in one["examples"]:
            console.print(f"{code}: record {example['record_number']}: {example['raw']}", markup=False, soft_wrap=True)
    counts = (found["records"], found["accepted"], found["quarantined"], found["duplicates"])
    console.print("{:,} records: {:,} would be accepted, {:,} quarantined, {:,} are exact duplicates.".format(*counts))
    _modulus(found["modulus"], console)


def reason_rows() -> list[dict[str, str]]:
    """Every reason, as the registry has it."""
    names = ("code", "severity", "sentence", "specification", "example")
    return [{name: str(getattr(reason, name)) for name in names} for reason in REASONS]


def reasons_page() -> str:
    """The registry as a page of the documentation."""
    lines = [
        "# Reasons",
        "",
        "Why a record is quarantined (reject) or kept with a warning (warn). Made by `leofric reasons --format markdown`.",
        "How a quarantined record is corrected: [quarantine.md](quarantine.md).",
        "",
    ]
    lines += ["| code | severity | what is wrong | specification | example |", "|---|---|---|---|---|"]
    for row in reason_rows():
        example = f"`{row['example']}`" if row["example"] else ""
        lines.append(f"| `{row['code']}` | {row['severity']} | {row['sentence']} | {row['specification']} | {example} |")
    return "\n".join(lines) + "\n"


def _files(files: Sequence[Mapping[str, Any]], console: Console) -> None:
    names = ("status", "records", "accepted", "quarantined", "duplicates")
    rows([{"file": file["uri"].rpartition("/")[2]} | {name: file[name] for name in names} for file in files], console)


def _money(totals: Mapping[str, Any], console: Console) -> None:
    rows([{"minor units of": currency} | sides for currency, sides in totals["amount_minor"].items()], console)


def evaluation(document: Mapping[str, Any], console: Console) -> None:
    """What `leofric evaluate` found, for people."""
    figures = [
        {"detector": name, "payers": payers, **{metric: f"{value:.4g}" for metric, value in of.items()}}
        for payers, detectors in (("all", document), ("who paid before", document["warm_senders"]))
        for name in ("isolation_forest", "supervised")
        if (of := detectors[name]) is not None
    ]
    rows(figures, console)
    found = {name: of for name, of in document["by_typology"].items() if of is not None}
    typologies = next(iter(found.values()))
    rows(
        [
            {
                "typology": kind,
                "payments": one["payments"],
                **{f"{name}: recall at 1 % FPR": f"{of[kind]['recall_at_1pct_fpr']:.3f}" for name, of in found.items()},
            }
            for kind, one in typologies.items()
        ],
        console,
    )
    train, test = document["split"]["train"], document["split"]["test"]
    console.print(f"Trained on {train['payments']:,} payments from {train['from']} to {train['to']}.")
    console.print(
        f"Tested on {test['judged']:,} judged payments from {test['from']} to {test['to']}, {test['suspicious']:,} of them suspicious."
    )
    if document["supervised"] is None and "model" not in document:
        console.print("No ranker was trained: the labels known when the test begins are not of both kinds.")


def backtest(document: Mapping[str, Any], console: Console) -> None:
    """What `leofric backtest` found, for people."""
    rows(
        [
            {"thresholds": when, **document[when]["thresholds"], "alerts": document[when]["alerts"], "accounts": document[when]["accounts"]}
            for when in ("before", "after")
        ],
        console,
    )
    console.print(f"Of {document['payments']:,} payments: {document['accounts_gained']} accounts gained, {document['accounts_lost']} lost.")
    if document["by_typology"]:
        rows([{"typology": name} | one for name, one in document["by_typology"].items()], console)
    for where in ("just_above", "just_below"):
        for alert in document[where]:
            console.print(f"{where.replace('_', ' ')} the line: {alert['account']}: {alert['sentence']}", markup=False)
    if document["tested_on"] is None:
        console.print("No data has tested this scenario.", style="yellow")


def scoring(certificate: Mapping[str, Any], console: Console) -> None:
    """A certificate of scoring, for people."""
    count = sum(of["records"] for of in certificate["scored"].values())
    console.print(f"\nRun [bold]{certificate['run_id']}[/bold] (scoring) {certificate['status']}")
    if "error" in certificate:
        console.print(str(certificate["error"]), style="red", markup=False)
        return
    bands = ", ".join(f"{payments:,} {band}" for band, payments in certificate["bands"].items())
    console.print(f"{count:,} accepted payments = {count:,} scored, to the penny and the payment: {bands}.")
    if certificate["scored_again"]:
        console.print(f"{certificate['scored_again']:,} payments were scored again: earlier ones of their accounts came late.")
    rows([{"scenario": name, "new alerts": new} for name, new in certificate["alerts"].items()], console)


def alerts(found: Sequence[Mapping[str, Any]], limit: int, console: Console) -> None:
    """A list of alerts for people."""
    shown = [
        {
            "alert": one["alert_id"][:8],
            "fired at": f"{one['fired_at']:%Y-%m-%d %H:%M:%S}",
            "reason": one["reason"],
            "account": one["account"],
            "payments": len(one["evidence"]),
            "why": one["sentence"],
        }
        for one in found[:limit]
    ]
    rows(shown, console)
    console.print(f"{len(shown):,} of {len(found):,} alerts.")


def alert(found: Mapping[str, Any], console: Console) -> None:
    """One alert with its payments, for people."""
    from app.detection.money import money

    console.print(f"[bold]{found['alert_id']}[/bold]: {found['reason']} on {found['account']}, {found['fired_at']:%Y-%m-%d %H:%M:%S} UTC")
    console.print(str(found["sentence"]), markup=False)
    console.print(f"Raised by run {found['raised_by']} at {found['raised_at']:%Y-%m-%d %H:%M:%S} UTC.")
    payments = [
        {
            "booked at": f"{one['booked_at']:%Y-%m-%d %H:%M:%S}",
            "transaction": one["transaction_id"],
            "amount": money(abs(one["amount_minor"]), one["currency"]),
            "payer": one["payer"],
            "payee": one["payee"],
            "band": one["band"],
            "why unusual": " ".join(one["sentences"]),
        }
        for one in found["payments"]
    ]
    rows(payments, console)


def feature_rows() -> list[dict[str, str]]:
    """Every feature, in the order in which models take them."""
    from app.features import feature_set, outcomes

    return [asdict(feature) for feature in (*feature_set.FEATURES, *outcomes.FEATURES)]


def rows(items: Sequence[Mapping[str, Any]], console: Console, names: Sequence[str] | None = None) -> None:
    """Rows as a table; numbers to the right."""
    names = names or list(items[0] if items else [])
    if not names:
        return
    table = Table()
    for name in names:
        numeric = bool(items) and all(isinstance(item[name], int | float | Decimal) for item in items)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for item in items:
        table.add_row(*(_cell(item[name]) for name in names))
    console.print(table)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value).replace("[", "\\[")


def csv_rows(table: pa.Table, out: TextIO) -> None:
    """Rows as CSV with a header."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table.schema.names)
    for batch in table.to_batches():
        writer.writerows(zip(*(column.to_pylist() for column in batch.columns), strict=True))


def verdicts(found: Sequence[Verdict], as_json: bool, console: Console) -> None:
    """What verification found; the first certificate that does not hold is named."""
    bad = [verdict for verdict in found if verdict.faults]
    if as_json:
        runs = [{"run_id": verdict.run_id, "holds": not verdict.faults, "faults": verdict.faults} for verdict in found]
        console.file.write(json.dumps({"holds": not bad, "first_fault": bad[0].run_id if bad else None, "runs": runs}, indent=2) + "\n")
        return
    if not bad:
        console.print(f"All {len(found)} certificates hold: the chain is whole, and every total is what the tables hold.")
        return
    console.print(f"The certificate of run {bad[0].run_id} does not hold:", style="red")
    for fault in bad[0].faults:
        console.print(f"  {fault}", markup=False)
    console.print(f"{len(bad)} of {len(found)} certificates do not hold.")
