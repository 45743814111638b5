"""Evidence as a bundle of three files: report.json, report.html made of it, and report.sig with the hashes of both and a signature."""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import jinja2

from app.compliance.anchors import Ed25519Key, Ed25519Public, checking_key, signing_key
from app.compliance.certificate import canonical
from app.errors import UsageError
from models.champions import key_in

REPORT, PAGE, SIGNATURE = "report.json", "report.html", "report.sig"
FORMAT: Final = 1
_ORDER: Final = (
    *("what", "run_id", "sequence", "kind", "status", "files", "entry", "decision", "number", "at", "day", "table", "model_id", "subject"),
    *("action", "act", "name", "scopes", "scenario", "is_suspicious", "reason", "state", "age", "currency", "source", "runs", "records"),
    *("accepted", "quarantined", "duplicates", "amount_minor", "dimension", "numerator", "denominator", "ratio", "before", "after", "now"),
)
"""In which order the page has names of rows."""
_SAYS: Final = {"format", "files", "key_id", "public_key", "signature"}


@dataclass(frozen=True)
class Checked:
    """What was found of a bundle; no fault means that it is as it was made, as far as its key can say."""

    faults: tuple[str, ...]
    signed_by: str | None = None  # a key's id; None: unsigned
    trusted: bool = False  # whether that key was named by whoever checks

    def document(self) -> dict[str, Any]:
        """The finding as JSON has it."""
        return {"holds": not self.faults, "signed_by": self.signed_by, "trusted": self.trusted, "faults": list(self.faults)}

    def sentence(self) -> str:
        """How far a bundle without a fault can be believed."""
        if self.signed_by is None:
            return "The bundle is whole, and unsigned: whoever changed all three files would not be found."
        if not self.trusted:
            return f"The bundle is whole and signed by {self.signed_by}; whose key that is was not checked: add --trusted-key."
        return f"The bundle is whole and signed by {self.signed_by}, which is trusted."


def html(document: Mapping[str, Any]) -> str:
    """The report for people: one page that loads nothing. The same document gives the same page."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pipelines"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["ordered"] = _ordered
    return environment.get_template("compliance.html").render(report=document)


def _ordered(rows: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """A row's names and values as people read them, not as canonical JSON sorts them; what is not in the order comes last."""
    places = {name: place for place, name in enumerate(_ORDER)}
    return sorted(rows.items(), key=lambda pair: (places.get(pair[0], len(places)), pair[0]))


def key_of(file: Path | None) -> Ed25519Key | None:
    """The key that signs, None if none is named; UsageError if it is no Ed25519 private key."""
    if file is None:
        return None
    key = signing_key(key_in(file), str(file))
    if not isinstance(key, Ed25519Key):
        raise UsageError(f"{file} is no Ed25519 private key in PEM; `openssl genpkey -algorithm ed25519` makes one")
    return key


def check_free(folder: Path) -> None:
    """UsageError unless a bundle can be written there: the folder is not there yet, or is empty."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not an empty folder; name one that is empty or not there yet")


def write(folder: Path, document: Mapping[str, Any], key: Ed25519Key | None) -> dict[str, str]:
    """Write a bundle, all of it or nothing; the SHA-256 of its files by name. UsageError if the folder cannot be written."""
    check_free(folder)
    # The page is made of what was written, not of what was meant.
    report = canonical(document)
    files = {REPORT: report.encode(), PAGE: html(json.loads(report)).encode()}
    files[SIGNATURE] = signature_of(files, key)
    part = folder.with_name(folder.name + ".part")
    try:
        part.mkdir(parents=True)
        for name, data in files.items():
            with (part / name).open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        part.rename(folder)  # an empty folder gives way
    except OSError as error:
        if not isinstance(error, FileExistsError):
            shutil.rmtree(part, ignore_errors=True)
        raise UsageError(f"{folder} cannot be written: {error.strerror} ({error.filename}); name another folder") from None
    return _hashes(files)


def signature_of(files: Mapping[str, bytes], key: Ed25519Key | None) -> bytes:
    """The text of report.sig: all of it but the signature itself is what is signed."""
    said = {
        "format": FORMAT,
        "files": _hashes(files),
        "key_id": None if key is None else key.key_id,
        "public_key": None if key is None else key.public.pem.decode(),
        "signature": None,
    }
    return canonical(said if key is None else said | {"signature": key.sign(_signed(said))}).encode()


def _signed(said: Mapping[str, Any]) -> bytes:
    return b"leofric compliance bundle 1\n" + canonical(dict(said) | {"signature": None}).encode()


def _hashes(files: Mapping[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(files[name]).hexdigest() for name in (REPORT, PAGE)}


def check(folder: Path, trusted: Path | None) -> Checked:
    """Whether a bundle is as it was made; ``trusted`` is a file with an Ed25519 key. UsageError if the folder or the key cannot be read."""
    key = None if trusted is None else _public(trusted)
    files, faults = {}, []
    for name in (REPORT, PAGE, SIGNATURE):
        try:
            files[name] = (folder / name).read_bytes()
        except FileNotFoundError:
            faults.append(f"{name} is not there")
        except OSError as error:
            raise UsageError(f"{folder / name} cannot be read: {error.strerror}; name the folder of a bundle") from None
    if len(faults) > 2:
        raise UsageError(f"{folder} is no bundle of evidence: it has none of {REPORT}, {PAGE}, {SIGNATURE}")
    if faults:
        return Checked(tuple(faults))
    said = _said(files[SIGNATURE])
    if said is None:
        return Checked((f"{SIGNATURE} is not as it was written",))
    faults = [f"{name} is not as it was written" for name, digest in _hashes(files).items() if said["files"].get(name) != digest]
    faults += [] if faults else _page_faults(files, said["key_id"])
    faults += _signature_faults(said, key)
    return Checked(tuple(faults), said["key_id"], key is not None and not faults)


def _public(file: Path) -> Ed25519Public:
    key = checking_key(key_in(file), str(file))
    if isinstance(key, Ed25519Key):
        return key.public
    if not isinstance(key, Ed25519Public):
        raise UsageError(f"{file} is no Ed25519 key in PEM; `openssl pkey -pubout` makes the public half of a private one")
    return key


def _said(data: bytes) -> dict[str, Any] | None:
    """What report.sig says; None unless it is written in the one way that it can be."""
    try:
        said = json.loads(data)
        whole = canonical(said).encode() == data and said.keys() == _SAYS and said["files"].keys() == {REPORT, PAGE}
    except (ValueError, AttributeError, TypeError):
        return None
    of_key = [said["key_id"], said["public_key"], said["signature"]] if whole else []
    texts = sum(isinstance(one, str) for one in of_key)
    return said if whole and said["format"] == FORMAT and texts in {0, 3} and (texts or of_key == [None] * 3) else None


def _page_faults(files: Mapping[str, bytes], key_id: str | None) -> list[str]:
    """Whether the report knows its signer, and the page is what this version makes of it; of another version's only the hash can say."""
    try:
        document = json.loads(files[REPORT])
        if document["signed_by"] != key_id:
            return [f"{REPORT} says that its signature is by {document['signed_by']}, {SIGNATURE} is by {key_id}"]
        if document["made_by_version"] != version("leofric") or html(document).encode() == files[PAGE]:
            return []
    except (ValueError, KeyError, TypeError, jinja2.UndefinedError):
        return [f"{REPORT} is no report"]
    return [f"{PAGE} is not made of {REPORT}"]


def _signature_faults(said: Mapping[str, Any], trusted: Ed25519Public | None) -> list[str]:
    if said["signature"] is None:
        return [] if trusted is None else ["it is unsigned, and a trusted key was named"]
    try:
        carried = checking_key(said["public_key"].encode(), SIGNATURE)
    except UsageError:
        return [f"{SIGNATURE} is not as it was written: its key is none"]
    # Hexadecimal can be written in two cases, and was in one.
    if carried.key_id != said["key_id"] or not _holds(carried, said):
        return [f"the signature of {SIGNATURE} does not hold"]
    if trusted is not None and (trusted.key_id != carried.key_id or not _holds(trusted, said)):
        return [f"it is signed by {carried.key_id}, and the key that is trusted is {trusted.key_id}"]
    return []


def _holds(key: Any, said: Mapping[str, Any]) -> bool:
    return bool(said["signature"] == said["signature"].lower() and key.holds(_signed(said), said["signature"]))
