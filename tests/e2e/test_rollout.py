"""A canary as its users meet it: started while payments come, ended by stopping the service; nothing fails, and the lake has it all."""

import json
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from app.contracts.lake import SHADOW_SCORES
from tests.e2e.test_serve import LEOFRIC, make_key, server
from tests.support.challenger import GOOD, register
from tests.support.champion import forest
from tests.support.lake import rows
from tests.support.served import week


def leofric(*words: str) -> str:
    return str(subprocess.run([str(LEOFRIC), *words], check=True, capture_output=True, text=True).stdout)


def test_a_canary_under_load(tmp_path: Path) -> None:
    bank = week(tmp_path, 2_000, 600)
    lake = str(bank.lake)
    register(bank.lake, GOOD)
    answers: list[dict[str, Any]] = []
    failures: list[Any] = []
    with server(bank.lake, make_key(bank.lake, "payments", "score")) as running:

        def load() -> None:
            for record in bank.later:
                status, answer, _ = running.ask("/v1/transactions/score", json.dumps(record).encode())
                (answers if status == 200 else failures).append(answer)
                time.sleep(0.03)

        loading = threading.Thread(target=load)
        loading.start()
        leofric(
            "models", "rollout", "start", GOOD, "--mode", "canary", "--share", "0.5", "--most-drift", "100", "--why", "x", "--lake", lake
        )
        loading.join()
        assert not failures
        by_challenger = {answer["transaction_id"] for answer in answers if answer["model_id"] == GOOD}
        assert {answer["model_id"] for answer in answers} == {GOOD, forest()[0].model_id}
        again = [running.ask("/v1/transactions/score", json.dumps(record).encode())[1] for record in bank.later[-50:]]
        assert again == answers[-50:]
    assert {row["transaction_id"] for row in rows(bank.lake, SHADOW_SCORES)} == by_challenger
    shown = json.loads(leofric("models", "rollout", "show", "--lake", lake, "--json"))
    assert (shown["payments"], shown["answered_by_challenger"], shown["errors"]) == (len(by_challenger), len(by_challenger), 0)
    asked = leofric("query", "select count(*) as n from gold_shadow_scores", "--lake", lake, "--format", "json")
    assert json.loads(asked) == [{"n": len(by_challenger)}]
