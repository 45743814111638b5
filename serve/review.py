"""Quarantine over HTTP: reviewers look, propose, approve and reject. To replay is a run, and this service starts none."""

import asyncio
import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final, TypeVar

import orjson
import pyarrow as pa
from deltalake.exceptions import DeltaError
from obstore.exceptions import BaseError

from app.compliance.audit import Action
from app.compliance.corrections import Decision, State
from app.contracts.landing import NAMES
from app.contracts.reasons import CODES
from app.errors import LakeBusy, LeofricError, ReviewRefused, UnknownRecord, UsageError
from app.lake.access import service
from app.lake.lake import Lake
from app.review import corrections, desk
from app.review.corrections import Chosen, Decider
from app.review.quarantine import filter_of
from app.review.seen import record_seen
from app.validation.fixes import RULES
from serve.access import INSECURE_LOCAL, Client
from serve.audit import audited
from serve.problems import Problem

log = logging.getLogger("leofric.serve")

MOST_ITEMS: Final = 1_000
_BUSY_SECONDS: Final = "30"
_ITEM: Final = "^[0-9a-f]{1,64}:[0-9]{1,12}$"
_DAYS: Final = "^[0-9]{1,6}([.][0-9]{1,3})?$"
_ANY: Final = "^[^\\u0000]*$"
_FORMS: Final[Mapping[str, Mapping[str, Any]]] = {
    "reason": {"type": "string", "enum": list(CODES), "description": "records with this reason"},
    "source": {"type": "string", "pattern": _ANY, "description": "of files with this in their address"},
    "state": {"type": "string", "enum": [state.value for state in State], "description": "records that stand so"},
    "currency": {"type": "string", "pattern": "^[A-Z]{3}$", "description": "records with an amount in this currency"},
    "least_amount": {"type": "string", "pattern": "^[0-9]{1,15}([.][0-9]{1,4})?$", "description": "of at least so much, whatever the sign"},
    "older_than": {"type": "string", "pattern": _DAYS, "description": "days in quarantine, at least"},
    "younger_than": {"type": "string", "pattern": _DAYS, "description": "days in quarantine, less than"},
    "offset": {"type": "string", "pattern": "^[0-9]{1,9}$", "description": "how many of those that fit to pass over; 0 if not given"},
    "limit": {"type": "string", "pattern": "^([0-9]{1,3}|1000)$", "description": "how many at most; 50 if not given"},
}
"""What may stand behind the question mark of a list, as OpenAPI has it; it is also what is checked."""

_WHY: Final = {"why": {"type": "string", "pattern": _ANY, "description": "why, in words"}}
_ITEMS: Final = {
    "items": {
        "type": "array",
        "items": {"type": "string", "pattern": _ITEM},
        "minItems": 1,
        "maxItems": MOST_ITEMS,
        "description": "records, as the list names them",
    }
}
_PROPOSAL: Final = {"proposal": {"type": "integer", "minimum": 1, "maximum": 10**12, "description": "all of this proposal"}}
_VALUES: Final = {
    "values": {
        "type": "object",
        "properties": {name: {"type": "string", "pattern": _ANY} for name in NAMES},
        "additionalProperties": False,
        "minProperties": 1,
        "description": "the new values by landing column",
    }
}
_OF_RULE: Final = {
    "rule": {"type": "string", "enum": [rule.name for rule in RULES], "description": "what this makes of all open records"},
    "reason": _FORMS["reason"],
    "source": _FORMS["source"],
}


def _form(required: list[str], *properties: Mapping[str, Any]) -> dict[str, Any]:
    merged = {name: held for each in (*properties, _WHY) for name, held in each.items()}
    return {"type": "object", "required": [*required, "why"], "properties": merged, "additionalProperties": False}


SCHEMAS: Final = {
    "Correction": _form(["items", "values"], _ITEMS, _VALUES),
    "LeavingOut": _form(["items", "leave_out"], _ITEMS, {"leave_out": {"const": True, "type": "boolean", "description": "for good"}}),
    "Bulk": _form(["rule"], _OF_RULE),
    "OfItems": _form(["items"], _ITEMS, _PROPOSAL),
    "OfProposal": _form(["proposal"], _PROPOSAL),
}
"""What reviewers send."""

PROPOSALS: Final = ("Correction", "LeavingOut", "Bulk")
VERDICTS: Final = ("OfItems", "OfProposal")
PARAMETERS: Final = [{"name": name, "in": "query", "required": False, "schema": dict(form)} for name, form in _FORMS.items()]
ITEM_PARAMETER: Final[dict[str, Any]] = {"name": "item", "in": "path", "required": True, "schema": {"type": "string", "pattern": _ITEM}}

Result = TypeVar("Result")


class Reviews:
    """Answers reviewers. The lake is read and written in a thread of its own, one request after the other: payments go on meanwhile."""

    def __init__(self, lake: Lake, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._lake = Lake(lake.storage, lake.key, lake.sealed)  # an open table is one thread's
        self._clock = clock
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="review")

    async def listed(self, words: Mapping[str, str]) -> bytes:
        """Records that fit, and the totals of all that do."""
        for name, text in words.items():
            if name not in _FORMS:
                raise _unprocessable(f"there is no parameter {name}; there are {', '.join(_FORMS)}", name)
            _check(_FORMS[name], text, name)
        older, younger = (None if name not in words else float(words[name]) for name in ("older_than", "younger_than"))
        reason, source, state, currency, least = map(words.get, ("reason", "source", "state", "currency", "least_amount"))
        offset, limit = int(words.get("offset", 0)), int(words.get("limit", 50))
        wanted = filter_of(reason, source, state, currency, least, older, younger)

        def work() -> dict[str, Any]:
            found = desk.listing(self._lake, wanted, self._clock(), offset, limit)
            return found | {"items": self._named(found["items"])}

        return orjson.dumps(await self._do(work))

    async def shown(self, item: str) -> bytes:
        """All that is known of one record."""
        _check(ITEM_PARAMETER["schema"], item, "item")

        def work() -> dict[str, Any]:
            found = record_seen(desk.shown(self._lake, item, self._clock()), service(self._lake))
            return self._named([found])[0]

        return orjson.dumps(await self._do(work))

    async def propose(self, body: bytes, client: Client) -> bytes:
        """Propose a correction, or what a rule makes of all open records that fit."""
        asked = _read(body, PROPOSALS)
        by = self._decider(client, asked)

        def work() -> list[Decision]:
            if "rule" in asked:
                found = desk.by_rule(self._lake, asked["rule"], asked.get("reason"), asked.get("source"), by.now)
                return corrections.propose(self._lake, dict(found.corrections), asked["rule"], by)
            made = desk.corrections_of(self._lake, asked["items"], asked.get("values"))
            return corrections.propose(self._lake, made, None, by)

        return await self._decided(work, by)

    async def approve(self, body: bytes, client: Client) -> bytes:
        """Approve what somebody else proposed."""
        return await self._judged(corrections.approve, body, client)

    async def reject(self, body: bytes, client: Client) -> bytes:
        """Reject a proposal."""
        return await self._judged(corrections.reject, body, client)

    async def _judged(self, act: Callable[[Lake, Chosen, Decider], list[Decision]], body: bytes, client: Client) -> bytes:
        asked = _read(body, VERDICTS)
        by = self._decider(client, asked)
        chosen = (asked.get("items", ()), asked.get("proposal"))
        return await self._decided(lambda: act(self._lake, desk.chosen_of(self._lake, *chosen), by), by)

    async def _decided(self, work: Callable[[], list[Decision]], by: Decider) -> bytes:
        def written() -> list[Decision]:
            with audited(self._lake, Action.REVIEW, "quarantine", by.why, by.who) as act:
                made = work()
                act.details |= corrections.told(made)
                return made

        return orjson.dumps(corrections.document(await self._do(written)))

    def follow(self) -> None:
        """Hear of new people, and forget those who were erased, when the thread has time."""
        self._thread.submit(self._lake.follow_subjects)

    def close(self) -> None:
        """Let the thread go."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _named(self, found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """The same with ids as they came: one that can be no id may name anybody, and a sealed lake has sealed it."""
        sealed = pa.table({"transaction_id": pa.array([one["transaction_id"] for one in found], pa.string())})
        names = self._lake.opened(sealed)["transaction_id"].to_pylist()
        return [one | {"transaction_id": name} for one, name in zip(found, names, strict=True)]

    def _decider(self, client: Client, asked: Mapping[str, Any]) -> Decider:
        if client == INSECURE_LOCAL:
            raise Problem(HTTPStatus.FORBIDDEN, "a decision needs a name: this service was started with --insecure-local and knows nobody")
        return Decider(client.name, asked["why"], self._clock())

    async def _do(self, work: Callable[[], Result]) -> Result:
        """Do it beside the loop; what Leofric refuses becomes a problem."""

        def up_to_date() -> Result:
            self._lake.follow_subjects()
            return work()

        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, up_to_date)
        except UnknownRecord as error:
            raise Problem(HTTPStatus.NOT_FOUND, str(error)) from None
        except ReviewRefused as error:
            raise Problem(HTTPStatus.CONFLICT, str(error)) from None
        except UsageError as error:
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from None
        except LakeBusy:
            why = "a run or another reviewer holds the lake; nothing was changed; ask again later"
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, why, headers={"Retry-After": _BUSY_SECONDS}) from None
        except (LeofricError, OSError, BaseError, DeltaError):
            log.exception("the lake failed a reviewer")
            why = "the lake cannot be read or written now; the service's log tells why"
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, why, headers={"Retry-After": _BUSY_SECONDS}) from None


def _unprocessable(why: str, where: str) -> Problem:
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, why, {"field": where})


def _read(body: bytes, forms: Sequence[str]) -> dict[str, Any]:
    """A body that has one of these forms."""
    try:
        asked = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Problem(HTTPStatus.BAD_REQUEST, "the body is not one JSON value in UTF-8") from None
    if not isinstance(asked, dict):
        raise _unprocessable("send one JSON object", "body")
    for form in forms:
        schema = SCHEMAS[form]
        if set(schema["required"]) <= set(asked) <= set(schema["properties"]):
            if isinstance(number := asked.get("proposal"), float) and number.is_integer():
                asked["proposal"] = int(number)  # JSON knows no whole numbers: 7.0 is 7
            for name, value in asked.items():
                _check(schema["properties"][name], value, name)
            return asked
    known = " or ".join("{" + ", ".join(SCHEMAS[form]["required"]) + "}" for form in forms)
    raise _unprocessable(f"send {known}; /docs says what else may stand there", "body")


def _check(schema: Mapping[str, Any], value: object, where: str) -> None:
    """Raise a problem unless the value is as the schema says; of OpenAPI only what is used here."""
    kinds: Mapping[str, type] = {"string": str, "array": list, "object": dict, "integer": int, "boolean": bool}
    if type(value) is not kinds[schema["type"]]:
        raise _unprocessable(f"{where} is of type {schema['type']}", where)
    if "enum" in schema and value not in schema["enum"]:
        raise _unprocessable(f"{where} is one of {', '.join(schema['enum'])}", where)
    if "const" in schema and value != schema["const"]:
        raise _unprocessable(f"{where} can only be {json.dumps(schema['const'])}", where)
    if isinstance(value, str) and "pattern" in schema and re.search(schema["pattern"], value, re.ASCII) is None:
        raise _unprocessable(f"{where} is written otherwise: {schema['pattern']}", where)
    if isinstance(value, int) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        raise _unprocessable(f"{where} is from {schema['minimum']} to {schema['maximum']}", where)
    if isinstance(value, list):
        if not schema["minItems"] <= len(value) <= schema["maxItems"]:
            raise _unprocessable(f"{where} has {schema['minItems']} to {schema['maxItems']} elements", where)
        for one in value:
            _check(schema["items"], one, where)
    if isinstance(value, dict):
        if not value or set(value) - set(schema["properties"]):
            raise _unprocessable(f"{where} has one or more of {', '.join(schema['properties'])}", where)
        for name, one in value.items():
            _check(schema["properties"][name], one, f"{where}.{name}")
