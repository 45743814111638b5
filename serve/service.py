"""One replica's work between a request's bytes and its answer's: who asks, what is asked, the engine, the journal. Knows no Ray."""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import partial
from http import HTTPStatus
from time import perf_counter
from typing import Final

import orjson
import pyarrow as pa
from deltalake.exceptions import DeltaError
from obstore.exceptions import BaseError

from app.errors import LeofricError
from app.features.payments import Int64s
from app.lake.lake import Lake
from models import champions
from serve import keys, logs, oidc, requests, trim, warm
from serve.access import INSECURE_LOCAL, Authenticator, CannotAuthenticate, Client, Forbidden, Scope, Unauthenticated, require
from serve.audit import Trail
from serve.engine import Answer, Decided, Engine, InUse
from serve.journal import Journal
from serve.limits import Limiter
from serve.metrics import Metrics
from serve.problems import Problem
from serve.redis_line import StoreChanged, StoreLost
from serve.requests import Asked
from serve.review import Reviews
from serve.rollout import Rollouts
from serve.settings import ServeSettings

log = logging.getLogger("leofric.serve")

_CHUNK: Final = 2_000
"""So many payments that a run has loaded meanwhile are taken in before requests have their turn again."""

_LAKE_FAILS: Final = (LeofricError, OSError, BaseError, DeltaError)


@dataclass
class _Job:
    asked: Asked
    client: str
    request_id: str
    answers: asyncio.Future[list[bytes]]


class Service:
    """Everything that a replica holds. Requests that come together are worked on together, at once: nobody waits for a batch to fill."""

    def __init__(self, settings: ServeSettings, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._settings = settings
        self._clock = clock
        self.metrics = Metrics()
        self._lake: Lake = warm.open_for(settings)
        self._journal = Journal(settings.journal_folder, clock(), shared=settings.shared, subjects=self._lake.subjects)
        self._journal.prepare()
        self._engine: Engine
        self._engine, self._seen = warm.engine_of(self._lake, settings, self._journal, clock())
        warm.rehearse(self._engine)
        self._trail = Trail(self._lake, settings.segment_seconds, clock, self.metrics)
        self._rollouts = Rollouts(self._lake, settings, clock, self.metrics, self._trail)
        self._engine.trial = self._rollouts.follow(self._seen.champions)
        self._keys = keys.KeysInUse(partial(keys.key_ring, self._lake), settings.keys_seconds_most)
        self._tokens = _tokens(settings)
        self._authenticator = _authenticator(self._keys, self._tokens)
        storage = settings.rate_limit_storage.get_secret_value()
        self._limiter = None if settings.rate_limit is None else Limiter(settings.rate_limit, storage)
        self.reviews = Reviews(self._lake, clock)
        self._jobs: list[_Job] = []
        self.broken: str | None = None
        self._trimmed_on: date | None = None
        self._reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="follow")
        self._show()

    async def client(self, authorization: str | None, scope: Scope) -> Client:
        """Who asks; Problem if nobody known, or nobody who may. What asks an issuer or a Redis is done beside the loop."""
        if self._settings.insecure_local:
            logs.note(client=INSECURE_LOCAL.name)
            return INSECURE_LOCAL
        authenticate = self._authenticator.authenticate
        try:
            waits = self._authenticator.waits(authorization)
            client = await asyncio.to_thread(authenticate, authorization) if waits else authenticate(authorization)
            logs.note(client=client.name)
            require(client, scope)
        except Unauthenticated as error:
            self._trail.denied(HTTPStatus.UNAUTHORIZED, logs.current())
            raise Problem(HTTPStatus.UNAUTHORIZED, str(error), headers={"WWW-Authenticate": "Bearer"}) from None
        except Forbidden as error:
            self._trail.denied(HTTPStatus.FORBIDDEN, logs.current())
            raise Problem(HTTPStatus.FORBIDDEN, str(error)) from None
        except CannotAuthenticate as error:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error), headers={"Retry-After": "5"}) from None
        wait = None
        if self._limiter is not None:
            check = self._limiter.check
            wait = await asyncio.to_thread(check, client.name) if self._limiter.waits else check(client.name)
        if wait is not None:
            self._trail.denied(HTTPStatus.TOO_MANY_REQUESTS, logs.current())
            seconds = str(max(1, round(wait)))
            raise Problem(
                HTTPStatus.TOO_MANY_REQUESTS, f"the rate limit is reached; ask again in {seconds} s", headers={"Retry-After": seconds}
            )
        return client

    def validate(self, body: bytes) -> bytes:
        """What is wrong with the records of a body."""
        asked = requests.read(body)
        logs.note(records=len(asked.lines))
        answers = self._engine.validate(asked.columns)
        for answer in answers:
            self._count_refused(answer["reasons"] if not answer["valid"] else [])
        return _document([orjson.dumps(answer) for answer in answers], many=asked.many)

    async def score(self, body: bytes, client: Client, request_id: str) -> bytes:
        """Score the records of a body; the answer is on disk when it is given."""
        asked = requests.read(body)
        logs.note(records=len(asked.lines))
        if self.broken is not None:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, f"the service is being replaced: {self.broken}", headers={"Retry-After": "10"})
        loop = asyncio.get_running_loop()
        job = _Job(asked, client.name, request_id, loop.create_future())
        if not self._jobs:
            loop.call_soon(self._work)
        self._jobs.append(job)
        return _document(await job.answers, many=asked.many)

    def _work(self) -> None:
        """Work on all that came since the loop's last turn.

        After a failure the histories may have payments that the journal does not: nothing more is answered from them, and the replica is
        replaced by one that knows what is on the disk.
        """
        jobs, self._jobs = self._jobs, []
        # The task's own request is but one of them.
        ids = {"request_id": None, "request_ids": [job.request_id for job in jobs]}
        try:
            decided = self._decide(jobs)
        except StoreLost as error:
            self.metrics.lost.inc(len(jobs))
            log.error("%d requests were refused: %s", len(jobs), error, extra=ids)  # noqa: TRY400 (a sentence, no fault)
            _refuse(jobs, str(error), "1")
            return
        except Exception as error:
            log.exception("%d requests failed", len(jobs), extra=ids)
            self.broken = "the journal cannot be written" if isinstance(error, OSError) else "it failed"
            if isinstance(error, StoreChanged):
                self.broken = str(error)
            _refuse(jobs, self.broken, "10")
            return
        place = 0
        for job in jobs:
            mine = decided[place : place + len(job.asked.lines)]
            place += len(mine)
            if not job.answers.done():
                job.answers.set_result([one.json for one in mine])

    def _decide(self, jobs: Sequence[_Job]) -> list[Decided]:
        """Payments are in the journal before histories have them, and what is said of them before it is said."""
        now, written = self._clock(), 0.0
        lines = [line for job in jobs for line in job.asked.lines]

        def put_down(rows: Int64s) -> None:
            nonlocal written
            begun = perf_counter()
            self._journal.write_payments([lines[row] for row in rows.tolist()], now)
            written += perf_counter() - begun

        begun = perf_counter()
        decided = self._engine.score(_together([job.asked.columns for job in jobs]), put_down)
        scored = perf_counter()
        self._journal.write_decisions(_decisions(jobs, decided, now), now)
        self.metrics.stage.labels("engine").observe(scored - begun - written)
        self.metrics.stage.labels("journal").observe(perf_counter() - scored + written)
        self.metrics.batch.observe(len(decided))
        self._count(decided)
        return decided

    async def follow(self) -> None:
        """Look at the lake now and then, for ever: a new champion, keys, payments that runs have loaded; close segments of the journal."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._settings.follow_seconds)
            await self._attempt(loop.run_in_executor(self._reader, self._journal.prepare))
            if self._journal.is_ready and self._journal.segment_age(self._clock()) >= self._settings.segment_seconds:
                self._journal.close_segment(self._clock())
            await self._attempt(loop.run_in_executor(self._reader, self._keys.read))
            if self._tokens is not None:
                await self._attempt(loop.run_in_executor(self._reader, self._tokens.keys.keep_fresh))
            await self._attempt(self._follow_models(loop))
            await self._attempt(self._follow_payments(loop))
            await self._attempt(self._trim(loop))
            await self._attempt(loop.run_in_executor(self._reader, self._write_trail))

    def _write_trail(self) -> None:
        self._trail.write_if_due(self._journal.closed_decisions())

    async def _attempt(self, work: Awaitable[None]) -> None:
        """One thing that cannot be read, such as a corrupt champion, does not keep the service from hearing of others."""
        try:
            await work
        except _LAKE_FAILS as error:
            log.warning("the lake could not be followed; what is known goes on to be used: %s", error)

    async def _follow_models(self, loop: asyncio.AbstractEventLoop) -> None:
        self._engine.trial = await loop.run_in_executor(self._reader, self._rollouts.follow, self._seen.champions)
        found = await loop.run_in_executor(self._reader, self._read_models)
        if found is not None:
            self._engine.in_use = found
            self._seen = replace(self._seen, champions=found.champions)
            log.info("the model %s answers now", found.champions.forest)
        self._engine.thresholds_on = self._clock().date()

    async def _follow_payments(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take in what other replicas were asked, what runs have loaded, and what analysts have decided; forget who was erased."""
        self._catch_up()
        self.reviews.follow()
        for path in await loop.run_in_executor(self._reader, warm.new_files, self._lake, self._seen):
            for part in await loop.run_in_executor(self._reader, warm.read_all, self._lake, [path]):
                for begin in range(0, part.silver.num_rows, _CHUNK):
                    self._engine.histories.load_from_lake(part.cut(begin, begin + _CHUNK))
                    await asyncio.sleep(0)
            self._seen = replace(self._seen, files=self._seen.files | {path})
        version = await loop.run_in_executor(self._reader, warm.feedback_version, self._lake)
        if version != self._seen.feedback:
            self._engine.judge(*await loop.run_in_executor(self._reader, warm.judgements, self._lake))
            self._seen = replace(self._seen, feedback=version)
        self._show()

    async def _trim(self, loop: asyncio.AbstractEventLoop) -> None:
        """Once a day, let go of payments that are older than anything looks back, if they are many."""
        now = self._clock()
        if now.date() == self._trimmed_on:
            return
        self._trimmed_on = now.date()
        try:
            begun = await loop.run_in_executor(self._reader, trim.begun, self._engine, now)
        except MemoryError:
            log.warning("there is not memory enough to let go of old payments, which takes as much again for a while")
            return
        if begun is not None:
            begun.finish(self._engine)
            log.info("%d payments are too old to matter and were let go", begun.dropped)
            self._show()
            await loop.run_in_executor(self._reader, begun.let_go)

    def _catch_up(self) -> None:
        try:
            self._engine.catch_up()
        except StoreChanged as error:
            self.broken = str(error)
            raise

    def _read_models(self) -> InUse | None:
        found = champions.in_use(self._lake.storage)
        if found is None or found == self._seen.champions:
            return None
        return warm.models_of(self._lake, self._settings.trusted_key_file)

    def close(self) -> None:
        """Close the journal; nothing is lost without it, but a run can load what is closed."""
        self._reader.shutdown()
        self.reviews.close()
        self._rollouts.close()
        self._engine.histories.close()
        self._journal.close(self._clock())
        try:
            self._trail.close(self._journal.closed_decisions())
        except _LAKE_FAILS as error:
            log.error("the audit trail could not be written: %s; the next service writes what the journal has", error)  # noqa: TRY400

    def _count(self, decided: Sequence[Decided]) -> None:
        bands: Counter[str] = Counter()
        for one in decided:
            if one.answer is None:
                self.metrics.again.inc()
            elif one.answer["decision"] == "scored":
                bands[one.answer["band"]] += 1
                self.metrics.scores.observe(one.answer["score"])
            else:
                self._count_refused(one.answer["reasons"])
        for band, count in bands.items():
            self.metrics.bands.labels(band).inc(count)

    def _count_refused(self, reasons: Sequence[Answer]) -> None:
        for reason in reasons:
            if reason["severity"] == "reject":
                self.metrics.refused.labels(reason["code"]).inc()

    def _show(self) -> None:
        self.metrics.sides.labels("asked").set(self._engine.sides_asked)
        self.metrics.sides.labels("known").set(self._engine.sides_known)
        self.metrics.payments.set(len(self._engine.histories))
        self.metrics.accounts.set(self._engine.histories.parties)
        self.metrics.model.clear()
        self.metrics.model.labels("isolation_forest", self._seen.champions.forest).set(1)
        if self._seen.champions.ranker is not None:
            self.metrics.model.labels("supervised", self._seen.champions.ranker).set(1)


def _tokens(settings: ServeSettings) -> oidc.Verifier | None:
    """Who verifies tokens, with the issuer's keys at hand if the issuer answers."""
    if settings.oidc_issuer is None or settings.oidc_audience is None or settings.oidc_jwks_url is None:
        return None
    issuer_keys = oidc.IssuerKeys(oidc.fetch_from(settings.oidc_jwks_url))
    issuer_keys.keep_fresh()
    return oidc.Verifier(settings.oidc_issuer, settings.oidc_audience, issuer_keys)


def _authenticator(held: keys.KeysInUse, tokens: oidc.Verifier | None) -> Authenticator:
    return Authenticator(held.client_of) if tokens is None else Authenticator(held.client_of, tokens.client_of, tokens.waits)


def _refuse(jobs: Sequence[_Job], why: str, retry_after: str) -> None:
    for job in jobs:
        if not job.answers.done():
            said = f"there is no answer: {why}; ask again, a payment counts once"
            job.answers.set_exception(Problem(HTTPStatus.SERVICE_UNAVAILABLE, said, headers={"Retry-After": retry_after}))


def _decisions(jobs: Sequence[_Job], decided: Sequence[Decided], now: datetime) -> list[bytes]:
    """What was decided of records that are in the journal, for whom and when, as its lines."""
    lines, place, at = [], 0, now.isoformat()
    for job in jobs:
        whom = {"at": at, "client": job.client, "request_id": job.request_id}
        for one in decided[place : place + len(job.asked.lines)]:
            if one.recorded:
                head = orjson.dumps({"transaction_id": one.transaction_id} | whom)
                lines.append(head[:-1] + b',"answer":' + (one.kept or one.json) + b"}")
        place += len(job.asked.lines)
    return lines


def _together(tables: list[pa.Table]) -> pa.Table:
    return tables[0] if len(tables) == 1 else pa.concat_tables(tables).combine_chunks()


def _document(answers: list[bytes], *, many: bool) -> bytes:
    return b'{"transactions":[' + b",".join(answers) + b"]}" if many else answers[0]
