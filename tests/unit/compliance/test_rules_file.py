"""Retention rules as YAML: what is read is what was written, and each fault is named."""

import pytest
import yaml

from app.compliance.rules_file import document, merged, parse
from app.contracts.retention_rules import RULES
from app.errors import UsageError

GOOD = """
rules:
- name: business_records
  in_force_from: 2027-01-01
  years: 3
  clock: record_made
  ending: may_erase
  law: a law
  article: article 1
  sentence: Three years.
"""


def test_every_rule_is_read_as_it_is_written() -> None:
    assert parse(yaml.safe_dump({"rules": [document(rule) for rule in RULES]}), "all.yaml") == RULES


def test_a_rule_of_the_same_name_and_day_takes_the_others_place() -> None:
    (rule,) = parse(GOOD, "new.yaml")
    (other,) = parse(GOOD.replace("years: 3", "years: 4"), "new.yaml")
    found = merged(merged(RULES, [rule]), [other])
    assert [one.years for one in found if one.name == "business_records"] == [5, 4]
    assert {*RULES} < {*found}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("years: 3", "years: three", "new.yaml, rule 1: years: three is not a whole number of years"),
        ("years: 3", "years: -1", "years: -1 is not"),
        ("name: business_records", "name: books", "name: there is no retention rule books"),
        ("clock: record_made", "clock: dawn", "clock: dawn is none of record_made"),
        ("ending: may_erase", "ending: burn", "ending: burn is none of must_erase, may_erase"),
        ("2027-01-01", "soon", "in_force_from: soon is not a day"),
        ("  law: a law\n", "", "the field law is missing"),
        ("  law: a law", "  laws: a law", "there is no field laws"),
        ("law: a law", "law: [1]", "law: [1] is not a text"),
        ("rules:", "rule:", "new.yaml has no rules"),
        ("rules:\n-", "rules: [", "new.yaml is not YAML"),
    ],
)
def test_a_fault_is_named(old: str, new: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(GOOD.replace(old, new), "new.yaml")
    assert said in str(caught.value)


def test_a_rule_that_is_there_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="business_records from 2027-01-01 on is there twice"):
        parse(GOOD + GOOD.replace("rules:\n", "").lstrip(), "new.yaml")
