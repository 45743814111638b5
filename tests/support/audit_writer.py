"""A process that appends to a lake's audit trail: ``python -m tests.support.audit_writer LAKE NAME APPENDS EVENTS [OPTION=VALUE …]``."""

import sys

from app.lake.audit import open_log
from app.lake.lake import open_lake
from app.lake.storage import Storage
from app.settings import read_audit_settings
from tests.support.audit import event


def main(root: str, name: str, appends: int, events: int, options: dict[str, str]) -> None:
    log = open_log(open_lake(Storage(root, options)), read_audit_settings())
    for number in range(appends):
        log.append([event(place, object=name, event_id=f"{name}-{number}-{place}") for place in range(events)])
        # Told again, as by one that carries on where another died: nothing comes of it.
        if log.append([event(0, object=name, event_id=f"{name}-{number}-0")], once=True):
            raise SystemExit("an event stands twice")
    log.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), dict(pair.split("=", 1) for pair in sys.argv[5:]))
