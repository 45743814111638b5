"""The commands of ML engineers."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli_common import JsonOption, LakeOption, StorageOption, console_for_results, errors, lake_at, print_json, reports_errors


@reports_errors
def evaluate(
    labels: Annotated[Path, typer.Option(help="A CSV file with transaction_id, is_suspicious (0 or 1), and typology; plain or .gz.")],
    lake: LakeOption,
    seeds: Annotated[int, typer.Option(min=1, help="How many times to train, each with another seed; figures are the means.")] = 3,
    as_json: JsonOption = False,
    storage_option: StorageOption = None,
) -> None:
    """Try the detectors on the lake's past: train on 15-60 % of its time span, test on the last 40 %."""
    from pipelines import report
    from pipelines.evaluate import evaluate as run
    from pipelines.labels import read_labels

    read = read_labels(labels)
    with report.progress(errors) as observer:
        document = run(lake_at(lake, storage_option), read, range(1, seeds + 1), observer)
    if as_json:
        print_json(document)
    else:
        report.evaluation(document, console_for_results())
