"""The interface as OpenAPI tells it, made from the contracts, and as a page at /docs."""

import json
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.responses import HTMLResponse, Response

from app.contracts import lake, landing
from serve import docs, review
from serve.requests import MOST_RECORDS

Schema = dict[str, Any]


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _list(of: Schema, **limits: int) -> Schema:
    return {"type": "array", "items": of, **limits}


def _object(required: list[str], properties: Schema) -> Schema:
    return {"type": "object", "required": required, "properties": properties}


_TEXT: Final = "^[^\\u0000]*$"  # a record with NUL is refused, whatever brings it
_STRING: Final = {"type": "string"}
_STRING_OR_NULL: Final = {"type": ["string", "null"]}
_BOOLEAN: Final = {"type": "boolean"}
_CHECK: Final = {"enum": ["valid", "invalid", "not_checked"]}
_SEVERITY: Final = {"severity": {"enum": ["reject", "warn"]}}
_MEANINGS: Final = {column.name: column.meaning for column in lake.SCORES.columns}


def _told(name: str, *types: str) -> Schema:
    """A column of the lake's scores, as an answer has it."""
    return {"type": list(types) if len(types) > 1 else types[0], "description": _MEANINGS[name]}


_SCORED: Final = {
    "transaction_id": _STRING,
    "decision": {"const": "scored"},
    "score": _told("score", "number"),
    "suspicion": _told("suspicion", "number", "null"),
    "band": {"enum": list(lake.BANDS), "description": _MEANINGS["band"]},
    "reasons": _list(_ref("Reason")),
    "scenarios": _list(_ref("Scenario")),
    "warnings": _list(_ref("Fault")),
    "history_complete": {"type": "boolean", "description": "false if some of its accounts' past lies before what is known here"},
    "degraded": _STRING | {"description": "there if the histories that replicas share were away: what is missing then"},
    "model_id": _told("model_id", "string"),
    "ranker_id": _told("ranker_id", "string", "null"),
    "features_version": _told("features_version", "integer"),
}
_REFUSED: Final = {"transaction_id": _STRING_OR_NULL, "decision": {"const": "refused"}, "reasons": _list(_ref("Fault"))}
_VALIDATED: Final = {
    "transaction_id": _STRING_OR_NULL,
    "valid": _BOOLEAN,
    "reasons": _list(_ref("Fault")),
    "account_check": _CHECK,
    "counterparty_check": _CHECK,
}
_SCENARIO: Final = dict.fromkeys(("scenario", "reason", "account", "sentence"), _STRING)
_OBJECT: Final = {"type": "object"}
_OBJECT_OR_NULL: Final = {"type": ["object", "null"]}
_INTEGER: Final = {"type": "integer"}
_INTEGER_OR_NULL: Final = {"type": ["integer", "null"]}
_LINE: Final = {
    "item": _STRING | {"description": "what the record is called"},
    "source": _STRING | {"description": "its file's address"},
    "reasons": {"type": "array", "items": {"type": ["string", "object"]}, "description": "codes; of one record also their sentences"},
    "transaction_id": _STRING_OR_NULL,
    "amount_minor": _INTEGER_OR_NULL,
    "currency": _STRING_OR_NULL,
    "state": _STRING,
    "age": _STRING,
    "quarantined_at": _STRING,
    "proposal": _INTEGER_OR_NULL | {"description": "number of the proposal that stands"},
    "proposed_by": _STRING_OR_NULL,
}
_QUARANTINED: Final = {
    "records": _INTEGER | {"description": "how many fit"},
    "items": _list(_ref("Line")),
    "by_reason": _list(_OBJECT) | {"description": "of all that fit, records and amounts by currency"},
    "by_age": _OBJECT | {"description": "of all that fit, records"},
}
_RECORD: Final = {
    "source_sha256": _STRING,
    "record_number": _INTEGER,
    "raw": _STRING | {"description": "its bytes; what is not UTF-8 as \\xNN"},
    "texts": _OBJECT_OR_NULL | {"description": "its twelve texts; null if it could not be read"},
    "rules": _list(_STRING) | {"description": "rules that would make it acceptable"},
    "correction": _OBJECT_OR_NULL | {"description": "the new values that are proposed or approved"},
    "decisions": _list(_OBJECT),
}
_DECIDED: Final = {"number": _INTEGER, "proposals": _list(_INTEGER), "items": _list(_OBJECT)}
_SCHEMAS: Final = {
    "Payment": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            column.name: {
                "type": ["string", "number", "null"] if column.name == "amount" else ["string", "null"],
                "pattern": _TEXT,
                "description": column.meaning,
            }
            for column in landing.COLUMNS
        },
    },
    "Payments": _object(["transactions"], {"transactions": _list(_ref("Payment"), minItems=1, maxItems=MOST_RECORDS)})
    | {"additionalProperties": False},
    "Reason": _object(["code", "sentence"], {"code": _STRING, "sentence": _STRING}),
    "Fault": _object(["code", "severity", "sentence"], {"code": _STRING, "sentence": _STRING} | _SEVERITY),
    "Scenario": _object([*_SCENARIO, "evidence"], _SCENARIO | {"evidence": _list(_STRING)}),
    "Validated": _object(list(_VALIDATED), _VALIDATED),
    "Scored": _object([name for name in _SCORED if name != "degraded"], _SCORED),
    "Refused": _object(list(_REFUSED), _REFUSED),
    **review.SCHEMAS,
    "Line": _object(list(_LINE), _LINE),
    "Quarantined": _object(list(_QUARANTINED), _QUARANTINED),
    "QuarantinedRecord": _object([*_LINE, *_RECORD], _LINE | _RECORD),
    "Decided": _object(list(_DECIDED), _DECIDED),
    "Problem": _object(
        ["type", "title", "status", "detail"],
        {
            "type": _STRING,
            "title": _STRING,
            "status": {"type": "integer"},
            "detail": _STRING | {"description": "what to do"},
            "code": _STRING | {"description": "the reason's code, if a record cannot be read"},
            "field": _STRING | {"description": "which record or field"},
        },
    ),
}
_PROBLEMS: Final = {
    400: "the body is not JSON",
    401: "no key or token, or one that is not good",
    403: "the key lacks the scope",
    404: "there is nothing at this path",
    405: "not a method of this path; see Allow",
    408: "the body did not come within 10 s",
    413: "more than 1 MiB, or more than 1000 records",
    415: "not application/json",
    422: "a record cannot be read; the detail says which, and why",
    429: "the rate limit is reached; see Retry-After",
    500: "the service failed; its log tells why under the request's id",
    503: "not ready, or overloaded; see Retry-After",
}
_HEADERS: Final = {401: "WWW-Authenticate", 405: "Allow", 429: "Retry-After", 503: "Retry-After"}


def _problem(status: int, what: str) -> Schema:
    told = {"description": what, "content": {"application/problem+json": {"schema": _ref("Problem")}}}
    name = _HEADERS.get(status)
    return told if name is None else told | {"headers": {name: {"schema": _STRING}}}


def _route(name: str, answers: list[Schema]) -> dict[str, Any]:
    one = answers[0] if len(answers) == 1 else {"oneOf": answers}
    many = _object(["transactions"], {"transactions": _list(one)})
    return {
        "operation_id": name,
        "responses": {
            200: {"description": "answered", "content": {"application/json": {"schema": {"oneOf": [*answers, many]}}}},
            **{status: _problem(status, what) for status, what in _PROBLEMS.items()},
        },
        "openapi_extra": {
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": {"oneOf": [_ref("Payment"), _ref("Payments")]}}},
            },
            "security": [{"bearer": []}],
        },
    }


def _review_route(name: str, answer: str, parameters: list[Schema], body: tuple[str, ...] = ()) -> dict[str, Any]:
    """A route of reviewers: with a body, or with parameters."""
    problems = _PROBLEMS | {404: "no such record", 409: "the decision cannot be made; nothing was changed", 422: "not of the form"}
    apart = () if body else (400, 408, 413, 415)
    sent = {"requestBody": {"required": True, "content": {"application/json": {"schema": {"oneOf": [_ref(form) for form in body]}}}}}
    return {
        "operation_id": name,
        "responses": {
            200: {"description": "answered", "content": {"application/json": {"schema": _ref(answer)}}},
            **{status: _problem(status, what) for status, what in problems.items() if status not in apart},
        },
        "openapi_extra": {"parameters": parameters, "security": [{"bearer": []}]} | (sent if body else {}),
    }


QUARANTINED: Final = _review_route("quarantined", "Quarantined", review.PARAMETERS)
QUARANTINED_RECORD: Final = _review_route("quarantined_record", "QuarantinedRecord", [review.ITEM_PARAMETER])
PROPOSE: Final = _review_route("propose", "Decided", [], review.PROPOSALS)
APPROVE: Final = _review_route("approve", "Decided", [], review.VERDICTS)
REJECT: Final = _review_route("reject", "Decided", [], review.VERDICTS)
VALIDATE: Final = _route("validate", [_ref("Validated")])
SCORE: Final = _route("score", [_ref("Scored"), _ref("Refused")])


def document(api: FastAPI) -> Schema:
    """The document of an interface whose routes are all there."""
    bearer = {"type": "http", "scheme": "bearer", "description": "an API key (leofric keys create), or a token of the OpenID provider"}
    told = get_openapi(title=api.title, version=api.version, routes=api.routes)
    return told | {"components": {"schemas": _SCHEMAS, "securitySchemes": {"bearer": bearer}}}


def publish(api: FastAPI) -> None:
    """Give an interface, whose routes are all there, its document at /openapi.json and a page of it at /docs.

    FastAPI's own page loads its scripts from a CDN, which a bank's network does not reach.
    """
    told = document(api)
    data, page = json.dumps(told).encode(), docs.page(told)

    @api.get("/openapi.json", include_in_schema=False)
    async def _document() -> Response:
        return Response(data, media_type="application/json")

    @api.get("/docs", include_in_schema=False)
    async def _page() -> Response:
        return HTMLResponse(page, headers={"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"})
