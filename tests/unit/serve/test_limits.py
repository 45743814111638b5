import time

import pytest

from app.errors import UsageError
from serve.limits import Limiter


def test_a_client_may_call_as_often_as_its_rate_says_and_is_then_told_how_long_to_wait() -> None:
    limiter = Limiter("3/hour")
    assert [limiter.check("payments") for _ in range(3)] == [None, None, None]
    wait = limiter.check("payments")
    assert wait is not None
    assert 3500 < wait <= 3600


def test_clients_are_counted_apart() -> None:
    limiter = Limiter("1/hour")
    assert limiter.check("payments") is None
    assert limiter.check("payments") is not None
    assert limiter.check("cards") is None


def test_after_the_wait_a_client_may_call_again() -> None:
    limiter = Limiter("1/second")
    while (wait := limiter.check("payments")) is None:
        continue
    assert 0 <= wait <= 1
    time.sleep(wait)
    assert limiter.check("payments") is None


def test_calls_that_are_refused_make_the_wait_no_longer() -> None:
    limiter = Limiter("1/hour")
    limiter.check("payments")
    waits = [limiter.check("payments") or 0.0 for _ in range(100)]
    assert waits == sorted(waits, reverse=True)


@pytest.mark.parametrize("rate", ["100/second", "100 / minute", "1/hour", "999999999/day"])
def test_a_rate_is_a_number_of_calls_and_a_unit_of_time(rate: str) -> None:
    assert Limiter(rate).check("payments") is None


@pytest.mark.parametrize(
    "rate", ["", "fast", "100", "0/second", "-1/second", "1.5/second", "10/fortnight", "5/0second", "1/second; 5/minute"]
)
def test_a_wrong_rate_is_named_with_what_to_write(rate: str) -> None:
    with pytest.raises(UsageError, match="such as 100/second"):
        Limiter(rate)


@pytest.mark.parametrize("uri", ["", "memory", "memcached://127.0.0.1:11211", "async+memory://", "http://user:hunter2@127.0.0.1"])
def test_a_storage_that_is_neither_memory_nor_redis_is_refused_without_repeating_its_password(uri: str) -> None:
    with pytest.raises(UsageError, match="memory://, or redis://") as caught:
        Limiter("1/second", uri)
    assert "hunter2" not in str(caught.value)


def test_a_redis_that_does_not_answer_leaves_each_process_to_count_for_itself(caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("redis", reason="the package redis is an extra")
    limiter = Limiter("2/hour", "redis://:hunter2@127.0.0.1:1/0")
    assert [limiter.check("payments") is None for _ in range(4)] == [True, True, False, False]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "hunter2" not in caplog.text


def test_a_redis_address_that_cannot_be_read_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="redis"):
        Limiter("1/second", "redis://127.0.0.1:port/0")
