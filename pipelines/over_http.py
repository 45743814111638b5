"""What the command line asks over HTTP. Redirects are not followed: what is asked comes from the place that was named, or not at all."""

from http.client import HTTPException
from typing import Any, Final
from urllib.request import HTTPRedirectHandler, ProxyHandler, build_opener

from app.compliance.identity import LARGEST_JWKS, is_here, jwks_of

_SECONDS: Final = 3.0


class NoRedirects(HTTPRedirectHandler):
    """A redirect is an error."""

    def redirect_request(self, *_: Any) -> None:
        return None


def jwks(url: str) -> dict[str, object]:
    """The public keys that an issuer of tokens publishes; OSError if it does not answer, ValueError if it answers with something else."""
    # The proxies of the environment are for what is outside.
    opener = build_opener(NoRedirects, ProxyHandler({} if is_here(url) else None))
    try:
        with opener.open(url, timeout=_SECONDS) as answer:
            data = answer.read(LARGEST_JWKS + 1)
    except HTTPException as error:
        raise OSError(f"{url} broke off: {error!r}") from None
    return jwks_of(data, url)
