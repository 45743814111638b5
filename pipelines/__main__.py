"""``python -m pipelines`` and ``leofric`` are this."""

import os
import sys


def main() -> None:
    """Run the command line and end the process."""
    from pipelines.cli import app

    try:
        app(prog_name="leofric")
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    sys.stdout.flush()
    sys.stderr.flush()
    # Native threads of the storage libraries now and then abort while the interpreter is taken down around them, and the exit
    # code would not be ours. All is written and closed by now.
    os._exit(code)


if __name__ == "__main__":
    main()
