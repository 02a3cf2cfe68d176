from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import pytest
from starlette.requests import Request

from shared.errors import BadRequest, ClientClosedRequest, PayloadTooLarge
from shared.operations.body import read_json


class Sender:
    """A client that sends these parts; `asked` counts how many the server took."""

    def __init__(self, *parts: bytes, length: str | None = None, leaves: bool = False) -> None:
        self.asked = 0
        self._parts = parts
        self._leaves = leaves
        headers = [] if length is None else [(b"content-length", length.encode("latin-1"))]
        self.request = Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, self.receive)

    async def receive(self) -> MutableMapping[str, Any]:
        if self.asked == len(self._parts) and self._leaves:
            return {"type": "http.disconnect"}
        part = self._parts[self.asked]
        self.asked += 1
        return {"type": "http.request", "body": part, "more_body": self.asked < len(self._parts) or self._leaves}


async def test_an_object_is_read() -> None:
    assert await read_json(Sender(b'{"a":1}').request, 100) == {"a": 1}


async def test_it_may_come_in_parts() -> None:
    assert await read_json(Sender(b'{"a', b'":', b"", b"1}").request, 100) == {"a": 1}


async def test_it_may_be_as_large_as_the_limit() -> None:
    assert await read_json(Sender(b'{"a":1}').request, 7) == {"a": 1}


async def test_a_body_declared_too_large_is_not_read_at_all() -> None:
    sender = Sender(b"x", length="101")
    with pytest.raises(PayloadTooLarge, match="limit of 100 bytes"):
        await read_json(sender.request, 100)
    assert sender.asked == 0


async def test_a_length_of_absurdly_many_digits_is_too_large() -> None:
    with pytest.raises(PayloadTooLarge):
        await read_json(Sender(b"{}", length="9" * 5000).request, 100)


async def test_a_body_that_grows_too_large_is_read_no_further() -> None:
    sender = Sender(*[b"x" * 40] * 10)
    with pytest.raises(PayloadTooLarge):
        await read_json(sender.request, 100)
    assert sender.asked == 3


async def test_a_body_larger_than_declared_is_found_out() -> None:
    with pytest.raises(PayloadTooLarge):
        await read_json(Sender(b"x" * 101, length="5").request, 100)


@pytest.mark.parametrize("length", ["", "many", "-5", "1e3", "²"])
async def test_a_length_that_is_no_number_is_ignored(length: str) -> None:
    assert await read_json(Sender(b'{"a":1}', length=length).request, 100) == {"a": 1}


@pytest.mark.parametrize("body", [b"", b"  \r\n"])
async def test_an_empty_body_says_so(body: bytes) -> None:
    with pytest.raises(BadRequest, match="is empty") as caught:
        await read_json(Sender(body).request, 100)
    assert caught.value.code == "invalid_json"


@pytest.mark.parametrize(
    "body", [b"{", b"{'a':1}", b"\xff\xfe{}", b'{"a":NaN}', b"a=1", b"[" * 2000, b'{"a":"\\ud800"}']
)
async def test_what_is_no_json_says_so(body: bytes) -> None:
    with pytest.raises(BadRequest, match="is not valid JSON") as caught:
        await read_json(Sender(body).request, 5000)
    assert caught.value.code == "invalid_json"


@pytest.mark.parametrize("body", [b"[]", b"null", b'"text"', b"7", b"true"])
async def test_json_that_is_no_object_says_so(body: bytes) -> None:
    with pytest.raises(BadRequest, match="must be a JSON object"):
        await read_json(Sender(body).request, 100)


async def test_a_client_that_leaves_while_sending_has_closed_its_request() -> None:
    with pytest.raises(ClientClosedRequest):
        await read_json(Sender(b'{"a"', leaves=True).request, 100)
