"""A key store in memory, for tests of erasure: of a lake whose tables write a party as its identifier."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class FakeSubjects:
    """Knows these identifiers until they are destroyed."""

    known: set[str]
    destroyed: list[str] = field(default_factory=list)
    backup_days: int = 35

    def token(self, identifier: str) -> str | None:
        return identifier if identifier in self.known else None

    def related(self, identifier: str) -> list[str]:
        return sorted(one for one in self.known if one.startswith("GB") and one.endswith(identifier.replace("-", "")))

    def pseudonym(self, text: str) -> str:
        return f"p{sum(text.encode()):x}"

    def destroy(self, identifiers: Sequence[str]) -> None:
        missing = set(identifiers) - self.known
        assert not missing, missing
        self.known -= set(identifiers)
        self.destroyed += identifiers
