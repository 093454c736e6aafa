"""Requests by https only, including redirections."""

import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

TIMEOUT_SECONDS = 20.0


class _HttpsOnly(urllib.request.HTTPRedirectHandler):
    """Follows redirections to https only."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        _check(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


_OPENER = urllib.request.build_opener(_HttpsOnly)


def request(url: str, headers: Mapping[str, str]) -> Any:
    """Open an address and return the response, to be read.

    Raises:
        OSError: if the request fails, or the address is not https or redirects elsewhere; http is allowed for
            this machine.
    """
    _check(url)
    asked = urllib.request.Request(url, headers=dict(headers))  # noqa: S310 - checked above
    return _OPENER.open(asked, timeout=TIMEOUT_SECONDS)


def _check(url: str) -> None:
    address = urllib.parse.urlsplit(url)
    if address.scheme != "https" and address.hostname not in ("127.0.0.1", "localhost"):
        raise OSError(f"{url}: not an https address")
