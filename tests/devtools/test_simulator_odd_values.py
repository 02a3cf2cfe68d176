"""No value of the wrong kind, in any field of any operation, breaks the simulator: it answers, as Azure would."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from devtools.serving import serving
from devtools.simulator import create_app

ODD: tuple[Any, ...] = (
    None, 5, -1, 1.5, True, "x", [], [5], [None], [[]], {}, {"type": []}, [{"type": {}}], [{"role": []}],
    [{"role": "user", "content": [5]}], [{"type": "item_reference", "id": {}}], [{"type": "function"}],
    {"format": {"type": []}}, {"voice": [], "format": {}}, 10**18,
)  # fmt: skip
BODIES: dict[str, dict[str, Any]] = {
    "completions": dict.fromkeys(
        ("suffix", "max_tokens", "temperature", "n", "stream_options", "logprobs", "echo", "stop", "best_of", "seed")
    ) | {"model": "gpt-35-turbo-instruct", "prompt": "hello"},
    "embeddings": {"model": "text-embedding-3-small", "input": "hi", "dimensions": None, "encoding_format": None},
    "chat/completions": dict.fromkeys(
        ("tools", "tool_choice", "response_format", "n", "stop", "stream_options", "functions", "max_tokens",
         "data_sources", "logprobs")
    ) | {"model": "azure-openai-4o-audio", "messages": [{"role": "user", "content": "Paris"}],
         "modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "pcm16"}},
    "responses": dict.fromkeys(
        ("instructions", "previous_response_id", "background", "store", "stream_options", "include",
         "max_output_tokens", "metadata", "parallel_tool_calls", "reasoning", "temperature", "text", "tool_choice")
    ) | {"model": "gpt-5", "input": "calculate in Paris",
         "tools": [{"type": "function", "name": "f"}, {"type": "code_interpreter", "container": {"type": "auto"}}]},
    "responses/compact": {"model": "gpt-5", "input": "hello", "previous_response_id": None, "instructions": None},
    "responses/input_tokens": {"model": "gpt-5", "input": "hello", "previous_response_id": None, "tools": None},
    "audio/speech?api-version=preview": dict.fromkeys(("speed", "instructions", "stream_format"))
    | {"model": "gpt-4o-mini-tts", "input": "hello", "voice": "nova", "response_format": "mp3"},
    "images/generations?api-version=preview": dict.fromkeys(
        ("n", "size", "quality", "output_format", "output_compression", "background", "partial_images", "user")
    ) | {"model": "gpt-image-1", "prompt": "a weir"},
}  # fmt: skip


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with serving(create_app()) as url, httpx.Client(base_url=url, headers={"api-key": "sim-key-east"}) as client:
        yield client


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", BODIES)
def test_odd_values_are_answered(http: httpx.Client, path: str, stream: bool) -> None:
    body = {name: value for name, value in BODIES[path].items() if value is not None}
    if stream:
        body["stream"] = True
    for name in BODIES[path]:
        for odd in ODD:
            response = http.post(f"/east/openai/v1/{path}", json=body | {name: odd})
            assert response.status_code < 500, (name, odd)
