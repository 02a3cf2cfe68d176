"""What the host's reverse proxy (YARP) does to headers between the client and the worker, both ways."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote

from devtools.serving import Scope

Headers = Sequence[tuple[bytes, bytes]]

# The worker's own address. Nobody listens there: a link that an app builds from Host is as broken here as in Azure.
WORKER_HOST = b"127.0.0.1:28888"

_HOP_BY_HOP = frozenset(
    (
        b"connection", b"keep-alive", b"upgrade", b"te", b"alt-svc", b"close", b"alpn", b"http2-settings",
        b"upgrade-insecure-requests", b"security-scheme", b"strict-transport-security", b"proxy-authenticate",
        b"proxy-authentication-info", b"proxy-authorization", b"proxy-connection", b"proxy-features",
        b"proxy-instruction",
    )
)  # fmt: skip
_SET_BY_HOST = frozenset(
    (
        b"host", b"forwarded", b"x-ms-invocation-id", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host",
        b"x-forwarded-prefix",
    )
)  # fmt: skip
_DROPPED_FROM_REQUEST = _HOP_BY_HOP | _SET_BY_HOST


def worker_headers(headers: Headers, peer: bytes, scheme: bytes, invocation_id: str) -> list[tuple[bytes, bytes]]:
    """The request's headers as the worker receives them; names are lower case, as ASGI has them."""
    host = b""
    kept = []
    for header in headers:
        if header[0] not in _DROPPED_FROM_REQUEST:
            kept.append(header)
        elif header[0] == b"host":
            host = header[1]
    kept += (
        (b"host", WORKER_HOST),
        (b"x-forwarded-for", peer),
        (b"x-forwarded-proto", scheme),
        (b"x-forwarded-host", host),
        (b"x-ms-invocation-id", invocation_id.encode()),
    )
    return kept


def worker_scope(scope: Scope, params: dict[str, str]) -> Scope:
    """The ASGI scope of the worker's side: the path is already decoded, `%2F` included, as Azure's front end does."""
    peer = scope["client"][0] if scope.get("client") else "127.0.0.1"
    worker = dict(scope)
    worker["headers"] = worker_headers(scope["headers"], peer.encode(), scope["scheme"].encode(), str(uuid.uuid4()))
    worker["client"] = (peer, 0)
    worker["path_params"] = params
    worker["state"] = {}
    if b"%" in scope["raw_path"]:
        worker["raw_path"] = quote(scope["path"], safe="/:@!$&'()*+,;=~").encode()
    return worker


def encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """`customHeaders` of host.json as ASGI headers."""
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


def client_headers(headers: Iterable[tuple[bytes, bytes]], custom: Headers) -> list[tuple[bytes, bytes]]:
    """The response's headers as the client receives them; a custom header never replaces the function's own."""
    kept = [header for header in headers if header[0].lower() not in _HOP_BY_HOP]
    if custom:
        present = {name.lower() for name, _ in kept}
        kept += [header for header in custom if header[0] not in present]
    return kept
