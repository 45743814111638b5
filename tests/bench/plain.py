"""The service's own interface under plain uvicorn, without Ray: `python -m tests.bench.plain LAKE JOURNAL PORT`."""

import sys
from pathlib import Path

import uvicorn

from serve.application import api_of
from serve.service import Service
from serve.settings import settings_of


def main(lake: str, journal: str, port: str) -> None:
    """Serve until killed."""
    service = Service(settings_of({"lake": lake, "journal": Path(journal), "insecure_local": True}))
    uvicorn.run(api_of(lambda: service, 256), host="127.0.0.1", port=int(port), log_level="warning", access_log=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
