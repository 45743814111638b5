"""What the service may be started with."""

import pytest

from app.errors import UsageError
from serve.settings import settings_of

SHARED = "redis://:secret@localhost:6379/0"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"replicas": 2}, "several replicas need histories that they share"),
        ({"max_replicas": 2}, "several replicas need histories that they share"),
        ({"replicas": 3, "max_replicas": 2, "histories": SHARED}, "at most 2 replicas are fewer than 3"),
        ({"histories": "memcached://:secret@localhost"}, "histories cannot be kept in 'memcached'"),
        ({"replicas": 0}, "replicas"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence_and_no_password(arguments: dict[str, object], why: str) -> None:
    with pytest.raises(UsageError, match=why) as refused:
        settings_of({"lake": "lake"} | arguments)
    assert "secret" not in str(refused.value)


def test_several_replicas_share_histories() -> None:
    assert settings_of({"lake": "lake"}).most_replicas == 1
    assert settings_of({"lake": "lake", "replicas": 2, "histories": SHARED}).most_replicas == 2
    assert settings_of({"lake": "lake", "max_replicas": 4, "histories": SHARED.replace("redis", "valkey")}).most_replicas == 4
