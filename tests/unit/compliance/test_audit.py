import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.compliance import anchors, audit_export
from app.compliance.audit import TERMS, Action, Entry, Head, Signer, chained, entry_of, select
from app.compliance.audit_check import Kind, KnownHead, verify
from app.errors import AuditError, UsageError
from tests.support.audit import NOW, OTHER_SECRET, SECRET, chain, ed25519_key, event, head_of

_TRUSTED = anchors.by_id([SECRET])


def test_every_action_has_its_terms() -> None:
    assert set(TERMS) == set(Action)
    assert all(terms.frameworks and terms.retention.startswith("P") for terms in TERMS.values())


def test_a_chain_that_nobody_touched_holds() -> None:
    entries = chain([1, 3, 2])
    found = verify(entries, _TRUSTED, [KnownHead(head_of(entries[:2]), "a note"), KnownHead(head_of(entries), "a note")])
    assert (found.fault, found.entries, found.anchored_to, found.head) == (None, 6, 6, head_of(entries))
    assert [entry.sequence for entry in entries if entry.key_id] == [1, 4, 6]


@pytest.mark.parametrize("key", [SECRET, ed25519_key()])
def test_both_kinds_of_keys_anchor(key: anchors.HmacKey | anchors.Ed25519Key) -> None:
    entries = chain([2, 2], key)
    assert verify(entries, anchors.by_id([key])).anchored_to == 4
    forged = replace(entries[3], signature="00" * 64)
    fault = verify([*entries[:3], forged], anchors.by_id([key])).fault
    assert fault is not None
    assert (fault.sequence, fault.kind) == (4, Kind.REWRITTEN)


def test_the_public_half_checks_what_the_private_half_signed() -> None:
    key = ed25519_key()
    public = anchors.checking_key(key.public.pem, "key.pem")
    assert verify(chain([3], key), anchors.by_id([public])).anchored_to == 3


def test_keys_may_change_in_the_course_of_a_trail() -> None:
    first = chain([2])
    entries = [*first, *chained(head_of(first), [event(7)], OTHER_SECRET)]
    assert verify(entries, anchors.by_id([SECRET, OTHER_SECRET])).fault is None
    found = verify(entries, anchors.by_id([OTHER_SECRET]))
    assert (found.fault, found.unknown_keys) == (None, {SECRET.key_id})


def test_without_a_key_a_chain_that_was_made_anew_looks_whole_unless_its_head_is_known() -> None:
    honest = chain([5], None)
    rewritten = chained(Head(), [event(number, reason="another") for number in range(5)], None)
    assert verify(rewritten, {}).fault is None
    fault = verify(rewritten, {}, [KnownHead(head_of(honest), "the auditor's note")]).fault
    assert fault is not None
    assert fault.kind is Kind.REWRITTEN
    assert "the auditor's note" in fault.sentence


@given(st.text(), st.text(), st.dictionaries(st.text(), st.integers() | st.text() | st.none()))
def test_an_entry_is_the_same_after_json(about: str, reason: str, details: dict[str, object]) -> None:
    (entry,) = chained(Head(), [event(1, object=about, reason=reason, details=details)], SECRET)
    again = entry_of(json.loads(json.dumps(entry.document())))
    assert again == entry
    assert again.made_hash() == entry.hash


def test_names_that_are_no_utf8_are_kept_readably() -> None:
    (entry,) = chained(Head(), [event(1, object="caf\udce9", reason="a\0b")], None)
    assert (entry.object, entry.reason) == ("caf?", "a?b")


def test_details_have_a_limit_and_instants_a_zone() -> None:
    with pytest.raises(AuditError, match="details"):
        event(1, details={"all": "x" * 70_000})
    with pytest.raises(AuditError, match="JSON cannot say"):
        event(1, details={"share": float("nan")})
    with pytest.raises(AuditError, match="zone"):
        event(1, at=datetime(2026, 1, 1))


@pytest.mark.parametrize(
    ("name", "value"), [("sequence", "1"), ("sequence", True), ("actor", 7), ("at", "yesterday"), ("frameworks", None), ("reason", ["x"])]
)
def test_what_is_no_entry_is_refused(name: str, value: object) -> None:
    with pytest.raises(AuditError, match="no audit entry"):
        entry_of(chain([1])[0].document() | {name: value})


def test_an_export_holds_and_its_closing_line_is_signed() -> None:
    entries = chain([2, 3])
    lines = list(audit_export.lines(entries, NOW, SECRET))
    assert audit_export.check(lines, _TRUSTED).fault is None
    assert json.loads(lines[-1])["sequence"] == 5


def _without_closing(lines: list[str]) -> list[str]:
    return lines[:-1]


def _shorter(lines: list[str]) -> list[str]:
    closing = json.loads(lines[-1]) | {"sequence": 1, "hash": json.loads(lines[0])["hash"]}
    return [lines[0], json.dumps(closing, sort_keys=True, separators=(",", ":"))]


def _cut(lines: list[str]) -> list[str]:
    return [*lines[:2], lines[-1]]


def _unreadable(lines: list[str]) -> list[str]:
    return [*lines[:2], lines[2][:-5], *lines[3:]]


def _continued(lines: list[str]) -> list[str]:
    return [*lines, lines[0]]


@pytest.mark.parametrize(
    ("tamper", "at", "kind"),
    [
        (_without_closing, 6, Kind.TRUNCATED),
        (_shorter, 2, Kind.REWRITTEN),
        (_cut, 3, Kind.TRUNCATED),
        (_unreadable, 3, Kind.EDITED),
        (_continued, 6, Kind.EDITED),
    ],
)
def test_a_tampered_export_is_found(tamper: Callable[[list[str]], list[str]], at: int, kind: Kind) -> None:
    lines = tamper(list(audit_export.lines(chain([1] * 5), NOW, SECRET)))
    fault = audit_export.check(lines, _TRUSTED).fault
    assert fault is not None
    assert (fault.sequence, fault.kind) == (at, kind)


def test_entries_are_selected_by_what_is_known_of_them() -> None:
    entries = chain([len(Action)])

    def found(**by: object) -> set[str]:
        return {entry.action for entry in select(entries, **by)}  # type: ignore[arg-type]

    assert found(action="model") == {"model.train", "model.promote", "model.rollback"}
    assert found(action="run") == {"run"}
    assert found(actor="nobody") == set()
    assert len(select(entries, since=entries[10].at)) == len(Action) - 10
    assert len(select(entries, about="object-1")) == sum(str(number).startswith("1") for number in range(len(Action)))


def test_keys_are_read_and_what_is_none_is_said(tmp_path: Path) -> None:
    assert isinstance(anchors.signing_key(ed25519_key().pem, "a file"), anchors.Ed25519Key)
    secret = anchors.signing_key(b"0123456789abcdef0123456789abcdef\n", "a file")
    assert secret.key_id == SECRET.key_id
    assert "0123456789" not in repr(secret)
    for bad, sentence in (
        (b"short", "at least 32 bytes"),
        (b"-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----", "cannot be read"),
        (ed25519_key().public.pem, "cannot be read|no Ed25519"),
    ):
        with pytest.raises(UsageError, match=sentence):
            anchors.signing_key(bad, str(tmp_path))
    with pytest.raises(UsageError, match="cannot be read"):
        anchors.checking_key(b"-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----", "a file")


def test_a_key_that_fails_to_sign_leaves_no_half_chain() -> None:
    class Away:
        key_id = "away"

        def sign(self, document: bytes) -> str:
            raise AuditError("the key does not answer")

    away: Signer = Away()
    with pytest.raises(AuditError, match="does not answer"):
        chained(Head(), [event(1)], away)
    assert isinstance(chained(Head(), [event(1)], None)[0], Entry)
