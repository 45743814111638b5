"""A challenger on a share of the service's payments: in shadow it scores them, as a canary it answers them. Knows no Ray, no HTTP."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np

from app.compliance.audit import Action
from app.errors import ModelError, UsageError
from app.features import feature_set
from app.features.payments import Int64s
from app.lake import registry, rollouts
from app.lake.lake import Lake
from app.lake.rollouts import CANARY, Rollout
from models import profile
from models.archive import Model
from models.champions import Champions, read_model
from models.isolation_forest import IsolationForest
from models.profile import Profile
from models.rollout import Monitor, in_share
from models.trees import Scores
from models.verdicts import Detectors, Known, Verdicts, band_names
from serve.audit import SERVICE, Trail
from serve.engine import InUse, Told, told
from serve.metrics import Metrics
from serve.settings import ServeSettings
from serve.shadow import Outbox, Row

log = logging.getLogger("leofric.serve")


@dataclass(frozen=True)
class Challenger:
    """The model that is tried, in the place of the champion of its kind."""

    model_id: str
    model: Model
    profile: Profile

    def in_place(self, in_use: InUse) -> InUse:
        """The models in use, but this one for the champion of its kind."""
        champions, detectors = in_use.champions, in_use.detectors
        if isinstance(self.model, IsolationForest):
            with_it = replace(detectors, forest=self.model, forest_profile=self.profile)
            return InUse(replace(champions, forest=self.model_id), with_it)
        return InUse(replace(champions, ranker=self.model_id), replace(detectors, ranker=self.model, ranker_profile=self.profile))

    def champion_of(self, champions: Champions) -> str | None:
        """The id of the champion that it would replace."""
        return champions.forest if isinstance(self.model, IsolationForest) else champions.ranker

    def verdicts(self, detectors: Detectors, known: Known) -> Verdicts:
        """What the detectors say that it is one of; an error if its own scores are no numbers."""
        verdicts = detectors.verdicts(known)
        if not np.isfinite(self.scores_of(verdicts)).all():
            raise ModelError(f"{self.model_id} gave a score that is no number")
        return verdicts

    def scores_of(self, verdicts: Verdicts) -> Scores:
        """Of what detectors say, the numbers that the model of its kind gave."""
        scores = verdicts.score if isinstance(self.model, IsolationForest) else verdicts.suspicion
        if scores is None:
            raise ModelError(f"there is no ranker beside {self.model_id}")
        return scores


class Trial:
    """One rollout as it goes on in this process. Tells what to answer; never fails because of the challenger."""

    def __init__(self, rollout: Rollout, challenger: Challenger, outbox: Outbox, clock: Callable[[], datetime], metrics: Metrics) -> None:
        self.rollout = rollout
        self.monitor = Monitor(rollout, challenger.profile.score)
        self.over: str | None = None
        """Why the challenger is given no payments any more, if it is not."""
        self._challenger = challenger
        self._outbox = outbox
        self._clock = clock
        self._metrics = metrics

    def tell(self, in_use: InUse, transaction_ids: list[str], known: Known) -> Told:
        """What is answered about payments: the champions have an answer for each, so that a challenger that fails costs nobody theirs."""
        verdicts = in_use.detectors.verdicts(known)
        said = told(in_use.champions, verdicts)
        if self.over is not None or self._challenger.model_id == self._challenger.champion_of(in_use.champions):
            return said
        mine = np.flatnonzero(in_share(transaction_ids, self.rollout.number, self.rollout.share))
        if not len(mine):
            return said
        models = self._challenger.in_place(in_use)
        theirs = self._ask(models.detectors, _rows(known, mine))
        # A payment that is twice in a request is tried once.
        once = np.sort(np.unique([transaction_ids[at] for at in mine.tolist()], return_index=True)[1])
        self._count(theirs, once)
        self._outbox.add(self._results(transaction_ids, known, mine, once, in_use.champions, verdicts, theirs))
        if isinstance(theirs, Verdicts) and self.rollout.mode == CANARY:
            _replace(said, mine, told(models.champions, theirs))
        return said

    def _ask(self, detectors: Detectors, known: Known) -> Verdicts | Exception:
        """What the challenger says, or how it failed."""
        try:
            return self._challenger.verdicts(detectors, known)
        except Exception as error:  # whatever a model may stumble over: the champion has answered already
            if not self.monitor.errors:
                log.exception("the challenger %s failed; the champion answers", self._challenger.model_id)
            return error

    def _count(self, theirs: Verdicts | Exception, once: Int64s) -> None:
        self._metrics.challenger.inc(len(once))
        if isinstance(theirs, Verdicts):
            self.monitor.scored(self._challenger.scores_of(theirs)[once])
        else:
            self.monitor.failed(len(once))
            self._metrics.challenger_errors.inc(len(once))
        self.over = self.monitor.over()
        if self.over is not None:
            log.error("the challenger %s is given no more payments: %s", self._challenger.model_id, self.over)

    def _results(
        self, transaction_ids: list[str], known: Known, mine: Int64s, once: Int64s, champions: Champions, ours: Verdicts,
        theirs: Verdicts | Exception,
    ) -> list[Row]:  # fmt: skip
        """Both models' scores and bands of the payments of the share."""
        of, rollout, now = self._challenger, self.rollout, self._clock()
        champion, bands = of.champion_of(champions), band_names(ours.band)
        scores: list[float | None] = [None] * len(bands) if champion is None else [*of.scores_of(ours).tolist()]
        its_scores: list[float | None] = [None] * len(mine)
        its_bands: list[str | None] = [None] * len(mine)
        error: str | None = type(theirs).__name__
        answered = "champion"
        if isinstance(theirs, Verdicts):
            its_scores, its_bands, error = [*of.scores_of(theirs).tolist()], [*band_names(theirs.band)], None
            answered = "challenger" if rollout.mode == CANARY else "champion"
        return [
            Row(
                rollout.number, transaction_ids[at], int(known.booked_at[at]), rollout.mode, rollout.kind, champion, scores[at], bands[at],
                of.model_id, its_scores[number], its_bands[number], error, answered, now,
            )
            for number, at in zip(once.tolist(), mine[once].tolist(), strict=True)
        ]  # fmt: skip


class Rollouts:
    """What a replica does about rollouts: takes up the one that goes on, ends it when it must, and brings its results to the lake."""

    def __init__(self, lake: Lake, settings: ServeSettings, clock: Callable[[], datetime], metrics: Metrics, trail: Trail) -> None:
        self._lake = lake
        self._trail = trail
        self._trusted = settings.trusted_key_file
        self._clock = clock
        self._metrics = metrics
        self._outbox = Outbox(lake, settings.segment_seconds, clock, metrics)
        self._trial: Trial | None = None

    def follow(self, champions: Champions) -> Trial | None:
        """Look at the lake; gives the trial that goes on now. What goes wrong is logged: a trial must not hurt the service."""
        try:
            self._look(champions)
        except Exception as error:  # whatever storage raises: the next look may find it well again
            log.warning("rollouts could not be followed; what was known goes on: %s", error)
        self._outbox.flush_if_due()
        self._show()
        return self._trial

    def close(self) -> None:
        """Bring what is left to the lake."""
        self._outbox.flush()

    def _look(self, champions: Champions) -> None:
        last = rollouts.last(self._lake.storage)
        if last is None or not rollouts.goes_on(last):
            if self._trial is not None:
                log.info("the trial of %s has ended", self._trial.rollout.model_id)
            self._trial = None
            return
        if self._trial is None or self._trial.rollout.number != last.number:
            self._trial = None
            self._take_up(last, champions)
        elif last.model_id in (champions.forest, champions.ranker):
            self._stop(last, "it is the champion now")
        elif self._trial.over is not None:
            self._stop(last, self._trial.over)

    def _take_up(self, last: Rollout, champions: Champions) -> None:
        if last.model_id in (champions.forest, champions.ranker):
            self._stop(last, "it is the champion now")
            return
        try:
            challenger = challenger_of(self._lake, last.model_id, self._trusted)
        except (ModelError, UsageError, FileNotFoundError) as error:
            log.error("the challenger %s is refused, the champion goes on: %s", last.model_id, error)  # noqa: TRY400  # a sentence, no fault
            self._stop(last, f"it cannot be used: {error}")
            return
        self._trial = Trial(last, challenger, self._outbox, self._clock, self._metrics)
        log.info("rollout %d: %s with a share of %g, the challenger %s", last.number, last.mode, last.share, last.model_id)

    def _stop(self, last: Rollout, why: str) -> None:
        try:
            ended = rollouts.end(self._lake.storage, last, why, self._clock().isoformat(timespec="seconds"), SERVICE)
        except ModelError:
            return  # another replica, or somebody, was first: the next look sees it
        self._trail.happened(Action.ROLLOUT_STOP, ended.model_id, str(ended.number), why)
        log.warning("rollout %d of %s is stopped: %s", last.number, last.model_id, why)
        self._trial = None

    def _show(self) -> None:
        self._metrics.rollout.clear()
        if self._trial is not None:
            self._metrics.rollout.labels(self._trial.rollout.mode, self._trial.rollout.model_id).set(1)
            self._metrics.drift.set(self._trial.monitor.drift or 0.0)


def challenger_of(lake: Lake, model_id: str, trusted: Path | None) -> Challenger:
    """Read a challenger; an error says why it cannot be used."""
    card = registry.card_of(lake.storage, model_id)
    feature_set.require(card.features_version)
    return Challenger(model_id, read_model(lake.storage, card, trusted), profile.from_document(card.profile))


def _rows(known: Known, rows: Int64s) -> Known:
    currency = [known.currency[at] for at in rows.tolist()]
    return Known(known.booked_at[rows], known.amount[rows], currency, known.facts[rows], known.judged[rows])


def _replace(said: Told, places: Int64s, by: Told) -> None:
    for number, at in enumerate(places.tolist()):
        said.models[at], said.score[at], said.suspicion[at] = by.models[number], by.score[number], by.suspicion[number]
        said.band[at], said.reasons[at] = by.band[number], by.reasons[number]
