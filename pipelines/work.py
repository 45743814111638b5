"""What the stages of a run hand to each other: references and counts, never records."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING

from app.compliance.control_totals import Totals
from app.contracts.amount_form import AmountForm
from app.lake.delta import StagedFile
from app.lake.lake import Lake
from app.lake.reference import Loaded
from app.lake.storage import Storage
from app.readers.formats import Format
from app.readers.parquet import RowGroups
from app.readers.parsed import Span
from app.settings import Settings

if TYPE_CHECKING:
    from app.lake.segments import SegmentKey  # numba, which no command needs on a lake that is not sealed


@dataclass(frozen=True)
class Run:
    """What every task of a run knows."""

    run_id: str
    sequence: int
    started_at: datetime  # UTC
    lake: Lake
    settings: Settings
    modulus: Loaded | None = None  # the weight table that is in force
    secret: bytes = field(default=b"", repr=False)  # of a sealed lake: what its new subjects' tokens are made of; kept nowhere

    @property
    def ingest_date(self) -> str:
        return self.started_at.date().isoformat()


@dataclass(frozen=True)
class SourceFile:
    """A file of the landing folder. Files are numbered in the order of their URIs: that order decides which of two equals is the first."""

    number: int
    storage: Storage
    path: str
    size: int
    zone: str | None  # declared for its naive timestamps
    amounts: AmountForm | None  # declared where they are not written as the contract has it
    control_path: str | None  # the file beside it that declares its totals
    known_as: str | None = None  # its URI, where that is not where it is read from now
    segment: "SegmentKey | None" = None  # of a sealed segment of the service's journal: what opens it

    @property
    def uri(self) -> str:
        return self.storage.uri(self.path) if self.known_as is None else self.known_as


@dataclass(frozen=True)
class Rejection:
    """Why a landing file is rejected whole: a stable code, and a sentence with cause and cure."""

    code: str
    message: str


@dataclass(frozen=True)
class Corrected:
    """Records of one file as reviewers corrected them: where in the lake their texts are staged, and how many they are."""

    path: str
    records: int


Part = Span | RowGroups | Corrected
"""What is read and worked on at once: some whole records of a text file, some row groups of a Parquet file, or some corrected records."""


@dataclass(frozen=True)
class Ingested:
    """A file that was read once from end to end: its hash, and where its parts of whole records lie."""

    file: SourceFile
    sha256: str | None = None
    already_loaded: bool = False
    rejection: Rejection | None = None
    format: Format = Format.CSV
    content_path: str = ""  # in the lake: the kept file, or its decompressed bytes
    names: tuple[str, ...] = ()  # what a CSV file's header or a Parquet file's schema names; NDJSON has no such place
    parts: tuple[Part, ...] = ()  # they tile the file's records, in their order
    declared: Totals | None = None  # what its control file says


@dataclass(frozen=True)
class Unit:
    """Neighbouring parts that one task reads, one after the other. Units are numbered in the order of files and of records in them."""

    number: int
    ingested: Ingested
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Batch:
    """Accepted rows of one booking date: where in its unit's typed file they lie, as an Arrow stream of one record batch."""

    booking_date: date
    offset: int
    length: int
    rows: int


@dataclass(frozen=True)
class Quality:
    """Counts that the data quality figures are made of."""

    readable: int = 0  # records that could be read
    filled: int = 0  # required values that are there, over all readable records
    consistent: int = 0  # readable records that pass every rule between fields
    valid: int = 0  # records without a reason to reject them
    timely: int = 0  # valid records that were booked at most settings.timely_hours before the run

    def __add__(self, other: "Quality") -> "Quality":
        return Quality(
            self.readable + other.readable,
            self.filled + other.filled,
            self.consistent + other.consistent,
            self.valid + other.valid,
            self.timely + other.timely,
        )


@dataclass(frozen=True)
class Bronzed:
    """A unit after parsing and validation."""

    unit: Unit
    source: Totals = field(default_factory=Totals)
    bronze: StagedFile | None = None
    quarantine: StagedFile | None = None
    batches: tuple[Batch, ...] = ()
    keys: tuple[int, ...] = ()  # for each first byte of an id fingerprint, and the end: where its keys begin
    by_reason: Mapping[str, int] = field(default_factory=dict)
    quality: Quality = field(default_factory=Quality)
    checks: Mapping[str, int] = field(default_factory=dict)  # what the modulus check said of the booked accounts of accepted rows
    rejection: Rejection | None = None  # why the whole file must be rejected after all
    contract_version: int = 1  # of the landing contract, as far as the unit shows it
