from pathlib import Path

import pytest

from app.contracts.amount_form import PARENTHESES, TRAILING
from app.errors import UsageError
from app.lake.storage import Storage
from pipelines import plan


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    for name in ("b.csv", "a.csv", "deep/c.ndjson.gz", "ground_truth/x.csv", ".hidden.csv", "_tmp/y.csv", "a.csv.control.json"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    return tmp_path


def names(*places: object, zones: tuple[str, ...] = ()) -> list[str]:
    return [file.path.rpartition("/")[2] for file in plan.source_files([str(place) for place in places], zones, {})]


def test_a_folder_gives_its_data_files_in_order_and_neither_hidden_ones_nor_the_truth(landing: Path) -> None:
    assert names(landing) == ["a.csv", "b.csv", "c.ndjson.gz"]


def test_the_order_does_not_depend_on_the_order_of_the_places(landing: Path) -> None:
    assert names(landing / "b.csv", landing / "a.csv") == names(landing / "a.csv", landing / "b.csv") == ["a.csv", "b.csv"]


def test_a_file_named_twice_is_taken_once(landing: Path) -> None:
    assert names(landing, landing / "a.csv", f"{landing}/*.csv") == ["a.csv", "b.csv", "c.ndjson.gz"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [("*.csv", ["a.csv", "b.csv"]), ("**/*.gz", ["c.ndjson.gz"]), ("?.csv", ["a.csv", "b.csv"]),
     ("[b-z].csv", ["b.csv"]), ("[!b].csv", ["a.csv"]),
     ("de*/*", ["c.ndjson.gz"]), ("**", ["a.csv", "b.csv", "c.ndjson.gz"])],
)  # fmt: skip
def test_globs_choose_files(landing: Path, pattern: str, expected: list[str]) -> None:
    assert names(f"{landing}/{pattern}") == expected


def test_relative_places_are_taken_from_the_current_folder(landing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(landing)
    assert names("*.csv") == names("a.csv", "b.csv") == ["a.csv", "b.csv"]
    assert names(".") == ["a.csv", "b.csv", "c.ndjson.gz"]
    assert plan.source_files(["a.csv"], (), {})[0].uri == (landing / "a.csv").as_uri()


def test_a_file_with_wildcards_in_its_name_is_found_by_its_name(landing: Path) -> None:
    (landing / "[x]*.csv").write_text("x")
    assert names(landing / "[x]*.csv") == ["[x]*.csv"]


@pytest.mark.parametrize("place", ["a.csv", "*.csv"])
def test_a_file_and_a_glob_of_one_level_do_not_walk_through_the_folders_below(
    landing: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setattr(Storage, "entries", lambda *_: pytest.fail("walked through all folders"))
    (source, *_) = plan.source_files([f"{landing}/{place}"], (), {})
    assert source.control_path == "a.csv.control.json"


@pytest.mark.parametrize("place", ["nothing", "*.nothing", "nothing/*.csv"])
def test_a_place_without_files_is_named_in_the_error(landing: Path, place: str) -> None:
    with pytest.raises(UsageError, match="nothing"):
        names(f"{landing}/{place}")


def test_a_control_file_belongs_to_the_file_beside_it(landing: Path) -> None:
    files = plan.source_files([str(landing)], (), {})
    assert [file.control_path is not None for file in files] == [True, False, False]
    (landing / "a.csv").unlink()
    with pytest.raises(UsageError, match=r"a\.csv\.control\.json"):
        names(landing)


def test_zones_are_declared_for_all_files_or_by_pattern(landing: Path) -> None:
    files = plan.source_files([str(landing)], ["b*=Europe/London", "UTC"], {})
    assert [file.zone for file in files] == ["UTC", "Europe/London", "UTC"]
    with pytest.raises(UsageError, match="Mars/Base"):
        plan.source_files([str(landing)], ["*.csv=Mars/Base"], {})


def test_forms_of_amounts_are_declared_like_zones_but_not_for_json(landing: Path) -> None:
    files = plan.source_files([str(landing)], (), {}, ["b*=1.234,56-", "a.csv=(1,234.56)"])
    assert [file.amounts and (file.amounts.separator, file.amounts.sign) for file in files] == [(",", PARENTHESES), (".", TRAILING), None]
    with pytest.raises(UsageError, match=r"c\.ndjson\.gz: amounts in JSON"):
        plan.source_files([str(landing)], (), {}, ["1,234.56"])
