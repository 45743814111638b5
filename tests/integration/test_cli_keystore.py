"""A sealed lake and its key store from the command line: made, shown, wrapped by another key; and what is said when it does not open."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.contracts.lake import SILVER
from app.lake import subjects as key_store
from app.lake.storage import Storage
from pipelines.cli import app
from tests.support.lake import load, opened
from tests.support.landing import records, write_csv
from tests.support.sealed import opening, secret_file


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a sealed lake that was loaded twice, its key store of two parts, and the secret ``old``."""
    folder = tmp_path_factory.mktemp("keystore")
    with opening(key_file=secret_file(folder / "old")):
        ran = leofric("keystore", "create", "--lake", folder / "lake", "--keys", folder / "keys", "--backup-days", 7)
        assert ran.exit_code == 0, ran.output
        assert "no backup of it longer than 7 days" in ran.output
        for name, first in (("a", 1), ("b", 21)):
            write_csv(folder / f"landing/{name}.csv", records(first, first + 20))
            load(folder / f"landing/{name}.csv", folder / "lake")
    return folder


@pytest.fixture
def place(loaded: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of it; the settings name its key store and its secret."""
    shutil.copytree(loaded, tmp_path / "place")
    with opening(key_file=tmp_path / "place/old", keys=tmp_path / "place/keys"):
        yield tmp_path / "place"


def leofric(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


def show(place: Path) -> dict[str, Any]:
    ran = leofric("keystore", "show", "--lake", place / "lake", "--json")
    assert ran.exit_code == 0, ran.output
    return dict(json.loads(ran.stdout))


def fails(place: Path, code: int, said: str) -> None:
    """What shows the key store, and what reads the lake, both end so."""
    for words in (
        ("keystore", "show", "--lake", place / "lake"),
        ("query", "select payer from silver_transactions", "--lake", place / "lake"),
    ):
        ran = leofric(*words)
        assert (ran.exit_code, said in " ".join(ran.output.split())) == (code, True), ran.output


def payers(place: Path) -> set[str]:
    lake = opened(place / "lake")
    return set(lake.opened(lake.table(SILVER).to_pyarrow_table(columns=["payer"]))["payer"].to_pylist())


def trail(place: Path, action: str) -> list[dict[str, Any]]:
    ran = leofric("audit", "list", "--lake", place / "lake", "--action", action, "--json")
    assert ran.exit_code == 0, ran.output
    return list(json.loads(ran.stdout))


def test_a_lake_is_made_with_its_key_store_and_told_what_both_are(place: Path) -> None:
    found = show(place)
    assert (found["backup_days"], found["opens"], found["parts"]) == (7, True, 2)
    assert found["location"] == str(place / "keys")
    assert found["wrapped_by"].startswith("secret:")
    assert found["subjects"] >= len(payers(place))
    (entry,) = trail(place, "keystore.make")
    assert (entry["object"], entry["result"]) == (f"key store {found['id']}", "succeeded")
    assert (place / "keys").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("lake", "keys", "said"),
    [
        ("place/lake", "new", "is not empty"),
        ("place", "new", "is not empty"),
        ("new", "place/keys", "is not empty"),
        ("new", "new/keys", "outside of the lake"),
        ("new/lake", "new", "outside of the lake"),
        ("new", "elsewhere/../new/keys", "outside of the lake"),
    ],
)
def test_places_that_are_taken_or_lie_in_each_other_are_refused_and_nothing_is_made(place: Path, lake: str, keys: str, said: str) -> None:
    root = place.parent
    before = sorted(root.rglob("*"))
    ran = leofric("keystore", "create", "--lake", root / lake, "--keys", root / keys)
    assert (ran.exit_code, said in ran.output) == (2, True), ran.output
    assert [path for path in sorted(root.rglob("*")) if path not in before and path.is_file() and path.name != "lock"] == []


def test_without_a_key_nothing_is_made(tmp_path: Path) -> None:
    with opening():
        ran = leofric("keystore", "create", "--lake", tmp_path / "lake", "--keys", tmp_path / "keys")
    assert (ran.exit_code, "LEOFRIC_SUBJECT_KEY_FILE" in ran.output) == (2, True)
    assert not (tmp_path / "keys").exists()
    assert not (tmp_path / "lake/_leofric/lake.json").exists()


def test_a_relative_key_store_is_found_from_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    with opening(key_file=secret_file(tmp_path / "secret")):
        monkeypatch.chdir(tmp_path)
        assert leofric("keystore", "create", "--lake", "lake", "--keys", "keys").exit_code == 0
        monkeypatch.chdir(tmp_path / "elsewhere")
        assert show(tmp_path)["location"] == str(tmp_path / "keys")


def test_a_lake_that_is_not_sealed_has_no_key_store_to_show(tmp_path: Path) -> None:
    write_csv(tmp_path / "landing/a.csv", records(1, 3))
    load(tmp_path / "landing", tmp_path / "lake")
    ran = leofric("keystore", "show", "--lake", tmp_path / "lake")
    assert (ran.exit_code, "is not sealed" in ran.output) == (2, True)


def test_without_a_key_with_another_or_with_a_short_one_nothing_opens(place: Path) -> None:
    (place / "short").write_text("short")
    cases = {
        2: ({}, {"key_file": place / "short"}, {"key_file": place / "nowhere"}),
        1: ({"key_file": secret_file(place / "other")},),
    }
    said = {2: "", 1: "and the settings name secret:"}
    for code, settings in cases.items():
        for one in settings:
            with opening(keys=place / "keys", **one):
                fails(place, code, said[code])


def test_a_key_store_that_was_moved_is_named_by_the_settings(place: Path) -> None:
    shutil.move(place / "keys", place / "moved")
    fails(place, 1, "its key store is not at")
    with opening(key_file=place / "old", keys=place / "moved"):
        assert show(place)["location"] == str(place / "moved")


def test_another_lakes_key_store_is_refused(place: Path) -> None:
    with opening(key_file=place / "old"):
        assert leofric("keystore", "create", "--lake", place / "lake2", "--keys", place / "keys2").exit_code == 0
    with opening(key_file=place / "old", keys=place / "keys2"):
        fails(place, 1, "the lake's is")


def test_no_byte_of_the_key_store_can_be_changed_unseen(place: Path) -> None:
    """Every byte of the store's object and of a part's head, and some of its body; only a base64 letter's unused bits say nothing."""
    part = min((place / "keys/parts").iterdir())
    unseen = {}
    for path in (place / "keys/store.json", part):
        data = path.read_bytes()
        head = data.index(b"\n") + 1 if path == part else len(data)
        for at in [*range(head), *range(head, len(data), 401), len(data) - 1]:
            path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
            key_store.register_of.cache_clear()
            if leofric_opens(place):
                unseen[path.name, at] = data[max(at - 8, 0) : at + 1]
        path.write_bytes(data)
    assert not unseen
    assert leofric_opens(place)


def leofric_opens(place: Path) -> bool:
    from app.errors import KeyStoreError

    try:
        store = opened(place / "lake").subjects
        assert store is not None
        return len(store.register) > 0
    except KeyStoreError:
        return False


def test_a_changed_byte_in_a_part_is_said(place: Path) -> None:
    part = min((place / "keys/parts").iterdir())
    data = part.read_bytes()
    part.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    key_store.register_of.cache_clear()
    fails(place, 1, "cannot be decrypted: it was changed")


def rewrap(place: Path, *words: object) -> Any:
    return leofric("keystore", "rewrap", "--lake", place / "lake", "--why", "the custodian left", *words)


def test_after_a_rewrap_the_new_key_alone_opens_the_same_subjects(place: Path) -> None:
    before, found = payers(place), show(place)
    new = secret_file(place / "new")
    ran = rewrap(place, "--new-key-file", new)
    assert ran.exit_code == 0, ran.output
    fails(place, 1, f"and the settings name {found['wrapped_by']}")
    with opening(key_file=new, keys=place / "keys"):
        after = show(place)
        assert payers(place) == before
        assert after | {"wrapped_by": ""} == found | {"wrapped_by": ""}
        (entry,) = trail(place, "keystore.rewrap")
    assert entry["details"] == {"from": found["wrapped_by"], "to": after["wrapped_by"]}
    assert (entry["reason"], entry["result"]) == ("the custodian left", "succeeded")
    assert all(found["wrapped_by"].encode() not in path.read_bytes() for path in (place / "keys").rglob("*") if path.is_file())


def test_a_rewrap_that_is_cut_off_anywhere_leaves_a_store_that_opens_and_done_again_is_finished(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new, before, put, opened_by = secret_file(place / "new"), payers(place), Storage.put, []
    shutil.copytree(place / "keys", place / "kept")
    for writes in range(5):  # two parts, the store's object, the two parts again
        shutil.rmtree(place / "keys")
        shutil.copytree(place / "kept", place / "keys")
        done: list[str] = []

        def failing(storage: Storage, path: str, data: Any, done: list[str] = done, most: int = writes) -> None:
            if storage.root == str(place / "keys"):
                if len(done) == most:
                    raise KeyboardInterrupt
                done.append(path)
            put(storage, path, data)

        with monkeypatch.context() as patched:
            patched.setattr(Storage, "put", failing)
            rewrap(place, "--new-key-file", new)
        assert len(done) == writes
        opens = [name for name in ("old", "new") if opens_by(place, place / name)]
        opened_by.append(opens)
        assert rewrap(place, "--new-key-file", new).exit_code == 0
        with opening(key_file=new, keys=place / "keys"):
            assert payers(place) == before
            assert show(place)["parts"] == 2
    assert opened_by == [["old"], ["old"], ["old"], ["new"], ["new"]]


def opens_by(place: Path, secret: Path) -> bool:
    key_store.register_of.cache_clear()
    with opening(key_file=secret, keys=place / "keys"):
        return leofric_opens(place)


def test_a_run_after_a_rewrap_adds_its_subjects_under_the_new_key(place: Path) -> None:
    new = secret_file(place / "new")
    assert rewrap(place, "--new-key-file", new).exit_code == 0
    write_csv(place / "landing/c.csv", records(41, 51))
    with opening(key_file=new, keys=place / "keys"):
        before = show(place)["subjects"]
        load(place / "landing/c.csv", place / "lake")
        assert show(place)["subjects"] > before
        assert all("-~" not in payer for payer in payers(place))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "name the new key by --new-key-file or by --new-vault"),
        (("--new-key-file", "old", "--new-vault", "https://vault/v1/transit/keys/k"), "name the new key by"),
        (("--new-key-file", "nowhere"), "--new-key-file nowhere cannot be read"),
        (("--new-vault", "https://vault/keys"), "write the address of a key of Vault as"),
        (("--new-vault", "https://vault/v1/transit/keys/k"), "LEOFRIC_SUBJECT_VAULT_TOKEN_FILE"),
    ],
)
def test_a_rewrap_to_no_key_is_refused_and_nothing_changes(place: Path, words: tuple[str, ...], said: str) -> None:
    (place / "token").write_text("t")
    more = ("--new-vault-token-file", place / "token") if words == ("--new-vault", "https://vault/keys") else ()
    before = {path: path.read_bytes() for path in (place / "keys").rglob("*") if path.is_file()}
    ran = rewrap(place, *words, *more)
    assert (ran.exit_code, said in " ".join(ran.output.split())) == (2, True), ran.output
    assert {path: path.read_bytes() for path in (place / "keys").rglob("*") if path.is_file()} == before
