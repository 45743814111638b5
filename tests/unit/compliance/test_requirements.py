"""The framework map: what it names exists, and docs/compliance.md is what it says."""

import ast
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.compliance.requirements import EVIDENCE, Requirement, Status, framework_map, parse
from app.errors import UsageError
from pipelines.cli import app

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs/compliance.md"
MAP = framework_map()
each = pytest.mark.parametrize("one", MAP.requirements, ids=lambda one: one.id)


def leofric(*words: str) -> Any:
    return CliRunner().invoke(app, ["compliance", *words])


@cache
def names_of_tests(path: Path) -> frozenset[str]:
    """The tests of a file."""
    found = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return frozenset(node.name for node in found if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"))


@each
def test_every_test_that_is_named_is_there(one: Requirement) -> None:
    for test in one.tests:
        file, _, name = test.partition("::")
        assert file.startswith("tests/")
        assert (ROOT / file).is_file(), f"{one.id} names {file}, which is not there"
        assert name in names_of_tests(ROOT / file), f"{one.id} names {test}, which is not there"
    assert len(set(one.tests)) == len(one.tests)


@each
def test_every_module_that_is_named_is_there(one: Requirement) -> None:
    for module in one.modules:
        assert module.endswith(".py")
        assert (ROOT / module).is_file(), f"{one.id} names {module}, which is not there"


@each
def test_what_is_built_has_modules_and_tests_and_what_is_not_has_none(one: Requirement) -> None:
    built = one.status is not Status.NOT_BUILT
    assert (bool(one.modules), bool(one.tests)) == (built, built)


@each
def test_every_requirement_says_what_is_asked_what_answers_it_and_what_is_left(one: Requirement) -> None:
    for text in (one.asks, one.control, one.covers_not):
        assert text.endswith(".")
        assert "|" not in text
    assert one.reference
    assert set(one.evidence) <= set(EVIDENCE)


def test_every_framework_has_requirements_and_no_requirement_stands_twice() -> None:
    assert [one.name for one in MAP.frameworks] == list(dict.fromkeys(one.framework for one in MAP.requirements))
    assert len({one.id for one in MAP.requirements}) == len({one.reference + one.asks for one in MAP.requirements}) == len(MAP.requirements)
    for name in ("FCA SYSC", "FCA SUP", "UK GDPR", "MLR 2017", "SOX", "BCBS 239 and Basel III"):
        assert sum(MAP.counts()[name].values()) >= 5


def test_every_section_of_the_report_is_evidence_of_something() -> None:
    assert {section for one in MAP.requirements for section in one.evidence} == set(EVIDENCE)


def test_the_page_is_what_the_map_says() -> None:
    assert leofric("map", "--format", "markdown").stdout == PAGE.read_text(), (
        "run `leofric compliance map --format markdown > docs/compliance.md`"
    )


def test_the_pages_tables_have_as_many_cells_in_each_row() -> None:
    assert {line.count("|") for line in PAGE.read_text().splitlines() if line.startswith("|")} == {5, 7}


def test_one_framework_is_shown_alone_by_any_beginning_of_its_name() -> None:
    shown = json.loads(leofric("map", "--framework", "mlr", "--json").stdout)
    assert shown == [one.document() for one in MAP.requirements if one.framework == "MLR 2017"]
    table = leofric("map", "--framework", "UK gdpr")
    assert table.exit_code == 0
    assert "UK GDPR Art. 17" in table.stdout
    assert "SYSC" not in table.stdout


@pytest.mark.parametrize(("name", "said"), [("fca", "is more than one framework"), ("HIPAA", "is no framework"), ("", "is no framework")])
def test_a_name_that_is_no_frameworks_is_refused_with_those_that_there_are(name: str, said: str) -> None:
    refused = leofric("map", "--framework", name)
    assert refused.exit_code == 2
    assert said in refused.stderr
    assert "UK GDPR" in refused.stderr


GOOD = """
[[framework]]
name = "F"
source = "S"
note = "N"

[[requirement]]
id = "one"
framework = "F"
reference = "1"
asks = "A."
control = "C."
modules = []
tests = []
covers_not = "N."
status = "not built"
evidence = []
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('status = "not built"', 'status = "done"', "requirement one has the status 'done'; it may be built, partly, not built"),
        ('framework = "F"', 'framework = "G"', "requirement one is of the framework 'G'"),
        ('asks = "A."', "", r"requirement one of the framework map has \['asks'\]"),
        ('name = "F"', "name = F", "the framework map cannot be read"),
    ],
)
def test_a_map_that_is_none_is_refused_with_the_requirement(old: str, new: str, said: str) -> None:
    assert [one.id for one in parse(GOOD).requirements] == ["one"]
    with pytest.raises(UsageError, match=said):
        parse(GOOD.replace(old, new))
