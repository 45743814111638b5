"""Segments of the service's journal, as a run that loads them into a sealed lake treats them: opened, and retired once they are loaded."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

from app.errors import KeyStoreError
from app.lake import layout, segments
from app.lake.lake import Lake
from app.lake.storage import Storage
from pipelines.work import Ingested, SourceFile


def prepared(lake: Lake, sources: Sequence[SourceFile]) -> list[SourceFile]:
    """The files with their segments' keys; without segments that another run has retired since they were listed.

    A task that reads the file needs no wrapping key then. One whose key cannot be had goes without: the task that reads it says so.
    """
    if lake.subjects is None:
        return list(sources)
    found = []
    for file in sources:
        if in_own_journal(lake, file.uri) is not None and not file.storage.exists(file.path):
            continue
        found.append(replace(file, segment=_key(lake, file)) if file.path.endswith(segments.ENDING) else file)
    return found


def places_with_files(lake: Storage, places: Sequence[str]) -> list[str]:
    """The places without the lake's own journal where nothing waits in it: of a sealed lake what was loaded is gone from there."""
    if not lake.is_local:
        return list(places)
    own = lake.local_path(layout.JOURNALLED).resolve()
    return [place for place in places if Path(place.removeprefix("file://")).resolve() != own or _waits(own)]


def _waits(folder: Path) -> bool:
    """Whether a folder has a file to load; what is being written has a name that begins with a line."""
    return folder.is_dir() and any(not path.name.startswith(("_", ".")) for path in folder.iterdir())


def _key(lake: Lake, file: SourceFile) -> segments.SegmentKey | None:
    if lake.subjects is None:
        return None
    try:
        head = bytes(file.storage.read_range(file.path, 0, min(file.size, segments.MOST_HEAD_BYTES)))
        return segments.key_of(lake.subjects, head, file.uri)
    except (KeyStoreError, OSError):
        return None


def in_own_journal(lake: Lake, uri: str) -> str | None:
    """Where below the lake a file of its own journal lies; None if it is none."""
    below = lake.storage.uri(layout.JOURNALLED) + "/"
    return f"{layout.JOURNALLED}/{unquote(uri.removeprefix(below))}" if uri.startswith(below) else None


def retired(lake: Lake, files: Iterable[Ingested], loaded: Collection[str]) -> tuple[list[str], list[str]]:
    """What nobody needs once the lake has the files with these hashes: objects of its own journal, and keys of segments, wherever they lie.

    Of a lake that is not sealed nothing: its journal is a feed like any other.
    """
    if lake.sealed is None:
        return [], []
    there = [file.file for file in files if file.sha256 in loaded]
    paths = [path for file in there if (path := in_own_journal(lake, file.uri)) is not None]
    return paths, [file.segment.name for file in there if file.segment is not None]
