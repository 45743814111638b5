"""How often a client may call."""

import logging
import re
import time
from typing import Final

from limits import RateLimitItem, parse
from limits.errors import ConfigurationError, StorageError
from limits.storage import MemoryStorage, storage_from_string
from limits.storage import Storage as LimitStorage
from limits.strategies import FixedWindowRateLimiter

from app.errors import UsageError

_RATE = re.compile(r"[1-9][0-9]{0,8} ?/ ?(?:second|minute|hour|day)")
_REDIS = ("redis://", "rediss://", "valkey://", "valkeys://")
_REDIS_SECONDS = 0.25
PAUSE_SECONDS: Final = 5.0

_log = logging.getLogger(__name__)


class Limiter:
    """Counts each client's calls, in this process (``memory://``) or, in a Redis or Valkey, for all processes together.

    While that does not answer, each process counts for itself: payments are not refused because a counter is away. It is asked again
    after ``PAUSE_SECONDS``.
    """

    # Fixed windows: a call costs about 3 µs in memory, and a client two numbers; in Redis it is one counter. A moving window costs
    # about 5 µs, but keeps an object for every call of the window and copies the lists of them while calls go on, so that some take
    # 1 ms. What it would buy is not needed: a client that calls late in one window and early in the next may have twice its rate for a
    # moment, which the service bears. A window begins with the client's first call, so clients' windows do not all turn over at once.

    def __init__(self, rate: str, storage_uri: str = "memory://") -> None:
        """UsageError if the rate or the URI cannot be understood."""
        self._item = _item(rate)
        self._here = FixedWindowRateLimiter(MemoryStorage())
        self._shared = None if storage_uri == "memory://" else FixedWindowRateLimiter(_redis(storage_uri))
        self._shared_from = 0.0

    @property
    def waits(self) -> bool:
        """Whether ``check`` asks another process, and is no work for an event loop."""
        return self._shared is not None and time.monotonic() >= self._shared_from

    def check(self, client_name: str) -> float | None:
        """Count a call: None if it is allowed, or else in how many seconds one will be."""
        if self._shared is not None and time.monotonic() >= self._shared_from:
            try:
                return self._checked(self._shared, client_name)
            except StorageError as error:
                self._shared_from = time.monotonic() + PAUSE_SECONDS
                _log.warning("rates are counted by each process for itself: the shared counter failed: %r", error.storage_error)
        return self._checked(self._here, client_name)

    def _checked(self, strategy: FixedWindowRateLimiter, client_name: str) -> float | None:
        if strategy.hit(self._item, client_name):
            return None
        return max(strategy.get_window_stats(self._item, client_name).reset_time - time.time(), 0.0)


def _item(rate: str) -> RateLimitItem:
    # The library takes more, and takes it wrongly: of "1/second; 5/minute" only the first, and 0/second refuses everything.
    if _RATE.fullmatch(rate) is None:
        raise UsageError(f"{rate!r} is no rate: write a number, / and second, minute, hour or day, such as 100/second")
    return parse(rate)


def _redis(uri: str) -> LimitStorage:
    scheme = uri.partition("://")[0]
    if not uri.startswith(_REDIS):
        # Only the scheme is repeated: the rest may have a password in it.
        raise UsageError(f"rates cannot be counted in {scheme!r}: write memory://, or redis://host:port/0")
    try:
        storage = storage_from_string(uri, wrap_exceptions=True, socket_timeout=_REDIS_SECONDS, socket_connect_timeout=_REDIS_SECONDS)
    except ConfigurationError:
        package = scheme.removesuffix("s") if scheme != "redis" else scheme
        raise UsageError(f"rates can be counted in {scheme!r} only with the Python package {package}: pip install {package}") from None
    except ValueError as error:
        raise UsageError(f"the {scheme}:// address of the rate counter cannot be read: {error}") from None
    assert isinstance(storage, LimitStorage)  # noqa: S101  # the others are for asyncio, and have other schemes
    return storage
