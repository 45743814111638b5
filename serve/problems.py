"""What goes wrong, as callers read it: problem details (RFC 9457). No stack trace ever leaves."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

MEDIA_TYPE: Final = "application/problem+json"


@dataclass(eq=False)  # an exception has to be hashable
class Problem(Exception):
    """A request that is not answered as asked; ``detail`` says what to do."""

    status: HTTPStatus
    detail: str
    more: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> bytes:
        """The document."""
        return json.dumps(
            {"type": "about:blank", "title": self.status.phrase, "status": self.status.value, "detail": self.detail} | dict(self.more)
        ).encode()
