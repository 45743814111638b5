"""The retention rules of a lake: those that Leofric comes with, and changes that its owner loaded. A change is an object for ever."""

import hashlib
import json
from datetime import datetime

from app.compliance.rules_file import merged, parse
from app.contracts.retention_rules import RULES, RetentionRule
from app.lake import layout
from app.lake.storage import Storage


def keep(storage: Storage, text: str, name: str, now: datetime) -> str | None:
    """Check and store a file of rules that add to those before; its SHA-256, None if the lake has it. UsageError if it is wrong."""
    parse(text, name)
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    said = {"name": name, "sha256": sha256, "loaded_at": now.isoformat(), "text": text}
    return sha256 if storage.put_new(layout.retention_rules(sha256), json.dumps(said).encode()) else None


def rules(storage: Storage) -> tuple[RetentionRule, ...]:
    """Every rule of the lake; of two with one name and first day the one loaded later."""
    loaded = [json.loads(bytes(storage.read(entry.path))) for entry in storage.entries(layout.RETENTION_RULES)]
    found: tuple[RetentionRule, ...] = RULES
    for one in sorted(loaded, key=lambda one: str(one["loaded_at"])):
        found = merged(found, parse(one["text"], one["name"]))
    return found
