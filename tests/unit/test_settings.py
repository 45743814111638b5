import re
from pathlib import Path

import pytest

from app.errors import UsageError
from app.settings import Settings, read_settings

PAGE = Path(__file__).parents[2] / "docs/settings.md"


def test_the_settings_page_lists_every_setting_with_its_default() -> None:
    listed = dict(re.findall(r"^\| `LEOFRIC_(\w+)`.* ?\| ([^|]+) \| ", PAGE.read_text(), re.MULTILINE))
    fields = Settings.model_fields
    assert {name.lower() for name in listed} == set(fields)
    for name, field in fields.items():
        if field.default is not None:
            assert listed[name.upper()].strip() == str(field.default), name


def test_the_environment_sets_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEOFRIC_UNIT_BYTES", "12345")
    monkeypatch.setenv("RAY_ADDRESS", "ray.example:6379")
    assert (Settings().unit_bytes, Settings().ray_address) == (12345, "ray.example:6379")


@pytest.mark.parametrize(("name", "value"), [("UNIT_BYTES", "0"), ("WORKERS", "none"), ("OBJECT_STORE_BYTES", "1")])
def test_a_value_out_of_range_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"LEOFRIC_{name}", value)
    with pytest.raises(UsageError, match=f"LEOFRIC_{name}={value}: Input should be"):
        read_settings()
