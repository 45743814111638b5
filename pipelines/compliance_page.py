"""The framework map for people: rows for a terminal, and docs/compliance.md."""

from collections.abc import Iterable, Iterator
from typing import Final

from app.compliance.requirements import Framework, FrameworkMap, Requirement, Status

_INTRODUCTION: Final = """# Compliance

Made by `leofric compliance map --format markdown`; the data is `app/compliance/data/requirements.toml`, and a test holds that every
module and test that it names exists.

This is a map: what some frameworks ask that touches Leofric, the control that answers it, the tests that show the control, and what is
not covered. It is not legal advice, and no proof that a society complies: most of each framework is about people, policies and systems
that Leofric does not know. *Built* means that Leofric does what is asked of a system and tests show it, *partly* that something is
missing that the last column names, *not built* that there is nothing. The frameworks' texts are put in our own words; the texts
themselves count.

```
leofric compliance map [--framework "UK GDPR"] [--json]
leofric compliance report FOLDER --from 2026-06-01 --to 2026-06-30 --lake lake/ [--why TEXT]      # the evidence of a period
leofric compliance verify FOLDER --trusted-key public.pem                                    # no lake, no network
```

`report` writes `report.json` (canonical JSON), `report.html` (the same for people; it loads nothing, and prints) and `report.sig` (both
files' SHA-256, signed with the Ed25519 key of `LEOFRIC_SIGNING_KEY_FILE`; without a key it says *unsigned*: then whoever changes all
three files is not found). It counts, and points to entries of the audit trail by their number: nobody's name, account, payment or free
text is in it. Dates are days in UTC, both included. That a report was made is in the audit trail. What verification says of
certificates and of the trail is as of when the report was made. Each certificate is recomputed from the tables: of a large lake that takes
its time.
"""


def rows(found: FrameworkMap) -> list[dict[str, str]]:
    """A row a requirement, as a terminal shows it."""
    return [
        {"reference": one.reference, "status": one.status.value, "asks": one.asks, "control": one.control, "does not cover": one.covers_not}
        for one in found.requirements
    ]


def page(found: FrameworkMap) -> str:
    """The map as a page of the documentation."""
    lines = [_INTRODUCTION, "| framework | built | partly | not built |", "|---|---|---|---|"]
    lines += [f"| {name} | {' | '.join(str(count[status]) for status in Status)} |" for name, count in found.counts().items()]
    for framework in found.frameworks:
        lines += _section(framework, [one for one in found.requirements if one.framework == framework.name])
    return "\n".join(lines) + "\n"


def _section(framework: Framework, requirements: Iterable[Requirement]) -> Iterator[str]:
    yield from ("", f"## {framework.name}", "", f"{framework.source}. {framework.note}", "")
    yield "| requirement | asks | control | shown by | status | does not cover |"
    yield "|---|---|---|---|---|---|"
    for one in requirements:
        modules = ", ".join(f"`{module}`" for module in one.modules)
        control = f"{one.control} {modules}".strip()
        tests = "<br>".join(f"`{test.removeprefix('tests/')}`" for test in one.tests)
        yield f"| {one.reference} | {one.asks} | {control} | {tests} | {one.status.value} | {one.covers_not} |"
