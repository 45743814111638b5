"""What a run writes into a sealed lake: tokens for accounts and IBANs, and sealed texts, made of a block that validation has judged."""

import secrets
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app import sealing, subjects
from app.chacha20 import U32
from app.columns import Bytes, Mask, Text, from_arrow
from app.contracts.landing import NAMES
from app.fingerprints import wide
from app.lake import subjects as key_store
from app.readers.parsed import Numbers, Parsed
from app.sealing import seal
from app.subjects import TOKEN_LENGTH, Int64s, Register
from app.validation.transaction import RULES, Validated
from pipelines.work import Run, Unit


@dataclass
class Sealer:
    """Seals the blocks of one unit; remembers the subjects that nobody knew before."""

    run: Run
    unit: Unit
    known: Register
    fresh: Register = field(init=False)

    def __post_init__(self) -> None:
        self.fresh = subjects.empty(self.known.key)

    def block(self, parsed: Parsed, validated: Validated) -> "Sealed":
        """The block with nothing left of whom it names."""
        return _sealed(self, parsed, validated)

    def places(self, identifiers: pa.StringArray) -> Int64s:
        """The place of each of these identifiers among the known subjects and, after them, the fresh ones; -1 for null."""
        high, low = wide(identifiers, self.known.key)
        found = self.known.places(high, low)
        unknown = np.flatnonzero((found < 0) & np.asarray(identifiers.is_valid()))
        if len(unknown):
            at = self.fresh.places(high[unknown], low[unknown])
            if (at < 0).any():
                new = pc.unique(identifiers.take(pa.array(unknown[at < 0])))
                self.fresh = self.fresh.followed(subjects.minted(new, self.known.key, self.run.secret))
                at = self.fresh.places(high[unknown], low[unknown])
            found[unknown] = len(self.known) + at
        return found

    def close(self, mark: str = "") -> None:
        """Stage the new subjects: the run keeps them before it publishes anything."""
        if len(self.fresh):
            key_store.put_waiting(self.run.lake.storage, self.run.run_id, f"{self.unit.number:05d}{mark}", self.fresh, self.run.secret)


def sealer(run: Run, unit: Unit) -> Sealer | None:
    """The sealer of a unit; None if the lake is not sealed."""
    store = run.lake.subjects
    return None if store is None else Sealer(run, unit, store.register)


@dataclass(frozen=True)
class _Raw:
    """The bytes of records, sealed."""

    block: "_Block"
    parsed: Parsed

    def take(self, rows: Numbers) -> pa.BinaryArray:
        return self.block.seal(self.parsed.raw.take(rows), rows)


@dataclass(frozen=True)
class Sealed:
    """A block, sealed; ``marks`` stand for the booked accounts in content fingerprints (``Register.marks``)."""

    parsed: Parsed
    validated: Validated
    marks: pa.StringArray


@dataclass(frozen=True)
class _Block:
    """The subjects of a block's rows: places in ``tokens`` and ``secrets``, -1 where there is none; ``file`` is the file's own place."""

    tokens: Bytes
    secrets: U32
    own: Int64s
    other: Int64s
    file: int

    def seal(self, values: pa.Array, rows: Numbers | None = None) -> pa.Array:
        """Values of these rows (all if None), sealed by both sides of their payment; by the file's own subject where no side is known."""
        own, other = (self.own, self.other) if rows is None else (self.own[rows], self.other[rows])
        first = np.where(own >= 0, own, np.where(other >= 0, other, self.file))
        second = np.where((own >= 0) & (other != own), other, -1)
        return seal(values, first, second, self.tokens, self.secrets, secrets.token_bytes(sealing.NONCE_PREFIX))


def _sealed(sealer: Sealer, parsed: Parsed, validated: Validated) -> Sealed:
    typed, leaves = validated.typed, validated.amount_minor < 0
    payer, payee = (sealer.places(_one(typed[name])) for name in ("payer", "payee"))
    iban = sealer.places(_one(typed["counterparty_iban"])) if _any(typed["counterparty_iban"]) else np.full(len(payer), -1)
    iban[_codes(validated, "counterparty_iban") != 0] = -1
    (file,) = sealer.places(pa.array([f"file:{sealer.unit.ingested.sha256}"], pa.string())).tolist()
    known, fresh = sealer.known, sealer.fresh
    block = _Block(
        np.concatenate([known.tokens, fresh.tokens]),
        np.concatenate([known.secrets, fresh.secrets]),
        np.where(leaves, payer, payee),
        np.where(leaves, payee, payer),
        file,
    )
    tokens, parties, marks = (pa.concat_arrays([getattr(known, name), getattr(fresh, name)]) for name in ("written", "parties", "marks"))
    new = {
        "account_number": _take(tokens, block.own),
        "counterparty_account": _counterparty(block, validated, tokens),
        "counterparty_iban": _take(tokens, iban),
        "payer": _take(parties, payer),
        "payee": _take(parties, payee),
        "description": block.seal(_one(typed["description"])),
    }
    sealed = typed
    for name, column in new.items():
        sealed = sealed.set_column(sealed.schema.get_field_index(name), typed.schema.field(name), column)
    strangers = np.full(len(parsed.fault_record_number), -1, dtype=np.int64)
    faults = replace(block, own=strangers, other=strangers).seal(parsed.fault_raw)
    hidden = replace(parsed, columns=_bronze(block, parsed, validated, new), raw=_Raw(block, parsed), fault_raw=faults)
    return Sealed(hidden, replace(validated, typed=sealed), _take(marks, block.own))


def _one(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks or [pa.array([], column.type)])


def _any(column: pa.ChunkedArray) -> bool:
    return bool(column.null_count < len(column))


def _take(values: pa.Array, places: Int64s) -> pa.Array:
    """Values by place; null where there is none."""
    return values.take(pa.array(places, mask=places < 0))


def _codes(validated: Validated, rule: str) -> Numbers:
    return validated.codes[RULES.index(rule)]  # type: ignore[return-value]  # small unsigned numbers


def _counterparty(block: _Block, validated: Validated, tokens: pa.StringArray) -> pa.Array:
    """The other account's number: a token where it is, with its sort code, the other party; else it is sealed."""
    known = (_codes(validated, "counterparty_account") == 0) & _filled(validated.canonical["counterparty_sort_code"])
    numbers = _one(validated.typed["counterparty_account"])
    there = _filled(validated.canonical["counterparty_account"])
    column = _take(tokens, np.where(known & there, block.other, -1))
    return _with_sealed(block, column, numbers, there & ~(known & (block.other >= 0)))


def _filled(text: Text) -> Mask:
    filled: Mask = text.offsets[1:] > text.offsets[:-1]
    return filled


def _with_sealed(block: _Block, column: pa.Array, texts: pa.Array, which: Mask) -> pa.Array:
    """A column with the texts of these rows in it, sealed."""
    rows = np.flatnonzero(which)
    if not len(rows):
        return column
    cells = block.seal(texts.take(pa.array(rows)), rows)
    begins = [0, *(rows + 1).tolist()]
    # They are few: the rest of the column is copied in long pieces.
    pieces = [piece for i, row in enumerate(rows.tolist()) for piece in (column[begins[i] : row], cells[i : i + 1])]
    return pa.concat_arrays([*pieces, column[begins[-1] :]])


def _bronze(block: _Block, parsed: Parsed, validated: Validated, new: dict[str, pa.Array]) -> pa.Table:
    """The twelve texts: a token where the text is written as silver writes it, else the text, sealed.

    So is a text that its rule rejects, whatever its column: of a record whose columns have slipped any text may be an account.
    """
    columns = parsed.columns
    for place, name in enumerate(columns.column_names):
        text = _one(columns[name])
        if name in new:
            same = _same(name, validated, text) & np.asarray(new[name].is_valid())
            filled = _filled(validated.texts[name])
            made = _with_sealed(block, _empty_as(text, new[name], filled), text, filled & ~same)
        elif name in NAMES and (wrong := _codes(validated, name) != 0).any():
            made = _with_sealed(block, text, text, wrong & _filled(validated.texts[name]))
        else:
            continue
        columns = columns.set_column(place, columns.schema.field(name), made)
    return columns


def _empty_as(text: pa.Array, new: pa.Array, filled: Mask) -> pa.Array:
    """The new column; where the text is an empty one and not null, so is the new one."""
    if text.null_count == len(text) - np.count_nonzero(filled):
        return new
    if text.null_count:
        return pc.if_else(pa.array(filled), new, text)
    _, offsets, data = new.buffers()  # without its nulls, which have no bytes
    return pa.StringArray.from_buffers(len(new), offsets, data, None, 0, new.offset)


def _same(name: str, validated: Validated, text: pa.Array) -> Mask:
    """Where the text as it came is what silver has; of all columns but IBANs it is the same text."""
    if name != "counterparty_iban":
        return np.ones(len(text), dtype=np.bool_)
    return np.asarray(pc.fill_null(pc.equal(text, _one(validated.typed[name])), False))


def fingerprinted(sealed: Sealed, plain: Validated) -> dict[str, Text]:
    """The texts that content fingerprints are made of: tokens in the place of identifiers, and for the booked account what only its
    secret makes. A number that has no token stays as it is: what is sealed is never twice the same.
    """
    numbers = _one(sealed.validated.typed["counterparty_account"])
    others = pc.if_else(
        pc.fill_null(pc.equal(pc.binary_length(numbers), TOKEN_LENGTH), False), numbers, _one(plain.typed["counterparty_account"])
    )
    iban = _one(sealed.validated.typed["counterparty_iban"])
    new = {"account_number": sealed.marks, "counterparty_account": others, "counterparty_iban": iban}
    return dict(plain.canonical) | {name: from_arrow(column) for name, column in new.items()}
