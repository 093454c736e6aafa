"""Requests by https alone, also where one address leads to another."""

import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

TIMEOUT_SECONDS = 20.0


class _HttpsOnly(urllib.request.HTTPRedirectHandler):
    """Follows a redirection to https alone."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        _check(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


_OPENER = urllib.request.build_opener(_HttpsOnly)


def request(url: str, headers: Mapping[str, str]) -> Any:
    """The answer to a request, open to be read.

    Raises:
        OSError: if there is none, or the address is or leads to one without https; http is for this machine.
    """
    _check(url)
    asked = urllib.request.Request(url, headers=dict(headers))  # noqa: S310 - it is https
    return _OPENER.open(asked, timeout=TIMEOUT_SECONDS)


def _check(url: str) -> None:
    address = urllib.parse.urlsplit(url)
    if address.scheme != "https" and address.hostname not in ("127.0.0.1", "localhost"):
        raise OSError(f"{url} is no https address")
