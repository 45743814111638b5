"""The commands of ML engineers."""

from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.compliance.roles import Action
from app.lake.on_command import lake_at
from app.settings import operator
from pipelines.cli_common import (
    JsonOption,
    LakeOption,
    StorageOption,
    clearance_of,
    console_for_results,
    errors,
    needs,
    print_json,
    reports_errors,
    tell_lineage,
)

if TYPE_CHECKING:
    from app.lake.registry import Decision

models = typer.Typer(help="The registry of models: which are there, and which is in use.", no_args_is_help=True)

WhyOption = Annotated[str, typer.Option("--why", help="The reason, for the record.")]
ModelArgument = Annotated[str, typer.Argument(help="The model's id.")]


class Kind(StrEnum):
    """Kinds of models; each has a champion of its own."""

    ISOLATION_FOREST = "isolation_forest"
    SUPERVISED = "supervised"


@reports_errors
@needs(Action.EVALUATE)
def evaluate(
    labels: Annotated[Path, typer.Option(help="A CSV file with transaction_id, is_suspicious (0 or 1), and typology; plain or .gz.")],
    lake: LakeOption,
    seeds: Annotated[int, typer.Option(min=1, help="How many times to train, each with another seed; figures are the means.")] = 3,
    model: Annotated[str | None, typer.Option(help="Test this model of the registry instead, on what came after its training.")] = None,
    as_json: JsonOption = False,
    storage_option: StorageOption = None,
) -> None:
    """Try the detectors on the lake's past: train on 15-60 % of its time span, test on the last 40 %."""
    from app.settings import read_settings
    from pipelines import report
    from pipelines.evaluate import evaluate as run
    from pipelines.evaluate import evaluate_model
    from pipelines.labels import read_labels

    read, opened = read_labels(labels), lake_at(lake, storage_option)
    with report.progress(errors) as observer:
        if model is None:
            document = run(opened, read, range(1, seeds + 1), observer)
        else:
            document = evaluate_model(opened, read, model, observer, read_settings().trusted_key_file)
    if as_json:
        print_json(document)
    else:
        report.evaluation(document, console_for_results())


@reports_errors
@needs(Action.TRAIN)
def train(
    lake: LakeOption,
    labels: Annotated[
        Path | None, typer.Option(help="Analysts' labels, as for evaluate; without it those of `leofric feedback import`.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed and the same lake make the same models.")] = 1,
    sample: Annotated[int | None, typer.Option(min=2, help="Learn from at most so many payments, chosen by the seed.")] = None,
    as_json: JsonOption = False,
    storage_option: StorageOption = None,
) -> None:
    """Train challengers on the lake's first 80 % of time, and measure them on the rest."""
    from app.compliance.audit import Action
    from app.settings import read_settings
    from pipelines import report
    from pipelines.audit import audited
    from pipelines.feedback import read_feedback
    from pipelines.labels import read_labels
    from pipelines.train import train as run

    opened = lake_at(lake, storage_option)
    read = read_feedback(opened) if labels is None else read_labels(labels)
    with report.progress(errors) as observer, audited(opened, Action.TRAIN, "models") as act:
        cards = run(opened, read, seed, observer, datetime.now(UTC), operator(), read_settings(), sample)
        act.object = ", ".join(card.model_id for card in cards)
        act.details |= {"seed": seed, "models": {card.model_id: card.sha256 for card in cards}}
    tell_lineage(opened.storage)
    if as_json:
        print_json([asdict(card) for card in cards])
        return
    for card in cards:
        typer.echo(f"{card.model_id}: trained on {card.trained['payments']:,} payments to {card.trained['to']}; a challenger now")
        if card.holdout is not None:
            typer.echo("  on the holdout: " + ", ".join(f"{name} {value:.3f}" for name, value in card.holdout["metrics"].items()))
    if read is None:
        typer.echo("Without labels nothing was measured: promote needs --without-gate.")


@reports_errors
@needs(Action.EVALUATE)
def backtest(
    scenario: Annotated[str, typer.Option(help="The scenario's name, such as velocity.")],
    lake: LakeOption,
    changed: Annotated[list[str] | None, typer.Option("--set", help="NAME=NUMBER: a threshold to try; repeatable.")] = None,
    labels: Annotated[Path | None, typer.Option(help="Analysts' labels, as for evaluate: what of each typology is found.")] = None,
    examples: Annotated[int, typer.Option(min=0, help="How many alerts to show just above and just below the line.")] = 3,
    as_json: JsonOption = False,
    storage_option: StorageOption = None,
) -> None:
    """Try other thresholds of a scenario on the lake's payments, and see which alerts come and go."""
    from pipelines import report
    from pipelines.backtest import as_seen, changes_of
    from pipelines.backtest import backtest as run
    from pipelines.labels import read_labels

    changes, read = changes_of(changed or []), None if labels is None else read_labels(labels)
    opened = lake_at(lake, storage_option)
    with report.progress(errors) as observer:
        document = run(opened, scenario, changes, read, examples, datetime.now(UTC).date(), observer)
    document = as_seen(document, clearance_of(opened))
    if as_json:
        print_json(document)
    else:
        report.backtest(document, console_for_results())


@models.command("list")
@reports_errors
@needs(Action.INSPECT)
def list_models(lake: LakeOption, as_json: JsonOption = False, storage_option: StorageOption = None) -> None:
    """List every model, its stage, and how it did on its holdout."""
    from pipelines import report
    from pipelines.models import listed

    rows = listed(lake_at(lake, storage_option))
    if as_json:
        print_json(rows)
    else:
        names = ("model_id", "stage", "trained_to", "payments", "average_precision", "recall_at_1pct_fpr")
        report.rows([{name: "" if row[name] is None else row[name] for name in names} for row in rows], console_for_results())


@models.command("show")
@reports_errors
@needs(Action.INSPECT)
def show_model(model: ModelArgument, lake: LakeOption, storage_option: StorageOption = None) -> None:
    """Show a model's card, and the decisions about it, as JSON."""
    from app.lake import registry

    storage = lake_at(lake, storage_option).storage
    card = asdict(registry.card_of(storage, model))
    about = [asdict(decision) for decision in registry.decisions(storage) if model in {decision.champion, decision.before}]
    print_json(card | {"decisions": about})


@models.command("promote")
@reports_errors
@needs(Action.PROMOTE)
def promote_model(
    model: Annotated[str, typer.Argument(help="The model's id; or isolation_forest or supervised, for the newest of that kind.")],
    lake: LakeOption,
    why: WhyOption,
    without_gate: Annotated[bool, typer.Option("--without-gate", help="Promote it whatever its metrics are.")] = False,
    storage_option: StorageOption = None,
) -> None:
    """Make a model the champion of its kind, if it is no worse than the champion on the same holdout."""
    from app.compliance.audit import Action
    from app.settings import read_settings
    from pipelines.audit import audited
    from pipelines.models import newest, promote

    trusted = read_settings().trusted_key_file
    opened = lake_at(lake, storage_option)
    model_id = newest(opened, model) if model in set(Kind) else model
    with audited(opened, Action.PROMOTE, model_id, why) as act:
        act.details["without_gate"] = without_gate
        decision = promote(opened, model_id, why, operator(), datetime.now(UTC), past_gate=without_gate, trusted=trusted)
        act.object_version, act.details["before"] = str(decision.number), decision.before
    _say(decision)


@models.command("rollback")
@reports_errors
@needs(Action.PROMOTE)
def rollback_model(
    kind: Annotated[Kind, typer.Argument(help="Which kind of model.")],
    lake: LakeOption,
    why: WhyOption,
    storage_option: StorageOption = None,
) -> None:
    """Bring back the champion before the one that is in use."""
    from app.compliance.audit import Action
    from app.settings import read_settings
    from pipelines.audit import audited
    from pipelines.models import rollback

    opened = lake_at(lake, storage_option)
    with audited(opened, Action.ROLLBACK, kind.value, why) as act:
        decision = rollback(opened, kind.value, why, operator(), datetime.now(UTC), read_settings().trusted_key_file)
        act.object, act.object_version = decision.champion, str(decision.number)
        act.details["before"] = decision.before
    _say(decision)


def _say(decision: "Decision") -> None:
    typer.echo(
        f"{decision.champion} is the champion of {decision.kind} now" + (f", in place of {decision.before}" if decision.before else "")
    )
