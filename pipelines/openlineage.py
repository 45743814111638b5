"""OpenLineage events of runs and of trainings: what a certificate or a model's card says, in the words of the specification, 2-0-2.

Nothing is told that is not in the certificate, the contracts or the lineage graph, so that any past run can be told again, the same.
"""

import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import version
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from app.contracts import landing
from app.contracts.lake import CORRECTIONS, DUPLICATES, FEEDBACK, SILVER, TABLES
from app.contracts.table import Column, TableContract
from app.lake import layout
from app.lake.registry import Card
from app.lineage.graph import ROWS, Edge, How, Node
from pipelines.lineage import FEATURES, LABELS, LANDING, MODELS, MODULUS, graph

Document = dict[str, Any]

PRODUCER: Final = "https://pypi.org/project/leofric"
_SPEC: Final = "https://openlineage.io/spec"
_EVENT: Final = f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"
_VERSIONS: Final = {
    "SchemaDatasetFacet": "1-2-0",
    "ColumnLineageDatasetFacet": "1-2-0",
    "DatasourceDatasetFacet": "1-0-1",
    "DatasetVersionDatasetFacet": "1-0-1",
    "DocumentationDatasetFacet": "1-1-0",
    "StorageDatasetFacet": "1-0-1",
    "DataQualityMetricsDatasetFacet": "1-0-0",
    "DataQualityMetricsInputDatasetFacet": "1-0-3",
    "DataQualityAssertionsDatasetFacet": "1-1-0",
    "InputStatisticsInputDatasetFacet": "1-0-0",
    "OutputStatisticsOutputDatasetFacet": "1-0-2",
    "NominalTimeRunFacet": "1-0-1",
    "ProcessingEngineRunFacet": "1-1-1",
    "ErrorMessageRunFacet": "1-0-1",
    "JobTypeJobFacet": "2-0-4",
    "DocumentationJobFacet": "1-1-0",
}
_JOBS: Final = {
    "load": "landing files to bronze, silver, quarantine and gold, each record counted in and counted out",
    "replay": "corrections that two people agreed on, through the functions that load a file",
    "score": "a score for each accepted payment, and alerts",
    "feedback": "analysts' decisions about payments",
    "optimize": "small files of tables merged; no row changes",
    "restore": "the whole lake as an earlier run left it",
    "retention": "records deleted whose time was over",
    "vacuum": "files deleted that no state of the lake needs",
    "train": "a detector trained on the lake's past",
}
_FILES: Final = {".ndjson": "json", ".jsonl": "json", ".parquet": "parquet", ".csv": "csv"}


@dataclass(frozen=True)
class Place:
    """What a lake and its jobs are called: ``root`` is the lake's URI, ``namespace`` that of its jobs."""

    root: str
    namespace: str = "leofric"


def run_uuid(place: Place, run_id: str) -> str:
    """The UUID of a run: always the same of the same run, since it is made of the lake's address and the run's id."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{place.root.rstrip('/')}#{run_id}"))


@dataclass(frozen=True)
class Begun:
    """What is known of a run when it begins: all that its START says, then and whenever it is told again."""

    run_id: str
    kind: str
    sequence: int
    started_at: str  # ISO 8601
    recovered_runs: tuple[str, ...]


def started(run: Begun, place: Place) -> Document:
    """START of a run."""
    return _event("START", datetime.fromisoformat(run.started_at), _run_of(run, place), _job(place, run.kind), (), ())


def died(run: Begun, place: Place, at: datetime, why: str) -> Document:
    """FAIL of a run that has left no certificate: it was undone, and nothing of it is in a table."""
    of = _run_of(run, place)
    of["facets"]["errorMessage"] = _facet("ErrorMessageRunFacet", message=why, programmingLanguage="python")
    return _event("FAIL", at, of, _job(place, run.kind), (), ())


def _run_of(run: Begun, place: Place) -> Document:
    facets = {
        "nominalTime": _facet("NominalTimeRunFacet", nominalStartTime=_at(datetime.fromisoformat(run.started_at))),
        "processing_engine": _facet("ProcessingEngineRunFacet", name="ray", version=version("ray")),
        "leofric_run": _own("RunFacet", {"run_id": run.run_id, "sequence": run.sequence, "recovered_runs": list(run.recovered_runs)}),
    }
    return {"runId": run_uuid(place, run.run_id), "facets": facets}


def events_of(certificate: Mapping[str, Any], place: Place) -> list[Document]:
    """The events of a run that has left a certificate: START, as it was told when the run began, then COMPLETE or FAIL."""
    begun = datetime.fromisoformat(certificate["started_at"])
    known = {name: certificate[name] for name in ("run_id", "kind", "sequence", "started_at")}
    run = Begun(**known, recovered_runs=tuple(certificate["recovered_runs"]))
    ended = begun + timedelta(seconds=sum(certificate["seconds"].values()))
    run_facets = {
        "nominalTime": _facet("NominalTimeRunFacet", nominalStartTime=_at(begun), nominalEndTime=_at(ended)),
        "processing_engine": _facet("ProcessingEngineRunFacet", name="ray", version=version("ray")),
        "leofric_run": _own("RunFacet", {name: certificate[name] for name in ("run_id", "sequence", "reconciled", "recovered_runs")}),
    }
    job = _job(place, certificate["kind"])
    run_id = run_uuid(place, certificate["run_id"])
    if certificate["status"] != "succeeded":
        said = certificate.get("error", "the run failed")
        run_facets = run_facets | {"errorMessage": _facet("ErrorMessageRunFacet", message=said, programmingLanguage="python")}
    outputs = [contract for contract in TABLES if contract.path in certificate.get("added", {})]
    inputs = [*_files(certificate), *_sources(outputs, place, certificate)]
    told = [_output(contract, place, certificate) for contract in outputs]
    kind = "COMPLETE" if certificate["status"] == "succeeded" else "FAIL"
    return [started(run, place), _event(kind, ended, {"runId": run_id, "facets": run_facets}, job, inputs, told)]


def events_of_training(card: Card, place: Place) -> list[Document]:
    """The events of a training: its model's card says when it ended, and on which version of silver it was."""
    at = datetime.fromisoformat(card.created_at)
    run = {
        "runId": run_uuid(place, card.model_id),
        "facets": {"processing_engine": _facet("ProcessingEngineRunFacet", name="leofric", version=card.code_version)},
    }
    job = _job(place, "train")
    seen = {SILVER.path: card.silver_version}
    inputs = [_dataset(contract, place, seen.get(contract.path)) for contract in (SILVER, FEEDBACK)]
    model = _models(place) | {"facets": {"version": _facet("DatasetVersionDatasetFacet", datasetVersion=card.model_id)}}
    return [_event("START", at, run, job, (), ()), _event("COMPLETE", at, run, job, inputs, [model])]


def _event(kind: str, at: datetime, run: Document, job: Document, inputs: Iterable[Document], outputs: Iterable[Document]) -> Document:
    body = {"eventType": kind, "eventTime": _at(at), "run": run, "job": job, "inputs": list(inputs), "outputs": list(outputs)}
    return body | {"producer": PRODUCER, "schemaURL": _EVENT}


def _at(instant: datetime) -> str:
    return instant.isoformat(timespec="milliseconds")


def _facet(name: str, /, **values: Any) -> Document:
    return {"_producer": PRODUCER, "_schemaURL": f"{_SPEC}/facets/{_VERSIONS[name]}/{name}.json#/$defs/{name}"} | values


def _own(base: str, values: Mapping[str, Any]) -> Document:
    """A facet of Leofric's own, which the specification allows; its schema is the base of all facets."""
    return {"_producer": PRODUCER, "_schemaURL": f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/{base}"} | dict(values)


def _job(place: Place, kind: str) -> Document:
    facets = {"jobType": _facet("JobTypeJobFacet", processingType="BATCH", integration="LEOFRIC", jobType="JOB")}
    if kind in _JOBS:
        facets["documentation"] = _facet("DocumentationJobFacet", description=_JOBS[kind], contentType="text/plain")
    return {"namespace": place.namespace, "name": kind, "facets": facets}


def _name(uri: str) -> Document:
    """Namespace and name of what lies at a URI, as OpenLineage's naming has it: ``file`` and a path, or ``s3://bucket`` and a key."""
    parts = urlsplit(uri)
    path = unquote(parts.path).rstrip("/")
    return (
        {"namespace": "file", "name": path or "/"}
        if parts.scheme == "file"
        else {"namespace": f"{parts.scheme}://{parts.netloc}", "name": path.lstrip("/") or "/"}
    )


def _below(place: Place, path: str) -> str:
    return f"{place.root.rstrip('/')}/{path}"


def _dataset(contract: TableContract, place: Place, table_version: int | None) -> Document:
    uri = _below(place, contract.path)
    facets = {
        "schema": _schema(contract.columns),
        "dataSource": _facet("DatasourceDatasetFacet", name=place.root, uri=uri),
        "storage": _facet("StorageDatasetFacet", storageLayer="delta", fileFormat="parquet"),
        "documentation": _facet("DocumentationDatasetFacet", description=contract.meaning, contentType="text/plain"),
    }
    if table_version is not None:
        facets["version"] = _facet("DatasetVersionDatasetFacet", datasetVersion=str(table_version))
    return _name(uri) | {"facets": facets}


def _schema(columns: Iterable[Column]) -> Document:
    fields = [
        {"name": column.name, "type": str(column.type), "description": column.meaning, "ordinal_position": place}
        for place, column in enumerate(columns, start=1)
    ]
    return _facet("SchemaDatasetFacet", fields=fields)


def _models(place: Place) -> Document:
    return _name(_below(place, layout.MODELS))


def _folder(uri: str) -> str:
    return uri.rpartition("/")[0]


def _files(certificate: Mapping[str, Any]) -> Iterator[Document]:
    """Each landing file, with what was read of it and whether it adds up; and the folders that they lie in, which lineage names."""
    loaded = [file for file in certificate["files"] if file["status"] == "loaded"]
    for folder in sorted({_folder(file["uri"]) for file in loaded}):
        of = [file for file in loaded if _folder(file["uri"]) == folder]
        statistics = _facet(
            "InputStatisticsInputDatasetFacet", rowCount=sum(f["records"] for f in of), size=sum(f["bytes"] for f in of), fileCount=len(of)
        )
        facets = {"schema": _schema(_columns(of)), "dataSource": _facet("DatasourceDatasetFacet", name=folder, uri=folder)}
        yield _name(folder) | {"facets": facets, "inputFacets": {"inputStatistics": statistics}}
    for file in certificate["files"]:
        yield _file(file)
    if "feedback" in certificate:
        yield {"namespace": "file", "name": certificate["feedback"]["file"]} | {
            "facets": {"version": _facet("DatasetVersionDatasetFacet", datasetVersion=certificate["feedback"]["sha256"])},
            "inputFacets": {
                "inputStatistics": _facet("InputStatisticsInputDatasetFacet", rowCount=certificate["feedback"]["records"], fileCount=1)
            },
        }


def _columns(files: Iterable[Mapping[str, Any]]) -> list[Column]:
    """The columns that landing files have: those of the newest of their contract versions."""
    version = max((file.get("contract_version", 1) for file in files), default=1)
    return [column for column in landing.COLUMNS if column.name in landing.VERSIONS[version]]


def _file(file: Mapping[str, Any]) -> Document:
    ending = next((form for name, form in _FILES.items() if name in file["uri"].rpartition("/")[2].lower()), None)
    facets = {
        "dataSource": _facet("DatasourceDatasetFacet", name=_folder(file["uri"]), uri=file["uri"]),
        "storage": _facet("StorageDatasetFacet", storageLayer="file", **({} if ending is None else {"fileFormat": ending})),
        "schema": _schema(_columns([file])),
    }
    if file["sha256"] is not None:
        facets["version"] = _facet("DatasetVersionDatasetFacet", datasetVersion=file["sha256"])
    fates = {name: file[name] for name in ("records", "accepted", "quarantined", "duplicates")}
    adds_up = fates["records"] == fates["accepted"] + fates["quarantined"] + fates["duplicates"]
    assertions = [
        {"assertion": "file_taken", "success": file["status"] != "rejected", "actual": file["status"]},
        {"assertion": "records_add_up", "success": adds_up, "actual": ", ".join(f"{name} {count}" for name, count in fates.items())},
    ]
    assertions += [
        {
            "assertion": "amounts_add_up",
            "success": sides["source"] == sides["accepted"] + sides["quarantined"] + sides["duplicates"],
            "column": "amount",
            "name": currency,
            "actual": ", ".join(f"{side} {amount}" for side, amount in sides.items()),
        }
        for currency, sides in file["amount_minor"].items()
    ]
    size = {"rowCount": fates["records"], "bytes": file["bytes"], "fileCount": 1}
    return _name(file["uri"]) | {
        "facets": facets,
        "inputFacets": {
            "inputStatistics": _facet("InputStatisticsInputDatasetFacet", rowCount=fates["records"], size=file["bytes"], fileCount=1),
            "dataQualityMetrics": _facet("DataQualityMetricsInputDatasetFacet", **size, columnMetrics={}),
            "dataQualityAssertions": _facet("DataQualityAssertionsDatasetFacet", assertions=assertions),
        },
    }


def _sources(outputs: Iterable[TableContract], place: Place, certificate: Mapping[str, Any]) -> Iterator[Document]:
    """What of the lake the outputs are made of, by the graph, and is not itself one of them."""
    outputs = list(outputs)
    names = {edge.source.dataset for contract in outputs for edge in _into(contract, certificate)} - {contract.path for contract in outputs}
    for contract in TABLES:
        if contract.path in names:
            yield _dataset(contract, place, certificate["tables"].get(contract.path, {}).get("version"))
    used = [name for name in certificate.get("models", {}).values() if name is not None]
    if MODELS in names and used:
        yield _models(place) | {"facets": {"version": _facet("DatasetVersionDatasetFacet", datasetVersion=", ".join(used))}}
    modulus = certificate.get("modulus", {})
    if MODULUS in names and modulus.get("sha256"):
        facets = {"version": _facet("DatasetVersionDatasetFacet", datasetVersion=f"{modulus['table']} {modulus['sha256']}")}
        yield _name(_below(place, layout.MODULUS)) | {"facets": facets}


def _output(contract: TableContract, place: Place, certificate: Mapping[str, Any]) -> Document:
    table = certificate["tables"][contract.path]
    dataset = _dataset(contract, place, table["version"])
    dataset["facets"]["columnLineage"] = column_lineage(contract, place, certificate)
    metrics = {name: metric for name, metric in _metrics(contract, certificate).items() if name in contract.schema.names}
    dataset["facets"]["dataQualityMetrics"] = _facet("DataQualityMetricsDatasetFacet", rowCount=table["rows"], columnMetrics=metrics)
    if contract == SILVER and certificate["quality"]:
        quality = {dimension: {"passed": n, "of": d} for dimension, (n, d) in certificate["quality"].items()}
        dataset["facets"]["leofric_quality"] = _own(
            "DatasetFacet", {"dimensions": quality, "by_reason": certificate["totals"]["by_reason"]}
        )
    added = certificate["added"][contract.path]
    statistics = _facet("OutputStatisticsOutputDatasetFacet", rowCount=added["rows"], size=added["bytes"], fileCount=added["files"])
    return dataset | {"outputFacets": {"outputStatistics": statistics}}


def _metrics(contract: TableContract, certificate: Mapping[str, Any]) -> Document:
    """What the control totals say of a table's amounts; a sum only where all are of one currency."""
    side = {SILVER.path: "accepted", "quarantine/transactions": "quarantined", "control/duplicates": "duplicates"}.get(contract.path)
    if side is None:
        return {}
    amounts = [sides[side] for sides in certificate["totals"]["amount_minor"].values()]
    return {"amount_minor": {"count": certificate["totals"][side]} | ({"sum": amounts[0]} if len(amounts) == 1 else {})}


def _into(contract: TableContract, certificate: Mapping[str, Any]) -> Iterator[Edge]:
    """The edges into a table, through what lies nowhere: a feature is made when it is needed, so its own sources stand for it.

    Records are made of landing files by a load, and of corrections by a replay.
    """
    replayed = certificate["kind"] == "replay"
    for edge in graph().into(contract.path):
        if edge.source.dataset == CORRECTIONS.path and contract in (SILVER, DUPLICATES) and not replayed:
            continue
        if edge.source.dataset != FEATURES:
            yield edge
            continue
        for before in graph().into(FEATURES):
            if before.target == edge.source:
                both = before.how if edge.how.direct or not before.how.direct else edge.how
                yield Edge(before.source, edge.target, How.TRANSFORMATION if both is How.IDENTITY else both)


def column_lineage(contract: TableContract, place: Place, certificate: Mapping[str, Any]) -> Document:
    """The columnLineage facet of a table: of each column what it is made of, and of the whole which columns decide on its rows."""
    places = _places(place, certificate)
    fields: dict[str, dict[Node, set[How]]] = {}
    rows: dict[Node, set[How]] = {}
    for edge in _into(contract, certificate):
        if edge.source.column != ROWS:
            of = rows if edge.target.column == ROWS else fields.setdefault(edge.target.column, {})
            of.setdefault(edge.source, set()).add(edge.how)
    made = {name: {"inputFields": list(_input_fields(sources, places))} for name, sources in sorted(fields.items())}
    return _facet("ColumnLineageDatasetFacet", fields=made, dataset=list(_input_fields(rows, places)))


def _places(place: Place, certificate: Mapping[str, Any]) -> dict[str, list[Document]]:
    """Where each dataset of the graph lies; what was landed lies in as many folders as it came from."""
    found = {contract.path: [_name(_below(place, contract.path))] for contract in TABLES}
    folders = sorted({_folder(file["uri"]) for file in certificate["files"] if file["status"] == "loaded"})
    labels = [{"namespace": "file", "name": certificate["feedback"]["file"]}] if "feedback" in certificate else []
    outside = {
        LANDING: list(map(_name, folders)),
        LABELS: labels,
        MODELS: [_models(place)],
        MODULUS: [_name(_below(place, layout.MODULUS))],
    }
    return found | outside


def _input_fields(sources: Mapping[Node, set[How]], places: Mapping[str, list[Document]]) -> Iterator[Document]:
    for node, hows in sorted(sources.items()):
        transformations = [{"type": "DIRECT" if how.direct else "INDIRECT", "subtype": how.value.upper()} for how in sorted(hows)]
        for place in places[node.dataset]:
            yield place | {"field": node.column, "transformations": transformations}
