"""The commands that try a challenger on the service's traffic."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer

from app.compliance.roles import Action
from app.lake.on_command import lake_at
from app.settings import operator
from pipelines.cli_common import JsonOption, LakeOption, StorageOption, console_for_results, needs, print_json, reports_errors

rollout = typer.Typer(help="A challenger on a share of the service's traffic: in shadow, or as a canary.", no_args_is_help=True)

WhyOption = Annotated[str, typer.Option("--why", help="The reason, for the record.")]


class Mode(StrEnum):
    """How a challenger is tried."""

    SHADOW = "shadow"
    CANARY = "canary"


@rollout.command("start")
@reports_errors
@needs(Action.ROLL_OUT)
def start_rollout(
    model: Annotated[str, typer.Argument(help="The challenger's id.")],
    lake: LakeOption,
    mode: Annotated[Mode, typer.Option(help="shadow: it scores, the champion answers. canary: it answers.")],
    share: Annotated[float, typer.Option(help="The share of payments, over 0 to 1; the same payment is always in it or not.")],
    why: WhyOption,
    most_errors: Annotated[float, typer.Option(help="It is taken away if it fails on a larger share of its payments.")] = 0.01,
    most_drift: Annotated[float, typer.Option(help="Or if its scores' PSI against its training window is larger.")] = 0.25,
    least: Annotated[int, typer.Option(help="But not before it has had so many payments.")] = 500,
    storage_option: StorageOption = None,
) -> None:
    """Try a challenger. Services on this lake take it up by themselves, and end it when it is over its limits."""
    from app.compliance.audit import Action
    from app.settings import read_settings
    from pipelines.audit import audited
    from pipelines.rollouts import Limits, start

    limits, trusted = Limits(most_errors, most_drift, least), read_settings().trusted_key_file
    opened = lake_at(lake, storage_option)
    with audited(opened, Action.ROLLOUT_START, model, why) as act:
        begun = start(opened, model, mode.value, share, limits, why, operator(), datetime.now(UTC), trusted)
        act.object_version = str(begun.number)
        act.details |= {"mode": begun.mode, "share": begun.share}
    does = "answers" if mode is Mode.CANARY else "is tried in shadow on"
    typer.echo(f"rollout {begun.number}: {begun.model_id} {does} {begun.share:.4g} of the payments as soon as services look at the lake")


@rollout.command("stop")
@reports_errors
@needs(Action.ROLL_OUT)
def stop_rollout(lake: LakeOption, why: WhyOption, storage_option: StorageOption = None) -> None:
    """End the rollout: the champion alone answers again, as soon as services look at the lake."""
    from app.compliance.audit import Action
    from pipelines.audit import audited
    from pipelines.rollouts import stop

    opened = lake_at(lake, storage_option)
    with audited(opened, Action.ROLLOUT_STOP, "rollout", why) as act:
        ended = stop(opened, why, operator(), datetime.now(UTC))
        act.object, act.object_version = ended.model_id, str(ended.number)
    typer.echo(f"{ended.model_id} is not tried any more")


@rollout.command("show")
@reports_errors
@needs(Action.INSPECT)
def show_rollout(lake: LakeOption, as_json: JsonOption = False, storage_option: StorageOption = None) -> None:
    """Show the last rollout, and what has come of it; the service brings results to the lake once a minute."""
    from pipelines import report
    from pipelines.rollouts import shown

    found = shown(lake_at(lake, storage_option))
    if as_json:
        print_json(found)
        return
    for line in _lines(found):
        typer.echo(line)
    if found["bands"]:
        report.rows(found["bands"], console_for_results())


def _lines(found: dict[str, Any]) -> list[str]:
    started, ended, limits = found["started"], found["ended"], found["limits"]
    drift, champions = (("none yet" if found[name] is None else f"{found[name]:.3f}") for name in ("drift", "champion_drift"))
    ending = "It goes on." if ended is None else f"Ended {ended['at']} by {ended['by']}: {ended['why']}"
    return [
        f"rollout {found['rollout']}: {found['model_id']}, {found['mode']} on {found['share']:.4g} of the payments",
        f"Started {started['at']} by {started['by']}: {started['why']}",
        ending,
        f"payments {found['payments']:,}, of which it answered {found['answered_by_challenger']:,}",
        f"errors {found['errors']:,} (at most {limits['most_errors']:.2%} of the payments)",
        f"drift {drift} (at most {limits['most_drift']:g}, once there are {limits['least']:,} payments); the champion's {champions}",
        f"another band than the champion's {found['band_changes']:,}",
    ]
