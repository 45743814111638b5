"""``python -m pipelines`` and ``leofric`` are this."""


def main() -> None:
    """Run the command line."""
    from pipelines.cli import app

    app(prog_name="leofric")


if __name__ == "__main__":
    main()
