"""Where everything in a lake lies. The table paths are public (``contracts.lake``); the rest is Leofric's own."""

OWN = "_leofric"
IDENTITY = f"{OWN}/lake.json"
LOCK = f"{OWN}/lock"
JOURNAL = f"{OWN}/runs"
KEYS = f"{OWN}/keys"
MODULUS = f"{OWN}/reference/modulus"
MODELS = f"{OWN}/models"
DECISIONS = f"{OWN}/champions"
ROLLOUTS = f"{OWN}/rollouts"
API_KEYS = f"{OWN}/api_keys"
ACCESS = f"{OWN}/access"
IDENTITIES = f"{OWN}/identities"
LINEAGE = f"{OWN}/openlineage"
AUDIT_HEADS = f"{OWN}/audit_heads"
HOLDS = f"{OWN}/legal_holds"
ERASURES = f"{OWN}/erasures"
RESTRICTIONS = f"{OWN}/restrictions"
RELATIONSHIPS = f"{OWN}/reference/relationships"
RETENTION_RULES = f"{OWN}/reference/retention_rules"
KEPT_FILES = "bronze/files"
JOURNALLED = "journal/payments"
"""Where the service of a local lake keeps what it was asked to score, unless it was told another folder."""


def kept_file(sha256: str) -> str:
    """The bytes of a landing file, kept once."""
    return f"{KEPT_FILES}/{sha256}"


def journal(run_id: str) -> str:
    """The note that a run has begun and what it is about to publish; gone when it has ended."""
    return f"{JOURNAL}/{run_id}.json"


def staging(run_id: str) -> str:
    """What a run passes from stage to stage; gone when it has ended."""
    return f"{OWN}/staging/{run_id}"


def model(model_id: str, ending: str) -> str:
    """A model's bytes (npz) or its card (json)."""
    return f"{MODELS}/{model_id}.{ending}"


def decision(number: int) -> str:
    """A decision on the champion."""
    return f"{DECISIONS}/{number:08d}.json"


def rollout(number: int) -> str:
    """The beginning or the end of a challenger's trial."""
    return f"{ROLLOUTS}/{number:08d}.json"


def api_key(name: str) -> str:
    """What is kept of a key to the scoring service: never the key itself."""
    return f"{API_KEYS}/{name}.json"


def access_decision(number: int) -> str:
    """A role that was given to somebody, or taken away."""
    return f"{ACCESS}/{number:08d}.json"


def identity_decision(number: int) -> str:
    """Whose tokens say who somebody is, from a decision on."""
    return f"{IDENTITIES}/{number:08d}.json"


def lineage_mark(receiver: str) -> str:
    """Up to where a receiver of lineage events has been told."""
    return f"{LINEAGE}/{receiver}.json"


def lineage_begun(receiver: str, run_id: str = "") -> str:
    """That a run has begun of whose end a receiver has not been told; without a run the folder of all."""
    return f"{LINEAGE}/begun/{receiver}/" + (f"{run_id}.json" if run_id else "")


def audit_head(sequence: int) -> str:
    """Where the audit trail ended, noted beside it."""
    return f"{AUDIT_HEADS}/{sequence:012d}.json"


def legal_hold(number: int) -> str:
    """A decision on a legal hold."""
    return f"{HOLDS}/{number:08d}.json"


def erasure(number: int) -> str:
    """A decision about a person who asked for erasure."""
    return f"{ERASURES}/{number:08d}.json"


def restriction(token: str) -> str:
    """That a party's data is kept and not used; gone when that ends."""
    return f"{RESTRICTIONS}/{token}.json"


def relationships(in_force_from: str, sha256: str) -> str:
    """A table of relationships with customers, in force from a day."""
    return f"{RELATIONSHIPS}/{in_force_from}-{sha256[:16]}.json"


def retention_rules(sha256: str) -> str:
    """Retention rules that add to those that Leofric comes with."""
    return f"{RETENTION_RULES}/{sha256}.json"
