import pickle
from pathlib import Path

import pytest

from app.errors import UsageError
from serve.settings import settings_of

KEY = "AWS_SECRET_ACCESS_KEY"
SECRETS = {
    "storage_options": {KEY: "hunter2"},
    "rate_limit_storage": "redis://:hunter2@127.0.0.1:6379/0",
}


def test_what_is_secret_is_not_in_the_settings_text_and_survives_the_way_to_a_replica() -> None:
    settings = settings_of({"lake": "s3://bank/lake"} | SECRETS)
    assert "hunter2" not in f"{settings!r} {settings} {settings.rate_limit_storage}"
    carried = pickle.loads(pickle.dumps(settings))
    assert carried.storage_options[KEY] == "hunter2"
    assert carried.rate_limit_storage.get_secret_value() == SECRETS["rate_limit_storage"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"rate_limit_storage": ["redis://:hunter2@x"]},
        {"storage_options": {KEY: ["hunter2"]}},
        {"storage_options": "hunter2"},
        {"log_level": "loud"},
    ],
)
def test_what_is_wrong_with_settings_is_said_without_repeating_a_secret(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))) as caught:
        settings_of({"lake": "lake"} | SECRETS | wrong)
    assert "hunter2" not in str(caught.value)


def test_the_counters_address_is_taken_from_the_environment_unless_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LEOFRIC_RATE_LIMIT_STORAGE", raising=False)
    assert settings_of({"lake": "lake"}).rate_limit_storage.get_secret_value() == "memory://"
    monkeypatch.setenv("LEOFRIC_RATE_LIMIT_STORAGE", "redis://:hunter2@x:6379/0")
    assert settings_of({"lake": "lake"}).rate_limit_storage.get_secret_value() == "redis://:hunter2@x:6379/0"
    assert settings_of({"lake": "lake", "rate_limit_storage": "memory://"}).rate_limit_storage.get_secret_value() == "memory://"


@pytest.mark.parametrize("given", [{"tls_certificate": "c.pem"}, {"tls_key": "k.pem"}])
def test_tls_needs_a_certificate_and_a_key(given: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="TLS needs both"):
        settings_of({"lake": "lake"} | given)
    assert settings_of({"lake": "lake", "tls_certificate": "c.pem", "tls_key": "k.pem"}).tls_key == Path("k.pem")
