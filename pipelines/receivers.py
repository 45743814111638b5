"""Who is told of lineage: a file, an address, or both. The outbox is control/runs itself.

Events follow from certificates and cards, which the lake keeps for ever. So there is nothing to put aside: for each receiver the lake
remembers up to where it has been told, and whoever tells next begins there. A receiver that was away, or is new, gets all that it
missed, in order; one that got the same twice can tell by the run's UUID.

Of a run that goes on there is no certificate. That it has begun is noted for each receiver, apart, until its end is told: of a run that
neither goes on nor has a certificate, which was undone, a note is all that is left.
"""

import hashlib
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import TypeAdapter

from app.errors import LakeNotFound, LineageNotTold
from app.lake import layout, registry, runs
from app.lake.lake import Lake
from app.settings import Settings
from pipelines.openlineage import Begun, Place, died, events_of, events_of_training, started
from pipelines.over_http import NoRedirects

_ATTEMPTS: Final = 3
_PAUSE_SECONDS: Final = 0.5
_PATH: Final = "/api/v1/lineage"


@dataclass(frozen=True)
class Receiver:
    """``name`` is what people call it, ``tell`` gives it the events of one run or raises LineageNotTold."""

    name: str
    tell: Callable[[Sequence[dict[str, Any]]], None]

    @property
    def mark(self) -> str:
        """Where the lake remembers how far it has been told."""
        return layout.lineage_mark(self._short)

    def begun(self, run_id: str = "") -> str:
        """Where the lake remembers that a run has begun of whose end it has not been told; without a run the folder of all."""
        return layout.lineage_begun(self._short, run_id)

    @property
    def _short(self) -> str:
        return hashlib.sha256(self.name.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Note:
    """A run of whose end a receiver has not been told; ``ended_at`` and ``error`` once it has failed."""

    run: Begun
    told: bool = False
    ended_at: str | None = None
    error: str | None = None


_NOTE: Final = TypeAdapter(Note)


def receivers(settings: Settings) -> list[Receiver]:
    """Those that the settings name."""
    found = []
    if settings.openlineage_file is not None:
        path = settings.openlineage_file.absolute()
        found.append(Receiver(path.as_uri(), lambda events: _append(path, events)))
    if settings.openlineage_url is not None:
        url = _endpoint(settings.openlineage_url)
        key = None if settings.openlineage_api_key is None else settings.openlineage_api_key.get_secret_value()
        found.append(Receiver(url, lambda events: _post(url, key, settings.openlineage_timeout_seconds, events)))
    return found


def tell_all(lake: Lake, settings: Settings) -> list[str]:
    """Tell every receiver what it does not know yet; a sentence for each that could not be told all. It never fails a run."""
    place = place_of(lake, settings)
    return [sentence for receiver in receivers(settings) for sentence in _tell(lake, place, receiver)]


def place_of(lake: Lake, settings: Settings) -> Place:
    """What the lake and its jobs are called in events."""
    return Place(lake.storage.uri("").rstrip("/"), settings.openlineage_namespace)


def told_of(lake: Lake, settings: Settings, name: str) -> list[dict[str, Any]]:
    """The events of the run, or of the training of the model, of that name; LakeNotFound if there is none."""
    certificates = [json.loads(row["certificate"]) for row in runs.runs(lake) if row["run_id"] == name]
    if certificates:
        return events_of(certificates[0], place_of(lake, settings))
    cards = [card for card in registry.cards(lake.storage) if card.model_id == name]
    if not cards:
        raise LakeNotFound(f"the lake has no run and no model {name}; `leofric certificate` and `leofric models list` name them")
    return events_of_training(cards[0], place_of(lake, settings))


def note(lake: Lake, receiver: Receiver, of: Note) -> None:
    """Remember that a run has begun, that a receiver was told so, or how it failed."""
    lake.storage.put(receiver.begun(of.run.run_id), _NOTE.dump_json(of))


def tell_start(lake: Lake, place: Place, receiver: Receiver, run: Begun) -> list[str]:
    """Tell a receiver that a run begins, after all that it has missed; a sentence if it could not be told."""
    missed = list(_tell(lake, place, receiver))
    if missed:
        return missed
    try:
        receiver.tell([started(run, place)])
    except LineageNotTold as error:
        return [f"{error}; that {run.run_id} has begun is told with its end"]
    return []


def _tell(lake: Lake, place: Place, receiver: Receiver) -> Iterator[str]:
    outstanding = list(_outstanding(lake, place, receiver))
    for told, (events, done) in enumerate(outstanding):
        try:
            receiver.tell(events)
        except LineageNotTold as error:
            yield f"{error}; lineage of {len(outstanding) - told} runs waits in the lake, and the next run tries again"
            return
        done()


def _read_mark(lake: Lake, receiver: Receiver) -> dict[str, Any]:
    try:
        return dict(json.loads(bytes(lake.storage.read(receiver.mark))))
    except FileNotFoundError:
        return {"sequence": 0, "models": []}


def _outstanding(lake: Lake, place: Place, receiver: Receiver) -> Iterator[tuple[list[dict[str, Any]], Callable[[], None]]]:
    """What is to be told, in order: the events of a run or a training, and what is to be remembered when they are told."""
    # In this order: a run that is published meanwhile has its certificate before it is no longer in the journal.
    notes = _notes(lake, receiver)
    ended = {run_id for run_id in notes if not lake.storage.exists(layout.journal(run_id))}
    rows, mark = runs.runs(lake), _read_mark(lake, receiver)
    told = {row["run_id"] for row in rows if row["sequence"] <= mark["sequence"]}
    lake.storage.delete([receiver.begun(run_id) for run_id in notes if run_id in told])
    for run_id in sorted(ended - {row["run_id"] for row in rows}):
        yield _events_of_dead(notes[run_id], place), partial(lake.storage.delete, [receiver.begun(run_id)])
    for row in rows:
        if row["run_id"] not in told:
            events = events_of(json.loads(row["certificate"]), place)
            known = notes.get(row["run_id"])
            mark = mark | {"sequence": int(row["sequence"])}
            yield events[1:] if known is not None and known.told else events, partial(_remember, lake, receiver, mark, row["run_id"])
    for card in registry.cards(lake.storage):
        if card.model_id not in mark["models"]:
            mark = mark | {"models": [*mark["models"], card.model_id]}
            yield events_of_training(card, place), partial(_remember, lake, receiver, mark)


def _notes(lake: Lake, receiver: Receiver) -> dict[str, Note]:
    found = [_NOTE.validate_json(bytes(lake.storage.read(entry.path))) for entry in lake.storage.entries(receiver.begun())]
    return {one.run.run_id: one for one in found}


def _events_of_dead(of: Note, place: Place) -> list[dict[str, Any]]:
    at = datetime.now(UTC) if of.ended_at is None else datetime.fromisoformat(of.ended_at)
    fail = died(of.run, place, at, of.error or "the run was killed; nothing of it was published, and what it had written was removed")
    return [fail] if of.told else [started(of.run, place), fail]


def _remember(lake: Lake, receiver: Receiver, mark: Mapping[str, Any], run_id: str | None = None) -> None:
    lake.storage.put(receiver.mark, json.dumps({"receiver": receiver.name} | dict(mark)).encode())
    if run_id is not None:
        lake.storage.delete([receiver.begun(run_id)])


def _append(path: Path, events: Sequence[dict[str, Any]]) -> None:
    """One line an event, all of a run in one write, so that two runs' lines never mix."""
    lines = b"".join(json.dumps(event, ensure_ascii=False).encode() + b"\n" for event in events)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            if os.write(handle, lines) != len(lines):
                raise LineageNotTold(f"{path} took only a part of the lineage events; make room on its disk")
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise LineageNotTold(f"lineage events cannot be written to {path}: {error}") from None


def _endpoint(url: str) -> str:
    """The address that events are posted to: a receiver's own, or the usual path below a bare one."""
    return url.rstrip("/") + _PATH if urlsplit(url).path in ("", "/") else url


def _post(url: str, key: str | None, timeout: float, events: Sequence[dict[str, Any]]) -> None:
    headers = {"Content-Type": "application/json"} | ({} if key is None else {"Authorization": f"Bearer {key}"})
    for event in events:
        request = urllib.request.Request(url, json.dumps(event, ensure_ascii=False).encode(), headers)  # noqa: S310 (the settings have looked)
        _sent(request, timeout)


def _sent(request: urllib.request.Request, timeout: float) -> None:
    """Post once, and again a few times if the receiver is away or busy; LineageNotTold in the end.

    One that does not answer in time is not asked again: a run would wait for it.
    """
    for attempt in range(_ATTEMPTS):
        try:
            # A redirected POST becomes a GET, and takes the key along to wherever it is sent: neither is wanted.
            with urllib.request.build_opener(NoRedirects).open(request, timeout=timeout):
                return
        except urllib.error.HTTPError as error:
            why = f"it answered {error.code}"
            if error.code < HTTPStatus.INTERNAL_SERVER_ERROR and error.code != HTTPStatus.TOO_MANY_REQUESTS:
                break
        except OSError as error:
            why = str(error)
            if isinstance(error, TimeoutError) or isinstance(getattr(error, "reason", None), TimeoutError):
                break
        if attempt + 1 < _ATTEMPTS:
            time.sleep(_PAUSE_SECONDS * 2**attempt)
    raise LineageNotTold(f"the OpenLineage receiver {request.full_url} could not be told: {why}")
