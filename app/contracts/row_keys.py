"""What a row of a table is known by: the columns whose values no two rows of a version share."""

from app.contracts.lake import (
    ACCOUNT_DAILY,
    ALERTS,
    AUDIT,
    BRONZE,
    CHANNEL_DAILY,
    CORRECTIONS,
    DATA_QUALITY_DAILY,
    DRIFT_DAILY,
    DUPLICATES,
    FEEDBACK,
    QUARANTINE,
    QUARANTINE_DAILY,
    RUNS,
    SCORES,
    SHADOW_SCORES,
    SILVER,
)
from app.contracts.table import TableContract

_RECORD = ("source_sha256", "record_number")
_KEYS = {
    BRONZE.path: _RECORD,
    SILVER.path: ("transaction_id",),
    QUARANTINE.path: _RECORD,
    DUPLICATES.path: _RECORD,
    ACCOUNT_DAILY.path: ("booking_date", "sort_code", "account_number", "currency"),
    CHANNEL_DAILY.path: ("booking_date", "channel", "currency"),
    DATA_QUALITY_DAILY.path: ("ingest_date", "dimension"),
    SCORES.path: ("transaction_id",),
    ALERTS.path: ("alert_id",),
    DRIFT_DAILY.path: ("booking_date", "model_id", "subject"),
    SHADOW_SCORES.path: ("rollout", "transaction_id"),
    FEEDBACK.path: ("transaction_id", "sequence"),
    CORRECTIONS.path: (*_RECORD, "sequence"),
    QUARANTINE_DAILY.path: ("as_of_date", "reason", "state", "age", "currency"),
    RUNS.path: ("sequence",),
    AUDIT.path: ("sequence",),
}


def key_of(contract: TableContract) -> tuple[str, ...]:
    """The key of a table's rows; empty where it has none, so that a changed row is one that went and one that came."""
    return _KEYS.get(contract.path, ())
