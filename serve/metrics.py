"""What Prometheus reads of one replica."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0)
_RECORDS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000)
_TENTHS = tuple(place / 20 for place in range(1, 20))


class Metrics:
    """One replica's counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("leofric_requests", "requests by route and status", ["route", "status"], registry=self.registry)
        self.seconds = Histogram("leofric_request_seconds", "from request to answer", ["route"], buckets=_SECONDS, registry=self.registry)
        self.stage = Histogram("leofric_stage_seconds", "a stage of the work", ["stage"], buckets=_SECONDS, registry=self.registry)
        self.batch = Histogram("leofric_batch_records", "records that were worked on at once", buckets=_RECORDS, registry=self.registry)
        self.waiting = Gauge("leofric_requests_waiting", "requests that are being worked on", registry=self.registry)
        self.scores = Histogram("leofric_score", "anomaly scores", buckets=_TENTHS, registry=self.registry)
        self.bands = Counter("leofric_payments", "scored payments by band", ["band"], registry=self.registry)
        self.again = Counter("leofric_payments_again", "payments that were asked for again", registry=self.registry)
        self.refused = Counter("leofric_validation_failures", "reasons for which records were refused", ["reason"], registry=self.registry)
        self.payments = Gauge("leofric_history_payments", "payments in the histories", registry=self.registry)
        self.accounts = Gauge("leofric_history_accounts", "accounts in the histories, each in one currency", registry=self.registry)
        self.sides = Gauge("leofric_history_sides", "parties of payments: asked for, and known", ["what"], registry=self.registry)
        self.lost = Counter("leofric_store_lost", "requests refused because the shared histories were away", registry=self.registry)
        self.model = Gauge("leofric_model", "1 for the model that answers", ["kind", "model_id"], registry=self.registry)
        self.rollout = Gauge("leofric_rollout", "1 for the challenger that is tried", ["mode", "model_id"], registry=self.registry)
        self.challenger = Counter("leofric_challenger_payments", "payments that a challenger was given", registry=self.registry)
        self.challenger_errors = Counter("leofric_challenger_errors", "those of them on which it failed", registry=self.registry)
        self.drift = Gauge("leofric_challenger_drift", "PSI of its scores against its training window", registry=self.registry)
        self.unwritten = Gauge("leofric_shadow_rows_waiting", "results of a rollout that are not in the lake yet", registry=self.registry)
        self.unaudited = Gauge(
            "leofric_audit_waiting", "denials, acts and segments that are not in the audit trail yet", registry=self.registry
        )
        self.dropped = Counter("leofric_shadow_rows_dropped", "results of a rollout that were given up", registry=self.registry)

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self.registry)
