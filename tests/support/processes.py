"""What /proc says of processes."""

from pathlib import Path


def listener(port: int) -> int:
    """The process that listens on a port of 127.0.0.1."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    (inode,) = [line[9] for line in lines if line[3] == "0A" and line[1] == f"0100007F:{port:04X}"]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(str(entry.readlink()) == f"socket:[{inode}]" for entry in (process / "fd").iterdir()):
                return int(process.name)
        except OSError:  # not ours, or gone
            continue
    raise LookupError(port)


def below(pid: int) -> set[int]:
    """A process and all that it began, and they."""
    parents = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(process.name)] = int((process / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # gone
            continue
    found, more = set[int](), {pid}
    while more:
        found |= more
        more = {child for child, parent in parents.items() if parent in more} - found
    return found


def listening(pids: set[int]) -> set[str]:
    """The addresses, in hexadecimal as /proc has them, on which processes listen."""
    sockets = set()
    for pid in pids:
        try:
            sockets |= {str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()}
        except OSError:  # gone
            continue
    lines = [line.split() for table in ("tcp", "tcp6") for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]]
    return {line[1].partition(":")[0] for line in lines if line[3] == "0A" and f"socket:[{line[9]}]" in sockets}


LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}
"""127.0.0.1, the same as an IPv6 address, and ::1, as /proc has them."""


def resident_bytes(pid: int) -> int:
    """A process's memory."""
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024


def replicas(command: int) -> set[int]:
    """The processes that answer for a `leofric serve`: its descendants of that name."""
    parents, named = {}, set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(process.name)] = int(process.joinpath("stat").read_text().rpartition(")")[2].split()[1])
            if process.joinpath("cmdline").read_bytes().startswith(b"ray::ServeReplica:leofric:payments"):
                named.add(int(process.name))
        except OSError:  # gone
            continue
    return {pid for pid in named if command in _ancestors(pid, parents)}


def _ancestors(pid: int, parents: dict[int, int]) -> set[int]:
    found = set()
    while pid in parents:
        pid = parents[pid]
        found.add(pid)
    return found
