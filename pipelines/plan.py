"""What there is to do: the files of a landing place, in the one order that decides everything."""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from app.contracts.amount_form import AmountForm, form_of
from app.errors import FileRejected, UsageError
from app.lake.storage import Entry, Storage
from app.readers.formats import Format, of_name
from app.readers.parsed import Span
from pipelines.work import Ingested, Part, SourceFile, Unit

CONTROL_SUFFIX = ".control.json"
_IGNORED_FOLDER = "ground_truth"
_WILDCARD = re.compile(r"[*?\[]")

_T = TypeVar("_T")


def source_files(places: Sequence[str], zones: Sequence[str], options: Mapping[str, str], amounts: Sequence[str] = ()) -> list[SourceFile]:
    """The files at ``places`` (folders, files, globs, each local or in S3), in the order of their URIs.

    Left out are names that begin with ``.`` or ``_`` and what lies in ``ground_truth/``. ``zones`` are ``ZONE`` or ``PATTERN=ZONE``:
    the zone of naive timestamps, for all files or for those whose name fits; so is ``amounts``, with an example of the form of amounts.
    """
    declared = [_rule(text, _zone) for text in zones]
    forms = [_rule(text, form_of) for text in amounts]
    found: dict[str, tuple[Storage, Entry]] = {}
    for place in places:
        entries = list(_entries(place, options))
        if not entries:
            raise UsageError(f"{place}: there is no file here; name a folder, a file or a glob that has landing files")
        found.update({storage.uri(entry.path): (storage, entry) for storage, entry in entries})
    data = {uri: pair for uri, pair in found.items() if not uri.endswith(CONTROL_SUFFIX)}
    for uri in found.keys() - data.keys():
        if uri.removesuffix(CONTROL_SUFFIX) not in data:
            raise UsageError(f"{uri} declares totals of a file that is not there")
    return [
        SourceFile(
            number,
            storage,
            entry.path,
            entry.size,
            _declared(entry.path, declared),
            _form(entry.path, forms),
            entry.path + CONTROL_SUFFIX if uri + CONTROL_SUFFIX in found else None,
        )
        for number, (uri, (storage, entry)) in enumerate(sorted(data.items()))
    ]


def units(files: Iterable[Ingested], unit_bytes: int) -> list[Unit]:
    """What one task each takes: neighbouring parts of one text file, ``unit_bytes`` or less and about equally much; or one Parquet part."""
    grouped = [(file, parts) for file in files for parts in _grouped(file.parts, unit_bytes)]
    return [Unit(number, file, parts) for number, (file, parts) in enumerate(grouped)]


def _grouped(parts: Sequence[Part], unit_bytes: int) -> Iterator[tuple[Part, ...]]:
    spans = [part for part in parts if isinstance(part, Span)]
    if not spans:
        yield from ((part,) for part in parts)
        return
    begin, end = spans[0].offset, spans[-1].offset + spans[-1].length
    count = max(1, math.ceil((end - begin) / unit_bytes))
    # A span belongs to the unit in which its middle lies.
    for _, group in groupby(spans, lambda span: int((span.offset + span.length / 2 - begin) * count / (end - begin))):
        yield tuple(group)


def _rule(text: str, read: Callable[[str], _T]) -> tuple[str, _T]:
    """PATTERN=VALUE, or VALUE for every file."""
    pattern, _, value = text.rpartition("=")
    return pattern or "*", read(value)


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(f"--zone: {name!r} is not a time zone such as Europe/London") from None
    return name


def _declared(path: str, rules: Iterable[tuple[str, _T]]) -> _T | None:
    return next((value for pattern, value in rules if PurePosixPath(path).match(pattern)), None)


def _form(path: str, rules: Iterable[tuple[str, AmountForm]]) -> AmountForm | None:
    form = _declared(path, rules)
    if form is not None and _is_ndjson(path):
        # A JSON number and a text look alike behind the reader, and 1.234 would be two amounts.
        raise UsageError(f"{path}: amounts in JSON are written as JSON writes numbers; declare --amounts for other files, as PATTERN=FORM")
    return form


def _is_ndjson(path: str) -> bool:
    try:
        return of_name(path)[0] is Format.NDJSON
    except FileRejected:  # of no format: the run says so of this file, and goes on with the others
        return False


def _entries(place: str, options: Mapping[str, str]) -> Iterator[tuple[Storage, Entry]]:
    root, pattern = _split(place)
    if "://" not in root and not Path(root).is_dir():
        raise UsageError(f"{place}: there is no such file or folder")
    storage = Storage(root, options)
    fits = re.compile(_regex(pattern)).fullmatch
    one_level = "/" not in pattern and "**" not in pattern
    for entry in storage.children() if one_level else storage.entries():
        parts = PurePosixPath(entry.path).parts
        hidden = any(part.startswith((".", "_")) for part in parts) or _IGNORED_FOLDER in parts[:-1]
        if not hidden and (fits(entry.path) or fits(entry.path.removesuffix(CONTROL_SUFFIX))):
            yield storage, entry


def _split(place: str) -> tuple[str, str]:
    """A place as a root and a pattern below it."""
    if "://" in place:
        scheme, _, rest = place.partition("://")
        bucket, _, key = rest.partition("/")
        fixed, pattern = _at_wildcard(key)
        is_file = not pattern and "." in PurePosixPath(key).name and not key.endswith("/")
        if is_file:
            fixed, _, pattern = key.rpartition("/")
        return f"{scheme}://{bucket}/{fixed}".rstrip("/"), pattern or "**"
    if Path(place).is_file():
        return str(Path(place).parent), re.sub(r"([*?\[])", r"[\1]", Path(place).name)
    fixed, pattern = _at_wildcard(place)
    return fixed or ".", pattern or "**"


def _at_wildcard(path: str) -> tuple[str, str]:
    match = _WILDCARD.search(path)
    if match is None:
        return path, ""
    cut = path.rfind("/", 0, match.start()) + 1
    return path[:cut], path[cut:]


def _regex(pattern: str) -> str:
    """A glob as a regular expression over a whole path: ``**`` crosses folders, ``*`` and ``?`` do not."""
    out = []
    for piece in re.findall(r"\*\*/?|\*|\?|\[[^\]]+\]|.", pattern, flags=re.DOTALL):
        if piece.startswith("**"):
            out.append("(?:.*/)?" if piece.endswith("/") else ".*")
        elif piece in _ONE_LEVEL:
            out.append(_ONE_LEVEL[piece])
        elif len(piece) > 1:
            out.append("[" + ("^" if piece[1] == "!" else "") + re.escape(piece[1:-1].removeprefix("!")).replace(r"\-", "-") + "]")
        else:
            out.append(re.escape(piece))
    return "".join(out)


_ONE_LEVEL = {"*": "[^/]*", "?": "[^/]"}
