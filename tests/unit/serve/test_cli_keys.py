import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from app.lake.lake import create, open_lake
from app.lake.storage import Storage
from serve.cli_keys import keys
from serve.keys import key_ring


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    create(Storage(str(tmp_path)), bytes(range(16)))
    return tmp_path


def call(*words: object) -> Result:
    return CliRunner().invoke(keys, [str(word) for word in words])


def test_create_prints_the_key_and_nothing_else_to_stdout(lake: Path) -> None:
    ran = call("create", "--name", "payments", "--scope", "score", "--scope", "validate", "--lake", lake)
    assert ran.exit_code == 0
    client = key_ring(open_lake(Storage(str(lake)))).client_of(ran.stdout.removesuffix("\n"))
    assert client is not None
    assert (client.name, client.scopes) == ("payments", frozenset({"score", "validate"}))


def test_create_says_to_stderr_that_the_key_is_shown_once_without_showing_it_there(lake: Path) -> None:
    ran = call("create", "--name", "payments", "--scope", "score", "--lake", lake)
    assert "only time" in ran.stderr
    assert ran.stdout.strip() not in ran.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--name", "Pay", "--scope", "score"], "leofric: 'Pay' cannot be a key's name"),
        (["--name", "taken", "--scope", "score"], "leofric: the lake has a key taken already"),
        (["--name", "pay", "--scope", "score", "--storage-option", "REGION"], "leofric: --storage-option REGION: write it as NAME=VALUE"),
        (["--name", "pay", "--scope", "everything"], "everything"),
        (["--name", "pay"], "--scope"),
    ],
)
def test_wrong_usage_of_create_is_a_sentence_on_stderr_and_exit_code_2(lake: Path, words: list[str], sentence: str) -> None:
    call("create", "--name", "taken", "--scope", "score", "--lake", lake)
    ran = call("create", *words, "--lake", lake)
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert sentence in ran.stderr


def test_where_there_is_no_lake_the_exit_code_is_1(tmp_path: Path) -> None:
    ran = call("list", "--lake", tmp_path / "nowhere")
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert "leofric: there is no lake at" in ran.stderr


def test_list_shows_valid_and_revoked_keys(lake: Path) -> None:
    for name in ("payments", "cards"):
        call("create", "--name", name, "--scope", "score", "--lake", lake)
    revoked = call("revoke", "--name", "cards", "--lake", lake)
    lines = call("list", "--lake", lake).stdout.splitlines()
    assert lines[0] == revoked.stdout.strip()
    assert lines[0].startswith("cards: score; created ")
    assert "; revoked 20" in lines[0]
    assert lines[1].startswith("payments: score; ")
    assert lines[1].endswith("; valid")


def test_list_as_json_is_one_document_without_hashes(lake: Path) -> None:
    call("create", "--name", "payments", "--scope", "metrics", "--lake", lake)
    (key,) = json.loads(call("list", "--json", "--lake", lake).stdout)
    assert (key["name"], key["scopes"], key["revoked_at"]) == ("payments", ["metrics"], None)
    assert "hash" not in key


def test_an_empty_list_says_so_to_stderr_and_is_an_empty_document_as_json(lake: Path) -> None:
    ran = call("list", "--lake", lake)
    assert (ran.exit_code, ran.stdout) == (0, "")
    assert "no keys" in ran.stderr
    assert json.loads(call("list", "--json", "--lake", lake).stdout) == []


def test_a_revoked_key_is_valid_no_more(lake: Path) -> None:
    text = call("create", "--name", "payments", "--scope", "score", "--lake", f"file://{lake}").stdout.strip()
    assert call("revoke", "--name", "payments", "--lake", lake).exit_code == 0
    assert key_ring(open_lake(Storage(str(lake)))).client_of(text) is None


def test_to_revoke_a_key_that_is_not_there_is_wrong_usage(lake: Path) -> None:
    ran = call("revoke", "--name", "payments", "--lake", lake)
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert "has no key payments" in ran.stderr
