"""shared/catalog/carried.py: which fields of a request decide the version that it is sent with."""

from __future__ import annotations

from typing import Any

import pytest

from shared.catalog.api_versions import FIELDS, FORCED, effective
from shared.catalog.carried import NOTHING, carried, fields

CHAT = "chat_completions"


@pytest.mark.parametrize(
    ("operation", "body", "found"),
    [
        (CHAT, {"messages": [], "temperature": 1, "tools": [], "stream": True, "user": "u"}, set()),
        (CHAT, {"modalities": ["text"], "audio": {}}, {"modalities", "audio"}),
        (CHAT, {"reasoning_effort": None}, {"reasoning_effort"}),
        (CHAT, {"store": False, "metadata": {}}, {"store", "metadata"}),
        (CHAT, {"response_format": {"type": "json_schema"}}, {"response_format.json_schema"}),
        (CHAT, {"response_format": {"type": "json_object"}}, set()),
        (CHAT, {"response_format": "json_schema"}, set()),
        (CHAT, {"prediction": {}, "response_format": {"type": "json_schema"}},
         {"prediction", "response_format.json_schema"}),
        ("embeddings", {"input": "a", "dimensions": 8}, {"dimensions"}),
        ("embeddings", {"input": "a", "encoding_format": "base64"}, set()),
        ("audio_transcriptions", {"timestamp_granularities[]": ["word"]}, {"timestamp_granularities"}),
        ("audio_speech", {"response_format": "pcm"}, {"response_format.wav"}),
        ("audio_speech", {"response_format": "mp3"}, set()),
        ("responses", {"reasoning": {"effort": "low", "summary": "auto"}}, {"reasoning.summary"}),
        ("responses", {"reasoning": {"effort": "low"}}, set()),
        ("responses", {"metadata": {}}, set()),
        ("images_generations", {"metadata": {}}, set()),
    ],
)  # fmt: skip
def test_fields_that_not_every_version_has_are_found(operation: str, body: dict[str, Any], found: set[str]) -> None:
    assert carried(operation, body) == found


def test_a_usual_request_carries_nothing_and_makes_nothing_new() -> None:
    assert carried(CHAT, {"model": "gpt-4o", "messages": [], "stream": True}) is NOTHING


def test_every_field_that_is_looked_for_is_dated() -> None:
    assert fields() <= set(FIELDS)


@pytest.mark.parametrize(
    ("version", "operation", "field", "expected"),
    [
        ("2024-10-21", CHAT, "modalities", "2025-01-01-preview"),
        ("2024-10-21", CHAT, "prediction", "2025-01-01-preview"),
        ("2024-10-21", CHAT, "reasoning_effort", "2024-12-01-preview"),
        ("2024-10-21", CHAT, "store", "2024-12-01-preview"),
        ("2024-10-21", CHAT, "user_security_context", "2024-12-01-preview"),
        ("2024-10-21", CHAT, "response_format.json_schema", "2024-10-21"),
        ("2024-06-01", CHAT, "response_format.json_schema", "2024-09-01-preview"),
        ("2024-10-21", CHAT, "verbosity", "2025-04-01-preview"),
        ("2025-02-01-preview", CHAT, "audio", "2025-02-01-preview"),
        ("v1", CHAT, "audio", "v1"),
        ("2024-02-01", "audio_transcriptions", "timestamp_granularities", "2024-04-01-preview"),
        ("2024-10-21", "audio_transcriptions", "timestamp_granularities", "2024-10-21"),
        ("2024-02-15-preview", "audio_speech", "response_format.wav", "2024-04-01-preview"),
        ("2023-05-15", "embeddings", "dimensions", "2024-03-01-preview"),
        ("2024-06-01", "embeddings", "dimensions", "2024-06-01"),
        ("2025-03-01-preview", "responses", "reasoning.summary", "2025-04-01-preview"),
    ],
)
def test_the_lowest_version_that_has_it_is_taken(version: str, operation: str, field: str, expected: str) -> None:
    assert effective(version, operation, "upgrade", (*FORCED[operation], field)).version == expected
