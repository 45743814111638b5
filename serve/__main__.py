"""``python -m serve``: `leofric serve` and `leofric keys` without the rest."""

import typer

from serve import cli, cli_keys

if __name__ == "__main__":
    app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
    app.command()(cli.serve)
    app.add_typer(cli_keys.keys, name="keys")
    app()
