"""Corrections by rule: what a rule makes of quarantined records, tried by the validator before anything is proposed."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.compliance.corrections import Item, correction_of
from app.contracts.amount_form import AmountForm
from app.contracts.landing import SCHEMA
from app.lake import reference, runs
from app.lake.lake import Lake
from app.readers.parsed import Numbers
from app.reference.modulus import WeightTable
from app.review import quarantine
from app.validation.fixes import Rule, fixed
from app.validation.transaction import reasons, validate

_MOST_EXAMPLES: Final = 3


@dataclass
class Bulk:
    """What a rule found: a correction of each record that would be accepted so, and why others would still not be."""

    looked_at: int = 0
    corrections: dict[Item, str] = field(default_factory=dict)
    still: Counter[str] = field(default_factory=Counter)  # by reason, records that the rule changes in vain
    in_vain: int = 0
    examples: list[dict[str, Any]] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """What was found, as JSON."""
        counts = {"looked_at": self.looked_at, "acceptable": len(self.corrections), "in_vain": self.in_vain}
        return counts | {"still": dict(sorted(self.still.items())), "examples": self.examples}


def found_by(lake: Lake, rule: Rule, rows: pa.Table, today: date) -> Bulk:
    """Try a rule on rows of quarantine (``quarantine.COLUMNS``) that could be read; those that could not have no texts to change."""
    bulk = Bulk(rows.num_rows)
    if not rows.num_rows:
        return bulk
    originals = quarantine.originals(lake, rows)
    loaded = runs.files_loaded(runs.runs(lake))
    weights = reference.in_force(lake.storage, today)
    table = None if weights is None else reference.weight_table(lake.storage, weights)
    for sha256 in pc.unique(originals["source_sha256"]).to_pylist():
        mine = originals.filter(pc.equal(originals["source_sha256"], sha256)).sort_by("record_number")
        _try(bulk, rule, mine, loaded[sha256].get("declared", {}), table)
    return bulk


def _try(bulk: Bulk, rule: Rule, rows: pa.Table, declared: Mapping[str, Any], weights: WeightTable | None) -> None:
    """One file's records, all at once."""
    texts = rows.select(SCHEMA.names).combine_chunks()
    new = fixed(rule, texts)
    changed = np.zeros(rows.num_rows, dtype=np.bool_)
    for values in new.values():
        changed |= values.is_valid().to_numpy()
    if not changed.any():
        return
    mask = pa.array(changed)
    old, numbers, sources = texts.filter(mask), rows["record_number"].filter(mask), rows["source_sha256"].filter(mask)
    new = {name: values.filter(mask) for name, values in new.items()}
    corrected = old
    for name, values in new.items():
        corrected = corrected.set_column(SCHEMA.get_field_index(name), name, pc.coalesce(values, old[name]))
    amounts = AmountForm(**declared["amounts"]) if "amounts" in declared else None
    judged = validate(corrected.combine_chunks().cast(SCHEMA), declared.get("zone"), weights, amounts)
    in_vain = np.flatnonzero(judged.rejected)
    bulk.in_vain += len(in_vain)
    bulk.still.update(pc.list_flatten(reasons(judged, in_vain)).to_pylist())
    _keep(bulk, np.flatnonzero(~judged.rejected), new, old, pa.table({"source_sha256": sources, "record_number": numbers}))


def _keep(bulk: Bulk, good: Numbers, new: Mapping[str, pa.ChunkedArray], old: pa.Table, places: pa.Table) -> None:
    at = pa.array(good)
    items = [Item(row["source_sha256"], row["record_number"]) for row in places.take(at).to_pylist()]
    after = pa.table({name: values.take(at) for name, values in new.items()}).to_pylist()
    for item, values in zip(items, after, strict=True):
        bulk.corrections[item] = correction_of({name: value for name, value in values.items() if value is not None}, unreadable=False)
    shown = range(min(len(items), _MOST_EXAMPLES - len(bulk.examples)))
    for i in shown:
        changes = {name: [old[name][int(good[i])].as_py(), value] for name, value in after[i].items() if value is not None}
        bulk.examples.append({"item": str(items[i]), "changes": changes})
