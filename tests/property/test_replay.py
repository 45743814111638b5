"""A value that was corrected later gives what it would have given from the start: silver, daily figures and scores, to the bit."""

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.compliance.corrections import Item
from app.contracts.lake import QUARANTINE
from app.settings import Settings
from pipelines import verify
from pipelines.executor import InProcess
from pipelines.past import read_past
from pipelines.progress import Silent
from pipelines.score import score
from tests.support.champion import put_into_use
from tests.support.lake import NOW, load, opened, rows
from tests.support.landing import Record, ndjson_bytes, record, write_csv
from tests.support.review import alerts_of, correct, replayed, said

SMALL = Settings(
    unit_bytes=2_000, block_bytes=900, unit_rows=5, block_rows=4, silver_file_rows=9, key_partition_rows=20, score_shard_rows=20
)
DEFECTS: tuple[Record, ...] = (
    {"sort_code": "12345"},
    {"account_number": "1234567"},
    {"account_number": "99999999", "amount": "1.234"},
    {"amount": "12,50"},
    {"amount": "1e3", "currency": "gbp"},
    {"timestamp": "2026-03-01"},
    {"timestamp": "2026-02-30T10:00:00Z", "country": "UK"},
    {"transaction_id": ""},
    {"currency": "XXX"},
    {"counterparty_iban": "GB28NWBK60161331926819"},
)
PLANTED = st.dictionaries(st.integers(1, 40), st.sampled_from(DEFECTS), min_size=1, max_size=12)


@given(
    planted=PLANTED,
    twice=st.sets(st.integers(1, 40), max_size=4),
    cut=st.integers(0, 40),
    replay_at=st.integers(0, 12),
    wrong_first=st.booleans(),
    scored_between=st.booleans(),
)
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_corrected_later_is_corrected_from_the_start(
    planted: dict[int, Record], twice: set[int], cut: int, replay_at: int, wrong_first: bool, scored_between: bool
) -> None:
    """``cut``: where the feed is cut into two loads; ``replay_at``: how many corrections a first replay takes; ``twice``: sent again."""
    truth = [record(number, account_number=f"{10_000_000 + number % 4}") for number in range(1, 41)]
    sent = [truth[number - 1] | planted.get(number, {}) for number in range(1, 41)]
    with tempfile.TemporaryDirectory() as name:
        late, start = Path(name) / "late", Path(name) / "start"
        again = [truth[number - 1] for number in sorted(twice)]
        feeds = {"late": (sent[:cut], [*sent[cut:], *again]), "start": (truth[:cut], [*truth[cut:], *again])}
        for lake in (late, start):
            for number, part in enumerate(feeds[lake.name]):
                _deliver(Path(name) / f"landing-{lake.name}", number, part)
                load(Path(name) / f"landing-{lake.name}", lake, SMALL)
        for lake in (late, start):
            put_into_use(lake)
        if scored_between:
            _score(late)
        _correct(late, truth, cut, replay_at, wrong_first)
        for lake in (late, start):
            _score(lake)
        assert said(late) == said(start)
        assert _features(late) == _features(start)
        found = alerts_of(late)
        assert all(evidence <= found[alert] for alert, evidence in alerts_of(start).items())
        assert [verdict for verdict in verify.verify(opened(late)) if verdict.faults] == []


def _deliver(landing: Path, number: int, part: list[Record]) -> None:
    if number == 0:
        write_csv(landing / "0.csv", part)
    elif part:
        (landing / "1.ndjson").write_bytes(ndjson_bytes(part))


def _correct(lake: Path, truth: list[Record], cut: int, replay_at: int, wrong_first: bool) -> None:
    """Correct all that is quarantined back to the truth, in two replays; perhaps with a correction first that does not help."""
    wrong = {}
    for row in rows(lake, QUARANTINE):
        place = row["record_number"] - 1 + (cut if row["source_uri"].endswith("1.ndjson") else 0)
        wrong[Item(row["source_sha256"], row["record_number"])] = truth[place]
    if wrong and wrong_first:
        correct(lake, {min(wrong): truth[0] | {"country": "Britain"}})
        assert replayed(lake, SMALL)["totals"]["quarantined"] == 1
    items = sorted(wrong)
    for part in (items[:replay_at], items[replay_at:]):
        if part:
            correct(lake, {item: wrong[item] for item in part})
            totals = replayed(lake, SMALL)["totals"]
            assert (totals["records"], totals["quarantined"]) == (len(part), 0)


def _score(lake: Path) -> None:
    score(opened(lake).storage, SMALL, InProcess(), Silent(), NOW)


def _features(lake: Path) -> dict[str, list[float]]:
    past = read_past(opened(lake), None, Silent())
    return dict(zip(past.transaction_ids.to_pylist(), past.vectors.tolist(), strict=True))
