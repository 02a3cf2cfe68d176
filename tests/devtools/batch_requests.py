"""Lines for batches, and a client of the simulator's batches: what the tests of them share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import httpx
import orjson

from devtools.simulator import ControlClient

V1 = "/east/openai/v1"
CHAT = "/v1/chat/completions"
DEPLOYMENT = "gpt-4o-mini-batch"
LONG_S = 3600.0


def request(custom_id: str, text: str = "hello", url: str = CHAT, model: str = DEPLOYMENT, **body: Any) -> Any:
    """One line of an input file."""
    if url.endswith("chat/completions"):
        asked: dict[str, Any] = {"messages": [{"role": "user", "content": text}]}
    else:
        asked = {"input": text}
    return {"custom_id": custom_id, "method": "POST", "url": url, "body": {"model": model, **asked, **body}}


def requests(count: int, **more: Any) -> list[Any]:
    return [request(f"id-{at}", f"number {at}", **more) for at in range(count)]


def jsonl(lines: Iterable[Any]) -> bytes:
    return b"".join(orjson.dumps(line) + b"\n" for line in lines)


class Batches:
    """The batches of the resource east, over HTTP."""

    def __init__(self, http: httpx.Client, sim: ControlClient) -> None:
        self.http, self.sim = http, sim

    def file(self, data: bytes, purpose: str = "batch") -> str:
        response = self.http.post(V1 + "/files", files={"file": ("in.jsonl", data)}, data={"purpose": purpose})
        return str(response.json()["id"])

    def post(self, file_id: str, **body: Any) -> httpx.Response:
        asked = {"input_file_id": file_id, "endpoint": CHAT, "completion_window": "24h", **body}
        return self.http.post(V1 + "/batches", json=asked)

    def create(self, lines: Iterable[Any] | bytes, **body: Any) -> str:
        data = lines if isinstance(lines, bytes) else jsonl(lines)
        response = self.post(self.file(data), **body)
        assert response.status_code == 200, response.text
        return str(response.json()["id"])

    def get(self, batch_id: str) -> dict[str, Any]:
        shown: dict[str, Any] = self.http.get(f"{V1}/batches/{batch_id}").json()
        return shown

    def ended(self, lines: Iterable[Any] | bytes, **body: Any) -> dict[str, Any]:
        """A batch that was run to its end."""
        batch_id = self.create(lines, **body)
        self.sim.advance(LONG_S)
        return self.get(batch_id)

    def content(self, file_id: str) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self.http.get(f"{V1}/files/{file_id}/content").content.splitlines()]

    def output(self, batch: dict[str, Any]) -> list[dict[str, Any]]:
        return self.content(batch["output_file_id"])

    def failures(self, batch: dict[str, Any]) -> list[dict[str, Any]]:
        return self.content(batch["error_file_id"])


def ids(lines: list[dict[str, Any]]) -> list[str]:
    return [line["custom_id"] for line in lines]
