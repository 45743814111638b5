"""The lists' files: CSV with a header, beside this module in ``data/``."""

import csv
from importlib import resources


def read(name: str) -> list[dict[str, str]]:
    """The rows of ``data/<name>.csv``, in the file's order."""
    text = resources.files("app.reference").joinpath("data", f"{name}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
