"""Every error that Leofric raises on purpose.

LeofricError
├── UsageError            the caller asked for something that cannot be (exit code 2)
├── FileRejected          one landing file is not what it says; the other files go on (exit code 1)
├── BoundaryViolated      a table is about to get rows that its contract does not allow: a fault of Leofric (exit code 1)
├── LakeError             the lake cannot be used as it is
│   ├── LakeBusy          another run holds the lake
│   ├── LakeNotFound      there is no lake, table or run at that place
│   └── LakeDamaged       a file of a table cannot be read
├── AccessDenied          somebody may not do that; nothing changed (exit code 3)
├── TokenRefused          a token that says who somebody is does not hold (exit code 1; commands deny, which is 3)
├── AccessRefused         a role cannot be given or taken so; nothing changed (exit code 1)
├── ErasureRefused        a person's data cannot be erased so, or somebody else decided at the same time (exit code 1)
├── LineageNotTold        a receiver of lineage events is away; they wait, and no run fails of it
├── ReviewRefused         a decision about a quarantined record cannot be made; nothing changed (exit code 1)
│   ├── FourEyesNeeded    somebody else must decide
│   └── UnknownRecord     quarantine has no such record
├── ModelError            a model is not there, is damaged, or may not become the champion (exit code 1)
├── AuditError            the audit trail cannot be written, or is not what was written (exit code 1)
├── KeyStoreError         the keys of a sealed lake's data subjects cannot be had (exit code 1)
└── NotReconciled         control totals differ: nothing was published (exit code 1)

Each pickles, since Ray carries errors between processes: the arguments of ``__init__`` are the arguments of the
exception.
"""


class LeofricError(Exception):
    """The root: catch this to catch every error that Leofric raises on purpose."""


class UsageError(LeofricError):
    """The call's words are wrong: an unknown zone, an empty folder, a missing option."""


class FileRejected(LeofricError):
    """A landing file is rejected whole.

    ``code`` is stable and for programs, ``message`` names the cause and the cure and is for people.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class BoundaryViolated(LeofricError):
    """Rows that are about to be written are not what the table's contract says; nothing is published."""


class LakeError(LeofricError):
    """The lake cannot be used as it is."""


class LakeBusy(LakeError):
    """Another run holds the lake; start again when it has ended."""


class LakeNotFound(LakeError):
    """There is no lake, table or run at the place that was named."""


class LakeDamaged(LakeError):
    """A file that a table names is not there, or is not what was written."""


class AccessDenied(LeofricError):
    """Who asks has no role that may do this; the sentence names the role and who can grant it."""


class TokenRefused(LeofricError):
    """A signed identity does not hold; the sentence says why, and has nothing of the token in it."""


class AccessRefused(LeofricError):
    """A role cannot be granted or revoked as it was asked; nothing was changed."""


class LineageNotTold(LeofricError):
    """A receiver of OpenLineage events could not be told; what it missed is told later."""


class ReviewRefused(LeofricError):
    """A decision about a quarantined record cannot be made: it is unknown, closed, or somebody else's turn. Nothing was changed."""


class FourEyesNeeded(ReviewRefused):
    """Somebody may not decide about what is their own proposal: somebody else must."""


class UnknownRecord(ReviewRefused):
    """No record in quarantine has this id, or more than one has this beginning of one."""


class HoldRefused(LeofricError):
    """A legal hold cannot be released, or somebody else decided about one at the same time. Nothing was changed."""


class ErasureRefused(LeofricError):
    """A decision about an erasure cannot be made, or somebody else decided at the same time. Nothing was decided."""


class ModelError(LeofricError):
    """A model cannot be used or promoted as it is."""


class AuditError(LeofricError):
    """The audit trail cannot be read or written, or an entry of it is none."""


class KeyStoreError(LeofricError):
    """The key store of a sealed lake is not there, is another lake's, or cannot be opened by the key that the settings name."""


class NotReconciled(LeofricError):
    """Two independent counts of the same records or pence differ; nothing was published."""
