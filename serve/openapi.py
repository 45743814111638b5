"""The interface as OpenAPI tells it, made from the contracts."""

from typing import Any, Final

from app.contracts import lake, landing
from serve.requests import MOST_RECORDS

_RECORD: Final = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        column.name: {
            "type": ["string", "number", "null"] if column.name == "amount" else ["string", "null"],
            "description": column.meaning,
        }
        for column in landing.COLUMNS
    },
}
_MANY: Final = {
    "type": "object",
    "additionalProperties": False,
    "required": ["transactions"],
    "properties": {"transactions": {"type": "array", "items": _RECORD, "minItems": 1, "maxItems": MOST_RECORDS}},
}
_REASON: Final = {
    "type": "object",
    "required": ["code", "sentence"],
    "properties": {"code": {"type": "string"}, "sentence": {"type": "string"}, "severity": {"enum": ["reject", "warn"]}},
}
_REASONS: Final = {"type": "array", "items": _REASON}
_CHECK: Final = {"enum": ["valid", "invalid", "not_checked"]}
_VALIDATED: Final = {
    "type": "object",
    "required": ["transaction_id", "valid", "reasons", "account_check", "counterparty_check"],
    "properties": {
        "transaction_id": {"type": ["string", "null"]},
        "valid": {"type": "boolean"},
        "reasons": _REASONS,
        "account_check": _CHECK,
        "counterparty_check": _CHECK,
    },
}
_MEANINGS: Final = {column.name: column.meaning for column in lake.SCORES.columns}
_SCORED: Final = {
    "type": "object",
    "required": ["transaction_id", "decision", "reasons"],
    "properties": {
        "transaction_id": {"type": ["string", "null"]},
        "decision": {"enum": ["scored", "refused"]},
        "reasons": _REASONS,
        "warnings": _REASONS,
        "score": {"type": "number", "description": _MEANINGS["score"]},
        "suspicion": {"type": ["number", "null"], "description": _MEANINGS["suspicion"]},
        "band": {"enum": list(lake.BANDS), "description": _MEANINGS["band"]},
        "scenarios": {"type": "array", "items": {"type": "object"}},
        "history_complete": {
            "type": "boolean",
            "description": "false if some of its accounts' past lies before what is known here",
        },
        "degraded": {"type": "string", "description": "there if the histories that replicas share were away: what is missing then"},
        "model_id": {"type": "string", "description": _MEANINGS["model_id"]},
        "ranker_id": {"type": ["string", "null"], "description": _MEANINGS["ranker_id"]},
        "features_version": {"type": "integer", "description": _MEANINGS["features_version"]},
    },
}
_PROBLEM: Final = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {"type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"}, "detail": {"type": "string"}},
}
_PROBLEMS: Final = {
    400: "the body is not JSON",
    401: "no key or token, or one that is not good",
    403: "the key lacks the scope",
    408: "the body did not come within 10 s",
    413: "more than 1 MiB, or more than 1000 records",
    415: "not application/json",
    422: "a record cannot be read; the detail says which, and why",
    429: "the rate limit is reached; see Retry-After",
    500: "the service failed; its log tells why under the request's id",
    503: "not ready, or overloaded; see Retry-After",
}


def _route(answer: dict[str, Any]) -> dict[str, Any]:
    many = {"type": "object", "required": ["transactions"], "properties": {"transactions": {"type": "array", "items": answer}}}
    problems = {
        status: {"description": what, "content": {"application/problem+json": {"schema": _PROBLEM}}} for status, what in _PROBLEMS.items()
    }
    return {
        "responses": {200: {"description": "answered", "content": {"application/json": {"schema": {"anyOf": [answer, many]}}}}} | problems,
        "openapi_extra": {
            "requestBody": {"required": True, "content": {"application/json": {"schema": {"anyOf": [_RECORD, _MANY]}}}},
            "security": [{"bearer": []}],
        },
    }


VALIDATE: Final = _route(_VALIDATED)
SCORE: Final = _route(_SCORED)
