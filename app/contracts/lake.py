"""The contracts of the lake's Delta tables."""

import pyarrow as pa

from app.contracts import landing
from app.contracts.table import Classification, Column, Owner, TableContract

_INSTANT = pa.timestamp("us", tz="UTC")
_INTERNAL = Classification.INTERNAL
_CONFIDENTIAL = Classification.CONFIDENTIAL
_PERSONAL = Classification.PERSONAL
TOKEN = "~[a-z2-7]{16}"  # noqa: S105 (no secret: how tokens are written)
"""What stands in a sealed lake for an account number or an IBAN."""
SEALED = "~[.:][A-Za-z0-9_-]{30,}"
"""What a sealed text looks like."""
_SORT_CODE, _DIGITS = "[0-9]{6}", "[0-9]{8}"
_ACCOUNT_NUMBER = f"{_DIGITS}|{TOKEN}"
_OTHER_NUMBER = f"{_ACCOUNT_NUMBER}|{SEALED}"  # of an account whose sort code is not known
_IBAN = f"[A-Z]{{2}}[0-9]{{2}}[0-9A-Z]{{11,30}}|{TOKEN}"
_SHA256 = "[0-9a-f]{64}"
_PARTY = f"{_SORT_CODE}-(?:{_ACCOUNT_NUMBER})|{_IBAN}"
_CURRENCY, _COUNTRY = "[A-Z]{3}", "[A-Z]{2}"
_CHECK = "valid|not_checked"
_MERCHANT_CATEGORY = "[0-9]{4}"


_SOURCE = (
    Column("source_uri", pa.string(), "where the record's file was", _INTERNAL),
    Column("source_sha256", pa.string(), "SHA-256 of the file's bytes, in hexadecimal", _INTERNAL, pattern=_SHA256),
    Column("record_number", pa.int64(), "position in the file; its first record is 1", _INTERNAL, "position", least=1),
    Column("run_id", pa.string(), "the run that wrote the row", _INTERNAL),
    Column("ingested_at", _INSTANT, "when that run began", _INTERNAL),
)
_INGEST_DATE = Column("ingest_date", pa.date32(), "the UTC day of ingested_at", _INTERNAL)

# What validation makes of a record's texts; nullable here means that the landing contract lets the value be empty.
_TYPED = (
    Column("transaction_id", pa.string(), "the feed's identifier, case-sensitive; one row each, over all history", _CONFIDENTIAL),
    Column("booked_at", _INSTANT, "the instant of booking", _CONFIDENTIAL),
    Column("booking_date", pa.date32(), "the UTC day of booked_at", _CONFIDENTIAL),
    Column("sort_code", pa.string(), "sort code of the booked account, six digits", _CONFIDENTIAL, pattern=_SORT_CODE),
    Column("account_number", pa.string(), "number of the booked account, eight digits", _PERSONAL, pattern=_ACCOUNT_NUMBER),
    Column(
        "counterparty_sort_code",
        pa.string(),
        "sort code of the other account, six digits",
        _CONFIDENTIAL,
        nullable=True,
        pattern=_SORT_CODE,
    ),
    Column(
        "counterparty_account", pa.string(), "number of the other account, eight digits", _PERSONAL, nullable=True, pattern=_OTHER_NUMBER
    ),
    Column("counterparty_iban", pa.string(), "IBAN of the other account, electronic form", _PERSONAL, nullable=True, pattern=_IBAN),
    Column(
        "amount_minor", pa.int64(), "signed amount; minus is money leaving the booked account", _CONFIDENTIAL, "minor units of currency"
    ),
    Column("currency", pa.string(), "ISO 4217 code", _CONFIDENTIAL, pattern=_CURRENCY),
    Column("channel", pa.string(), "payment channel", _CONFIDENTIAL, nullable=True),
    Column("country", pa.string(), "ISO 3166-1 alpha-2 code of the counterparty's country", _CONFIDENTIAL, pattern=_COUNTRY),
    Column("description", pa.string(), "free text, byte for byte as it came", _PERSONAL, nullable=True),
    Column(
        "payer",
        pa.string(),
        "the account that money left: SSSSSS-AAAAAAAA, an IBAN, or null if unknown",
        _PERSONAL,
        nullable=True,
        pattern=_PARTY,
    ),
    Column("payee", pa.string(), "the account that money reached, written like payer", _PERSONAL, nullable=True, pattern=_PARTY),
)
# What later versions of the landing contract added stands last: a table that an older version of Leofric made gets it there.
_TYPED_LATER = (
    Column(
        "merchant_category",
        pa.string(),
        "ISO 18245 code of what the card's merchant sells; null where the feed named none",
        _CONFIDENTIAL,
        nullable=True,
        pattern=_MERCHANT_CATEGORY,
    ),
)
TYPED = _TYPED + _TYPED_LATER
TYPED_SCHEMA = pa.schema([pa.field(c.name, c.type) for c in TYPED])

_READ_AMOUNT = (
    Column("amount_minor", pa.int64(), "signed amount, where it could be read", _CONFIDENTIAL, "minor units of currency", nullable=True),
    Column("currency", pa.string(), "ISO 4217 code, where amount_minor could be read", _CONFIDENTIAL, nullable=True, pattern=_CURRENCY),
)

_TEXTS = tuple(Column(c.name, c.type, c.meaning, c.classification, nullable=True) for c in landing.COLUMNS)
_AS_THEY_CAME, _CAME_LATER = _TEXTS[: len(landing.VERSIONS[1])], _TEXTS[len(landing.VERSIONS[1]) :]
BRONZE = TableContract(
    "bronze/transactions",
    "every readable record as it came: its texts and where they stood",
    _AS_THEY_CAME + _SOURCE + (_INGEST_DATE,) + _CAME_LATER,
    partition_by=("ingest_date",),
    append_only=True,
    owner=Owner.PAYMENTS,
    retention="payments_of_customers",
)
# What the modulus check said; "invalid" is not in silver.
CHECKS = (
    Column("account_check", pa.string(), "modulus check of the booked account: valid or not_checked", _INTERNAL, pattern=_CHECK),
    Column("counterparty_check", pa.string(), "modulus check of the other account: valid or not_checked", _INTERNAL, pattern=_CHECK),
    Column("modulus_table", pa.string(), "version of the weight table that checked; null if none was loaded", _INTERNAL, nullable=True),
)
SILVER = TableContract(
    "silver/transactions",
    "accepted transactions, typed and canonical; one row a transaction_id",
    _TYPED + CHECKS + _SOURCE + _TYPED_LATER,
    partition_by=("booking_date",),
    owner=Owner.PAYMENTS,
    retention="payments_of_customers",
)
QUARANTINE = TableContract(
    "quarantine/transactions",
    "records that were not accepted, with every reason",
    (
        Column("raw_record", pa.binary(), "the record's bytes without the line end (a Parquet row: its values as JSON)", _PERSONAL),
        Column(
            "reasons",
            pa.list_(pa.field("element", pa.string())),
            "every reason code that applies",
            _INTERNAL,
            example=("timestamp_no_zone",),
        ),
        Column("status", pa.string(), "what it was when it came: open; what was decided since is in control/corrections", _INTERNAL),
        Column("transaction_id", pa.string(), "as it came, where the record could be read", _CONFIDENTIAL, nullable=True),
        *_READ_AMOUNT,
        *_SOURCE,
        _INGEST_DATE,
    ),
    partition_by=("ingest_date",),
    owner=Owner.PAYMENTS,
    retention="payments_of_customers",
)
DUPLICATES = TableContract(
    "control/duplicates",
    "records left out because silver already has the same transaction with the same content",
    (
        Column("transaction_id", pa.string(), "the identifier that silver already has", _CONFIDENTIAL),
        Column("amount_minor", pa.int64(), "signed amount", _CONFIDENTIAL, "minor units of currency"),
        Column("currency", pa.string(), "ISO 4217 code", _CONFIDENTIAL, pattern=_CURRENCY),
        *_SOURCE,
        _INGEST_DATE,
    ),
    partition_by=("ingest_date",),
    append_only=True,
    owner=Owner.PAYMENTS,
    retention="payments_of_customers",
)
CORRECTIONS = TableContract(
    "control/corrections",
    "what was decided about quarantined records, one row a record and decision; their order makes a record's state",
    (
        Column("source_sha256", pa.string(), "SHA-256 of the record's file, in hexadecimal", _INTERNAL, pattern=_SHA256),
        Column("record_number", pa.int64(), "the record's position in the file", _INTERNAL, "position", least=1),
        Column(
            "act",
            pa.string(),
            "what was done with it; the last three are what a replay found",
            _INTERNAL,
            pattern="proposed|approved|closed|rejected|accepted|duplicate|returned",
        ),
        Column(
            "proposal",
            pa.int64(),
            "number of the decision that proposed what this one is about",
            _INTERNAL,
            "number of a decision",
            least=1,
        ),
        Column(
            "correction",
            pa.string(),
            "of a proposal: the new values by landing column, as JSON; null: leave the record out for good",
            _PERSONAL,
            nullable=True,
        ),
        Column("rule", pa.string(), "of a proposal: the rule that made it, if one did", _INTERNAL, nullable=True),
        Column(
            "reasons",
            pa.list_(pa.field("element", pa.string())),
            "of a returned record: every reason code that applies now",
            _INTERNAL,
            example=("timestamp_no_zone",),
        ),
        *_READ_AMOUNT,
        Column("who", pa.string(), "who decided", _INTERNAL),
        Column("why", pa.string(), "why, in words", _CONFIDENTIAL),
        Column(
            "sequence",
            pa.int64(),
            "number of the decision; those of many records at once share it",
            _INTERNAL,
            "number of a decision",
            least=1,
        ),
        Column("decided_at", _INSTANT, "when", _INTERNAL),
        Column("run_id", pa.string(), "of what a replay found: the replay", _INTERNAL, nullable=True),
    ),
    append_only=True,
    owner=Owner.DATA_OFFICE,
    retention="payments_of_customers",
)
RUNS = TableContract(
    "control/runs",
    "one row a run: its certificate, chained to the one before",
    (
        Column("sequence", pa.int64(), "1 for the lake's first run, then one more each", _INTERNAL, "number of a run", least=1),
        Column("run_id", pa.string(), "the run", _INTERNAL),
        Column("status", pa.string(), "succeeded or failed", _INTERNAL, example="succeeded"),
        Column("started_at", _INSTANT, "when the run began", _INTERNAL),
        Column("certificate", pa.string(), "the certificate as canonical JSON", _CONFIDENTIAL),
        Column("previous_hash", pa.string(), "hash of the certificate before; 64 zeros for the first", _INTERNAL, pattern=_SHA256),
        Column("hash", pa.string(), "SHA-256 of previous_hash and certificate, in hexadecimal", _INTERNAL, pattern=_SHA256),
    ),
    append_only=True,
    owner=Owner.DATA_OFFICE,
    retention="audit_records",
)
ACCOUNT_DAILY = TableContract(
    "gold/account_daily",
    "each account's day: what came in, what went out, to how many others",
    (
        Column("booking_date", pa.date32(), "the UTC day", _CONFIDENTIAL),
        Column("sort_code", pa.string(), "sort code of the booked account", _CONFIDENTIAL, pattern=_SORT_CODE),
        Column("account_number", pa.string(), "number of the booked account", _PERSONAL, pattern=_ACCOUNT_NUMBER),
        Column("currency", pa.string(), "ISO 4217 code", _CONFIDENTIAL, pattern=_CURRENCY),
        Column("transactions", pa.int64(), "how many", _CONFIDENTIAL, "transactions", least=1),
        Column("debits", pa.int64(), "how many that left the account", _CONFIDENTIAL, "transactions", least=0),
        Column("credits", pa.int64(), "how many that reached the account", _CONFIDENTIAL, "transactions", least=0),
        Column("debit_minor", pa.int64(), "sum that left, not negative", _CONFIDENTIAL, "minor units of currency", least=0),
        Column("credit_minor", pa.int64(), "sum that came", _CONFIDENTIAL, "minor units of currency", least=0),
        Column("net_minor", pa.int64(), "credit_minor less debit_minor", _CONFIDENTIAL, "minor units of currency"),
        Column("counterparties", pa.int64(), "distinct known accounts on the other side", _CONFIDENTIAL, "accounts", least=0),
    ),
    partition_by=("booking_date",),
    owner=Owner.PAYMENTS,
    retention="payments_of_customers",
)
CHANNEL_DAILY = TableContract(
    "gold/channel_daily",
    "each channel's day",
    (
        Column("booking_date", pa.date32(), "the UTC day", _INTERNAL),
        Column("channel", pa.string(), "payment channel; null where the feed named none", _INTERNAL, nullable=True),
        Column("currency", pa.string(), "ISO 4217 code", _INTERNAL, pattern=_CURRENCY),
        Column("transactions", pa.int64(), "how many", _INTERNAL, "transactions", least=1),
        Column("value_minor", pa.int64(), "sum of absolute amounts", _INTERNAL, "minor units of currency", least=0),
        Column("net_minor", pa.int64(), "sum of signed amounts", _INTERNAL, "minor units of currency"),
        Column("average_minor", pa.float64(), "value_minor over transactions", _INTERNAL, "minor units of currency"),
    ),
    partition_by=("booking_date",),
    owner=Owner.PAYMENTS,
    retention="business_records",
)
DATA_QUALITY_DAILY = TableContract(
    "gold/data_quality_daily",
    "what the records ingested on a day were worth, dimension by dimension",
    (
        Column("ingest_date", pa.date32(), "the UTC day on which the runs began", _INTERNAL),
        Column("dimension", pa.string(), "completeness, validity, consistency, uniqueness, timeliness or accuracy", _INTERNAL),
        Column("numerator", pa.int64(), "how many passed", _INTERNAL, "values", least=0),
        Column("denominator", pa.int64(), "how many were looked at", _INTERNAL, "values", least=0),
        Column(
            "ratio", pa.float64(), "numerator over denominator; null when nothing was looked at", _INTERNAL, "share, 0 to 1", nullable=True
        ),
    ),
    partition_by=("ingest_date",),
    owner=Owner.DATA_OFFICE,
    retention="business_records",
)
QUARANTINE_DAILY = TableContract(
    "gold/quarantine_daily",
    "what had been quarantined when the day's last load or replay ended, by reason, state and age",
    (
        Column("as_of_date", pa.date32(), "the UTC day on which the run began", _INTERNAL),
        Column(
            "reason",
            pa.string(),
            "reason code; a record with two is in both; null: all records, each once",
            _INTERNAL,
            nullable=True,
            example="timestamp_no_zone",
        ),
        Column("state", pa.string(), "open, proposed, approved, corrected or closed", _INTERNAL),
        Column("age", pa.string(), "how long it had been there: up to a day, a week, 30 days, 90 days, or over 90 days", _INTERNAL),
        Column("currency", pa.string(), "ISO 4217 code; null where no amount could be read", _INTERNAL, nullable=True, pattern=_CURRENCY),
        Column("records", pa.int64(), "how many", _INTERNAL, "records", least=1),
        Column(
            "amount_minor",
            pa.int64(),
            "sum of their signed amounts; null where none could be read",
            _INTERNAL,
            "minor units of currency",
            nullable=True,
        ),
    ),
    partition_by=("as_of_date",),
    owner=Owner.DATA_OFFICE,
    retention="business_records",
)

BANDS = ("low", "medium", "high")
"""How unusual a payment is, least first."""
_BAND = "|".join(BANDS)
_DIGEST = "[0-9a-f]{32}"
SCORES = TableContract(
    "gold/scores",
    "how unusual each accepted transaction is, and why; one row a transaction of silver",
    (
        Column("transaction_id", pa.string(), "the transaction", _CONFIDENTIAL),
        Column("booked_at", _INSTANT, "the instant of booking", _CONFIDENTIAL),
        Column("booking_date", pa.date32(), "the UTC day of booked_at", _CONFIDENTIAL),
        Column("amount_minor", pa.int64(), "signed amount", _CONFIDENTIAL, "minor units of currency"),
        Column("currency", pa.string(), "ISO 4217 code", _CONFIDENTIAL, pattern=_CURRENCY),
        Column("score", pa.float64(), "anomaly score of the isolation forest, from 0 to 1", _CONFIDENTIAL, "0 to 1"),
        Column(
            "suspicion",
            pa.float64(),
            "probability by the ranker; null where none was in use",
            _CONFIDENTIAL,
            "probability, 0 to 1",
            nullable=True,
        ),
        Column(
            "band", pa.string(), "low, medium or high: against the payments that the models were measured on", _CONFIDENTIAL, pattern=_BAND
        ),
        Column(
            "reasons",
            pa.list_(pa.field("element", pa.string())),
            "codes of what made it so, first the strongest; none if low",
            _CONFIDENTIAL,
        ),
        Column("sentences", pa.list_(pa.field("element", pa.string())), "the same with the accounts' own numbers", _CONFIDENTIAL),
        Column("model_id", pa.string(), "the forest", _INTERNAL),
        Column("ranker_id", pa.string(), "the ranker, if one was in use", _INTERNAL, nullable=True),
        Column("features_version", pa.int64(), "version of the feature set", _INTERNAL, "version", least=1),
        Column("loaded_by", pa.string(), "the run that brought the transaction into silver", _INTERNAL),
        Column("run_id", pa.string(), "the run that wrote the row", _INTERNAL),
        Column("scored_at", _INSTANT, "when that run began", _INTERNAL),
    ),
    partition_by=("booking_date",),
    owner=Owner.NOMINATED_OFFICER,
    retention="payments_of_customers",
)
ALERTS = TableContract(
    "gold/alerts",
    "what an analyst should look at: an account, a reason, and the payments that made it fire",
    (
        Column("alert_id", pa.string(), "the same for the same account, reason and occasion", _CONFIDENTIAL, pattern=_DIGEST),
        Column("fired_date", pa.date32(), "the UTC day of fired_at", _CONFIDENTIAL),
        Column("fired_at", _INSTANT, "when the payment was booked with which the condition became true", _CONFIDENTIAL),
        Column("scenario", pa.string(), "the scenario, or unusual for the models' own", _INTERNAL),
        Column("reason", pa.string(), "code of the scenario and what of it", _CONFIDENTIAL),
        Column("account", pa.string(), "the account: SSSSSS-AAAAAAAA, or an IBAN", _PERSONAL, pattern=_PARTY),
        Column("sentence", pa.string(), "what an analyst reads, with the numbers", _PERSONAL),
        Column("fired_by", pa.string(), "the transaction with which the condition became true", _CONFIDENTIAL),
        Column("evidence", pa.list_(pa.field("element", pa.string())), "the transactions that made it fire, in order", _CONFIDENTIAL),
        Column(
            "score",
            pa.float64(),
            "the highest anomaly score among the evidence; null for scenarios",
            _CONFIDENTIAL,
            "0 to 1",
            nullable=True,
        ),
        Column("raised_by", pa.string(), "the run that raised it", _INTERNAL),
        Column("raised_at", _INSTANT, "when that run began", _INTERNAL),
        Column("run_id", pa.string(), "the run that wrote the row: a later one if more evidence came", _INTERNAL),
    ),
    partition_by=("fired_date",),
    owner=Owner.NOMINATED_OFFICER,
    retention="payments_of_customers",
)
DRIFT_DAILY = TableContract(
    "gold/drift_daily",
    "how far a day's features and scores are from those that the model was trained on",
    (
        Column("booking_date", pa.date32(), "the UTC day", _INTERNAL),
        Column("model_id", pa.string(), "the model", _INTERNAL),
        Column("subject", pa.string(), "a feature's name, or score", _INTERNAL),
        Column("payments", pa.int64(), "how many were scored", _INTERNAL, "payments", least=1),
        Column("psi", pa.float64(), "population stability index: over 0.1 look, over 0.25 act", _INTERNAL, "index"),
        Column("counts", pa.list_(pa.field("element", pa.int64())), "payments in each tenth of the training window", _INTERNAL, "payments"),
        Column("run_id", pa.string(), "the run that wrote the row", _INTERNAL),
    ),
    partition_by=("booking_date",),
    owner=Owner.MODEL_RISK,
    retention="business_records",
)
SHADOW_SCORES = TableContract(
    "gold/shadow_scores",
    "what a challenger said in a rollout, beside the champion; written by the service: evidence of a trial, not of payments",
    (
        Column("rollout", pa.int64(), "number of the rollout", _INTERNAL, "number of a rollout", least=1),
        Column("transaction_id", pa.string(), "the transaction", _CONFIDENTIAL),
        Column("booked_at", _INSTANT, "the instant of booking", _CONFIDENTIAL),
        Column(
            "mode", pa.string(), "shadow: the champion answered; canary: the challenger if it could", _INTERNAL, pattern="shadow|canary"
        ),
        Column("kind", pa.string(), "the kind of model that is tried; scores are this kind's", _INTERNAL),
        Column("champion_id", pa.string(), "the champion of this kind; null if there was none", _INTERNAL, nullable=True),
        Column("champion_score", pa.float64(), "its score, or probability", _CONFIDENTIAL, "0 to 1", nullable=True),
        Column("champion_band", pa.string(), "the payment's band with the champions", _CONFIDENTIAL, pattern=_BAND),
        Column("challenger_id", pa.string(), "the challenger", _INTERNAL),
        Column("challenger_score", pa.float64(), "its score, or probability; null if it failed", _CONFIDENTIAL, "0 to 1", nullable=True),
        Column(
            "challenger_band",
            pa.string(),
            "the payment's band with the challenger in its champion's place; null if it failed",
            _CONFIDENTIAL,
            nullable=True,
            pattern=_BAND,
        ),
        Column("error", pa.string(), "what kind of error it failed with, if it did; the service's log has more", _INTERNAL, nullable=True),
        Column("answered_by", pa.string(), "champion or challenger: whose answer the caller got", _INTERNAL, pattern="champion|challenger"),
        Column("scored_at", _INSTANT, "when the service was asked", _INTERNAL),
    ),
    partition_by=("rollout",),
    append_only=True,
    owner=Owner.MODEL_RISK,
    retention="no_longer_than_needed",
)

FEEDBACK = TableContract(
    "control/feedback",
    "what analysts decided about transactions; the last decision about one counts",
    (
        Column("transaction_id", pa.string(), "the transaction", _CONFIDENTIAL),
        Column("is_suspicious", pa.bool_(), "whether it was judged suspicious", _CONFIDENTIAL),
        Column("typology", pa.string(), "of what kind; empty if none was named", _CONFIDENTIAL),
        Column("source_sha256", pa.string(), "SHA-256 of the file that said so, in hexadecimal", _INTERNAL, pattern=_SHA256),
        Column("imported_by", pa.string(), "who imported the file", _INTERNAL),
        Column("sequence", pa.int64(), "number of the run that imported it", _INTERNAL, "number of a run", least=1),
        Column("run_id", pa.string(), "that run", _INTERNAL),
        Column("imported_at", _INSTANT, "when that run began", _INTERNAL),
    ),
    append_only=True,
    owner=Owner.NOMINATED_OFFICER,
    retention="payments_of_customers",
)

AUDIT = TableContract(
    "audit/log",
    "who did what, when, why and from where; each entry chained by hash to the one before",
    (
        Column("sequence", pa.int64(), "1 for the first entry, then one more each", _INTERNAL, "number of an entry", least=1),
        Column("event_id", pa.string(), "names what happened, however often it is told", _INTERNAL),
        Column("at", _INSTANT, "when it happened", _INTERNAL),
        Column("actor", pa.string(), "who: a person's login, a service, a key's name", _CONFIDENTIAL),
        Column("actor_kind", pa.string(), "what that is", _INTERNAL, pattern="person|service|key"),
        Column("action", pa.string(), "what was done", _INTERNAL),
        Column("object", pa.string(), "on what", _CONFIDENTIAL),
        Column("object_version", pa.string(), "on which version of it", _INTERNAL, nullable=True),
        Column("reason", pa.string(), "why, in words", _CONFIDENTIAL, nullable=True, example="a customer asked"),
        Column("origin", pa.string(), "from where: a host, an address, a process", _CONFIDENTIAL),
        Column("result", pa.string(), "how it ended", _INTERNAL, pattern="succeeded|failed|denied"),
        Column("details", pa.string(), "more about it, as canonical JSON", _CONFIDENTIAL),
        Column("classification", pa.string(), "how sensitive the entry is", _INTERNAL),
        Column("frameworks", pa.list_(pa.string()), "the rules that ask for it", _INTERNAL),
        Column("retention", pa.string(), "how long it is kept at least, as an ISO 8601 duration", _INTERNAL),
        Column("key_id", pa.string(), "the key of its signature; null if it has none", _INTERNAL, nullable=True),
        Column("previous_hash", pa.string(), "hash of the entry before; 64 zeros for the first", _INTERNAL, pattern=_SHA256),
        Column("hash", pa.string(), "SHA-256 of previous_hash and the entry, in hexadecimal", _INTERNAL, pattern=_SHA256),
        Column("signature", pa.string(), "of sequence and hash, where the entry is an anchor", _INTERNAL, nullable=True),
    ),
    append_only=True,
    owner=Owner.DATA_OFFICE,
    retention="audit_records",
)

TABLES = (
    BRONZE,
    SILVER,
    QUARANTINE,
    DUPLICATES,
    ACCOUNT_DAILY,
    CHANNEL_DAILY,
    DATA_QUALITY_DAILY,
    QUARANTINE_DAILY,
    SCORES,
    ALERTS,
    DRIFT_DAILY,
    SHADOW_SCORES,
    FEEDBACK,
    CORRECTIONS,
    RUNS,
    AUDIT,
)

NOT_OF_RUNS = (SHADOW_SCORES, RUNS, AUDIT)
"""Tables whose versions no certificate names: two are written between runs, too, and one has the certificates."""

BETWEEN_RUNS = (CORRECTIONS,)
"""Tables that runs write and people too, between runs: a query sees their newest version."""
