"""What a run writes into a sealed lake: tokens for accounts and IBANs, and sealed texts, made of a block that validation has judged."""

import secrets
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app import sealing, subjects
from app.chacha20 import U32
from app.columns import Bytes, Mask, Text, from_arrow
from app.contracts.landing import NAMES
from app.lake import subjects as key_store
from app.lake.subjects import Subjects
from app.readers.parsed import Numbers, Parsed
from app.sealing import seal
from app.subjects import TOKEN_LENGTH, Int64s, Register
from app.validation.transaction import RULES, Validated
from pipelines.work import Run, Unit

_IDENTIFIERS: Final = ("account_number", "counterparty_account", "counterparty_iban")


@dataclass
class Sealer:
    """Seals the blocks of one unit; remembers the subjects that nobody knew before."""

    run: Run
    unit: Unit
    store: Subjects
    fresh: Register = field(init=False)

    def __post_init__(self) -> None:
        self.fresh = subjects.empty(self.store.key)

    def block(self, parsed: Parsed, validated: Validated) -> "Sealed":
        """The block with nothing left of whom it names."""
        return _sealed(self, parsed, validated)

    def resolve(self, identifiers: pa.StringArray) -> tuple[Bytes, U32]:
        """The token and the secret of each of these identifiers, which are distinct; new ones are made for those that have none."""
        known = self.store.register
        places = known.find(identifiers)
        new = identifiers.filter(pa.array(places < 0))
        if len(new):
            self.fresh = self.fresh.joined(subjects.minted(new, self.store.key, self.run.secret))
        at = self.fresh.find(identifiers)
        if not len(known):
            return self.fresh.tokens[at], self.fresh.secrets[at]
        if not len(self.fresh):
            return known.tokens[places], known.secrets[places]
        is_known = (places >= 0)[:, None]
        tokens = np.where(is_known, known.tokens[places], self.fresh.tokens[at])
        return tokens, np.where(is_known, known.secrets[places], self.fresh.secrets[at])

    def close(self, mark: str = "") -> None:
        """Stage the new subjects: the run keeps them before it publishes anything."""
        if len(self.fresh):
            key_store.put_waiting(self.run.lake.storage, self.run.run_id, f"{self.unit.number:05d}{mark}", self.fresh, self.run.secret)


def sealer(run: Run, unit: Unit) -> Sealer | None:
    """The sealer of a unit; None if the lake is not sealed."""
    store = run.lake.subjects
    return None if store is None else Sealer(run, unit, store)


@dataclass(frozen=True)
class _Raw:
    """The bytes of records, sealed."""

    block: "_Block"
    parsed: Parsed

    def take(self, rows: Numbers) -> pa.BinaryArray:
        return self.block.seal(self.parsed.raw.take(rows), rows)


@dataclass(frozen=True)
class Sealed:
    """A block, sealed; ``unlinkable`` stands for the booked account in content fingerprints: nobody can guess it without the key store."""

    parsed: Parsed
    validated: Validated
    unlinkable: pa.StringArray


@dataclass(frozen=True)
class _Block:
    """The subjects of a block's rows: places in ``tokens`` and ``secrets``, -1 where there is none; the last place is the file's own."""

    tokens: Bytes
    secrets: U32
    own: Int64s
    other: Int64s
    iban: Int64s

    def seal(self, values: pa.Array, rows: Numbers | None = None) -> pa.Array:
        """Values of these rows (all if None), sealed by both sides of their payment."""
        own, other = (self.own, self.other) if rows is None else (self.own[rows], self.other[rows])
        first = np.where(own >= 0, own, np.where(other >= 0, other, len(self.tokens) - 1))
        second = np.where((own >= 0) & (other != own), other, -1)
        return seal(values, first, second, self.tokens, self.secrets, secrets.token_bytes(sealing.NONCE_PREFIX))


def _sealed(sealer: Sealer, parsed: Parsed, validated: Validated) -> Sealed:
    typed, rows = validated.typed, validated.typed.num_rows
    leaves = pa.array(validated.amount_minor < 0)
    payer, payee, iban = (_one(typed[name]) for name in ("payer", "payee", "counterparty_iban"))
    own, other = pc.if_else(leaves, payer, payee), pc.if_else(leaves, payee, payer)
    iban = pc.if_else(pa.array(_codes(validated, "counterparty_iban") == 0), iban, None)
    encoded = pa.concat_arrays([own, other, iban]).dictionary_encode()
    file = pa.array([f"file:{sealer.unit.ingested.sha256}"], pa.string())
    identifiers = pa.concat_arrays([encoded.dictionary, file])
    tokens, keys = sealer.resolve(identifiers)
    places = encoded.indices.cast(pa.int64()).fill_null(-1).to_numpy()
    block = _Block(tokens, keys, places[:rows], places[rows : 2 * rows], places[2 * rows :])
    written = subjects.written(tokens)
    parties = subjects.parties(identifiers, written)
    own_party, other_party = (_take(parties, at) for at in (block.own, block.other))
    description = block.seal(_one(typed["description"]))
    new = {
        "account_number": _take(written, block.own),
        "counterparty_account": _counterparty(block, validated, written, _one(typed["counterparty_account"])),
        "counterparty_iban": _take(written, block.iban),
        "payer": pc.if_else(leaves, own_party, other_party),
        "payee": pc.if_else(leaves, other_party, own_party),
        "description": description,
    }
    sealed = typed
    for name, column in new.items():
        sealed = sealed.set_column(sealed.schema.get_field_index(name), typed.schema.field(name), column)
    columns = _bronze(block, parsed, validated, new)
    faults = np.full(len(parsed.fault_record_number), -1, dtype=np.int64)
    strangers = _Block(tokens, keys, faults, faults, faults)
    hidden = replace(parsed, columns=columns, raw=_Raw(block, parsed), fault_raw=strangers.seal(parsed.fault_raw))
    hexadecimal = pa.array([one.tobytes().hex() for one in keys[:, :4]], pa.string())
    return Sealed(hidden, replace(validated, typed=sealed), _take(hexadecimal, block.own))


def _one(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks or [pa.array([], column.type)])


def _take(values: pa.Array, places: Int64s) -> pa.Array:
    """Values by place; null where there is none."""
    return values.take(pa.array(places, mask=places < 0))


def _codes(validated: Validated, rule: str) -> Numbers:
    return validated.codes[RULES.index(rule)]  # type: ignore[return-value]  # small unsigned numbers


def _counterparty(block: _Block, validated: Validated, written: pa.StringArray, numbers: pa.StringArray) -> pa.Array:
    """The other account's number: a token where it is, with its sort code, the other party; else it is sealed."""
    texts = validated.canonical
    known = (_codes(validated, "counterparty_account") == 0) & _filled(texts["counterparty_sort_code"].offsets)
    tokens = _take(written, np.where(known & (block.other >= 0), block.other, -1))
    return _or_sealed(block, tokens, numbers)


def _filled(offsets: np.ndarray[tuple[int], np.dtype[np.int32]]) -> Mask:
    filled: Mask = offsets[1:] > offsets[:-1]
    return filled


def _or_sealed(block: _Block, tokens: pa.Array, texts: pa.Array) -> pa.Array:
    """Tokens; where there is none, the text, sealed; no text is nothing to seal."""
    has_text = pc.fill_null(pc.greater(pc.binary_length(texts), 0), False)
    lacking = np.flatnonzero(np.asarray(pc.and_(has_text, tokens.is_null())))
    tokens = pc.if_else(has_text, tokens, texts)
    if not len(lacking):
        return tokens
    sealed = block.seal(texts.take(pa.array(lacking)), lacking)
    at = np.arange(len(tokens))
    at[lacking] = len(tokens) + np.arange(len(lacking))
    return pa.concat_arrays([tokens, sealed]).take(pa.array(at))


def _bronze(block: _Block, parsed: Parsed, validated: Validated, new: dict[str, pa.Array]) -> pa.Table:
    """The twelve texts: a token where the text is written as silver writes it, else the text, sealed.

    So is a text that its rule rejects, whatever its column: of a record whose columns have slipped any text may be an account.
    """
    columns = parsed.columns
    arrays = {}
    for name in NAMES:
        text = _one(columns[name])
        if name == "description":
            arrays[name] = pc.if_else(pc.fill_null(pc.equal(text, ""), False), text, new[name])
        elif name in _IDENTIFIERS:
            same = pc.fill_null(pc.equal(text, _one(validated.typed[name])), False)
            arrays[name] = _or_sealed(block, pc.if_else(same, new[name], None), text)
        else:
            wrong = _codes(validated, name) != 0
            arrays[name] = text if not wrong.any() else _or_sealed(block, pc.if_else(pa.array(wrong), None, text), text)
    return pa.table([arrays[name] if name in arrays else columns[name] for name in columns.column_names], schema=columns.schema)


def fingerprinted(sealed: Sealed, plain: Validated) -> dict[str, Text]:
    """The texts that content fingerprints are made of: tokens in the place of identifiers, and for the booked account what only its
    secret makes. A number that has no token stays as it is: what is sealed is never twice the same.
    """
    numbers = _one(sealed.validated.typed["counterparty_account"])
    others = pc.if_else(
        pc.fill_null(pc.equal(pc.binary_length(numbers), TOKEN_LENGTH), False), numbers, _one(plain.typed["counterparty_account"])
    )
    iban = _one(sealed.validated.typed["counterparty_iban"])
    new = {"account_number": sealed.unlinkable, "counterparty_account": others, "counterparty_iban": iban}
    return dict(plain.canonical) | {name: from_arrow(column) for name, column in new.items()}
