"""The service by Ray's own tools: `serve deploy` and `serve run` of kuberay/serve-config.yaml."""

import json
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.test_serve import make_key
from tests.support.cluster import BIN, ENVIRONMENT, ROOT, Cluster, cluster
from tests.support.interface import SCORE, VALIDATE
from tests.support.landing import record
from tests.support.ports import free_port
from tests.support.served import small_lake

CONFIG = ROOT / "kuberay" / "serve-config.yaml"


def config(folder: Path, port: int, lake: Path, **changes: object) -> Path:
    """The project's own, changed as its comments say."""
    document = yaml.safe_load(CONFIG.read_text())
    document["http_options"]["port"] = port
    document["applications"][0]["args"] |= {"lake": str(lake)} | changes
    path = folder / "serve-config.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def serve(ray: Cluster, *words: str | Path) -> str:
    command = [BIN / "serve", *words, "-a", ray.dashboard]
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-2_000:]
    return done.stdout


def ask(port: int, route: str, document: Any, key: str = "") -> tuple[int, Any]:
    """The status and document of an answer; 0 if there is none."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    data = None if document is None else json.dumps(document).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}{route}", data, headers), timeout=30) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError:
        return 0, None


def wait_for(what: str, port: int, route: str, document: Any, status: int, key: str = "") -> Any:
    until = time.monotonic() + 120
    while (found := ask(port, route, document, key))[0] != status:
        assert time.monotonic() < until, (what, found)
        time.sleep(0.2)
    return found[1]


def listening_beyond_this_machine(port: int) -> bool:
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(line[3] == "0A" and line[1] != f"0100007F:{port:04X}" and line[1].endswith(f":{port:04X}") for line in lines)


def test_the_config_is_deployed_deployed_anew_with_other_settings_and_shut_down(tmp_path: Path) -> None:
    lake, port = small_lake(tmp_path), free_port()
    key = make_key(lake, "payments", "score")
    payment = {name: value for name, value in record(70).items() if value}
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder, cluster(Path(folder)) as ray:
        serve(ray, "deploy", config(tmp_path, port, lake, insecure_local=True))
        assert wait_for("deployed", port, VALIDATE, payment, 200)["valid"] is True
        first = wait_for("deployed", port, SCORE, payment, 200)
        assert first["decision"] == "scored"
        assert not listening_beyond_this_machine(port)
        serve(ray, "deploy", config(tmp_path, port, lake, rate_limit="3/hour"))
        wait_for("deployed anew", port, SCORE, payment, 401)
        again = wait_for("with a key", port, SCORE, payment, 200, key)
        assert again == first  # the journal was handed over
        for _ in range(2):
            ask(port, SCORE, payment, key)
        assert ask(port, SCORE, payment, key)[0] == 429
        assert yaml.safe_load(serve(ray, "status"))["applications"]["leofric"]["status"] == "RUNNING"
        serve(ray, "shutdown", "-y")
        wait_for("shut down", port, "/healthz", None, 0)
    (segment,) = (lake / "journal/payments").glob("[!_]*.ndjson")
    assert json.loads(segment.read_bytes()) == payment


def interrupt(running: "subprocess.Popen[bytes]") -> None:
    """Press Ctrl-C until it ends: Ray's client loses one that comes while it waits for the application.

    It may take a while to shut down, and whoever presses again meanwhile disturbs it.
    """
    for _ in range(4):
        running.send_signal(signal.SIGINT)
        try:
            running.wait(60)
        except subprocess.TimeoutExpired:
            continue
        return
    running.kill()
    running.wait()
    raise AssertionError("serve run did not end")


def test_the_config_is_run_and_ended_by_ctrl_c(tmp_path: Path) -> None:
    lake, port = small_lake(tmp_path), free_port()
    words: list[str | Path] = [BIN / "serve", "run", config(tmp_path, port, lake, insecure_local=True)]
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder, cluster(Path(folder)) as ray:
        environment = ENVIRONMENT | {"RAY_ADDRESS": ray.address}
        with (tmp_path / "log").open("w") as log:
            running = subprocess.Popen(words, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True)
            try:
                answer = wait_for("running", port, SCORE, {"transaction_id": "x"}, 200)
                assert answer["decision"] == "refused"
            finally:
                interrupt(running)
        wait_for("ended", port, "/healthz", None, 0)
