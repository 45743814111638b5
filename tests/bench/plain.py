"""The service's work under plain FastAPI and uvicorn, without Ray, as one writes it: `python -m tests.bench.plain LAKE JOURNAL PORT`."""

import sys
import uuid
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request, Response

from serve.access import Scope
from serve.service import Service
from serve.settings import settings_of


def api_of(service: Service) -> FastAPI:
    """The scoring endpoint."""
    api = FastAPI()

    @api.post("/v1/transactions/score")
    async def score(request: Request) -> Response:
        client = service.client(request.headers.get("authorization"), Scope.SCORE)
        answer = await service.score(await request.body(), client, uuid.uuid4().hex)
        return Response(answer, media_type="application/json")

    @api.get("/readyz")
    async def readyz() -> Response:
        return Response()

    return api


def main(lake: str, journal: str, port: str) -> None:
    """Serve until killed."""
    service = Service(settings_of({"lake": lake, "journal": Path(journal), "insecure_local": True}))
    uvicorn.run(api_of(service), host="127.0.0.1", port=int(port), log_level="warning", access_log=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
