"""shared/catalog/capabilities.py: which row a deployment means, and what the rows say."""

from __future__ import annotations

import json
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.catalog.api_versions import OPERATIONS
from shared.catalog.capabilities import UNKNOWN, Capability, Rule, resolve, rows
from shared.catalog.names import NameTable

FILE = Path(__file__).resolve().parents[2] / "shared" / "catalog" / "capabilities.json"
CHAT, RESPONSES = "chat_completions", "responses"
ALL_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
LOW_HIGH = ("low", "medium", "high")


def row(base_model: str) -> Capability:
    found = resolve(base_model, "any", None)
    assert found.how == "base_model", base_model
    return found.capability


# Microsoft's table of reasoning models (24 February 2026): chat, responses, streaming, parallel tools, efforts
# (None: not stated there), context in, context out.
REASONING = [
    ("o1", True, True, False, False, LOW_HIGH, 200_000, 100_000),
    ("o3-mini", True, True, True, False, LOW_HIGH, 200_000, 100_000),
    ("o3", True, True, True, False, LOW_HIGH, 200_000, 100_000),
    ("o4-mini", True, True, True, False, LOW_HIGH, 200_000, 100_000),
    ("o3-pro", False, True, False, False, LOW_HIGH, 200_000, 100_000),
    ("codex-mini", False, True, True, False, LOW_HIGH, 200_000, 100_000),
    ("gpt-5", True, True, True, True, ("minimal", *LOW_HIGH), 272_000, 128_000),
    ("gpt-5-mini", True, True, True, True, ("minimal", *LOW_HIGH), 272_000, 128_000),
    ("gpt-5-nano", True, True, True, True, ("minimal", *LOW_HIGH), 272_000, 128_000),
    ("gpt-5-pro", False, True, False, False, ("high",), 272_000, 128_000),
    ("gpt-5-codex", False, True, True, True, LOW_HIGH, 272_000, 128_000),
    ("gpt-5.1", True, True, True, True, ("none", *LOW_HIGH), 272_000, 128_000),
    ("gpt-5.1-chat", True, True, True, True, ("medium",), 111_616, 16_384),
    ("gpt-5.1-codex", False, True, True, True, ("none", *LOW_HIGH), 272_000, 128_000),
    ("gpt-5.1-codex-mini", False, True, True, True, ("none", *LOW_HIGH), 272_000, 128_000),
    ("gpt-5.1-codex-max", False, True, True, True, ("none", *LOW_HIGH, "xhigh"), 272_000, 128_000),
    ("gpt-5.2", True, True, True, True, ("none", *LOW_HIGH, "xhigh"), 272_000, 128_000),
    ("gpt-5.2-codex", False, True, True, True, (*LOW_HIGH, "xhigh"), 272_000, 128_000),
    ("gpt-5.3-codex", False, True, True, True, None, 272_000, 128_000),
    ("gpt-5.4", True, True, True, True, ("none", "minimal", *LOW_HIGH, "xhigh"), 922_000, 128_000),
    ("gpt-5.4-pro", False, True, True, False, None, 922_000, 128_000),
    ("gpt-5.4-mini", True, True, True, True, ("none", *LOW_HIGH, "xhigh"), 272_000, 128_000),
    ("gpt-5.4-nano", True, True, True, True, ("none", *LOW_HIGH, "xhigh"), 272_000, 128_000),
    ("gpt-5.5", True, True, True, True, ("none", *LOW_HIGH, "xhigh"), 922_000, 128_000),
]


@pytest.mark.parametrize(
    ("model", "chat", "responses", "streams", "parallel", "efforts", "tokens_in", "tokens_out"),
    REASONING,
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_reasoning_models_are_as_microsoft_lists_them(
    model: str,
    chat: bool,
    responses: bool,
    streams: bool,
    parallel: bool,
    efforts: tuple[str, ...] | None,
    tokens_in: int,
    tokens_out: int,
) -> None:
    found = row(model)
    assert found.reasoning
    assert (found.serves(CHAT), found.serves(RESPONSES)) == (chat, responses)
    assert all(found.streams(operation) == streams for operation in (CHAT, RESPONSES) if found.serves(operation))
    assert found.parallel_tools is parallel
    assert found.efforts == efforts
    assert (found.tokens_in, found.tokens_out) == (tokens_in, tokens_out)
    assert found.max_tokens_field == "max_completion_tokens"


@pytest.mark.parametrize(
    ("model", "operations", "tokens_in", "tokens_out"),
    [
        ("gpt-4o", {CHAT, RESPONSES}, 128_000, 16_384),
        ("gpt-4o-mini", {CHAT, RESPONSES}, 128_000, 16_384),
        ("gpt-4o-2024-05-13", {CHAT, RESPONSES}, 128_000, 4_096),
        ("gpt-4.1-nano", {CHAT, RESPONSES}, 1_047_576, 32_768),
        ("gpt-4.5-preview", {CHAT, RESPONSES}, 128_000, 16_384),
        ("gpt-4", {CHAT}, 8_192, 4_096),
        ("gpt-4-32k-0613", {CHAT}, 32_768, 4_096),
        ("gpt-4-1106-preview", {CHAT}, 128_000, 4_096),
        ("gpt-4-turbo-2024-04-09", {CHAT}, 128_000, 4_096),
        ("gpt-35-turbo", {CHAT, "completions"}, None, 4_096),
        ("gpt-3.5-turbo", {CHAT, "completions"}, None, 4_096),
        ("gpt-35-turbo-1106", {CHAT}, 16_385, 4_096),
        ("gpt-5-chat", {CHAT, RESPONSES}, 128_000, 16_384),
        ("gpt-4o-audio-preview-2024-12-17", {CHAT}, 128_000, 16_384),
        ("gpt-audio-1.5", {CHAT}, 128_000, 16_384),
        ("gpt-35-turbo-instruct-0914", {"completions"}, 4_097, 4_097),
        ("text-embedding-3-small", {"embeddings"}, 8_192, None),
        ("text-embedding-ada-002", {"embeddings"}, 8_192, None),
        ("gpt-image-2", {"images_generations", "images_edits"}, None, None),
        ("dall-e-3", {"images_generations"}, None, None),
        ("tts-hd", {"audio_speech"}, None, None),
        ("gpt-4o-mini-tts", {"audio_speech"}, 2_000, None),
        ("whisper", {"audio_transcriptions", "audio_translations"}, None, None),
        ("gpt-4o-transcribe-diarize", {"audio_transcriptions"}, 16_000, 2_000),
        ("gpt-realtime-mini-2025-10-06", set(), None, None),
    ],
)
def test_other_families(model: str, operations: set[str], tokens_in: int | None, tokens_out: int | None) -> None:
    found = row(model)
    assert set(found.operations or ()) == operations
    assert not found.reasoning
    assert (found.tokens_in, found.tokens_out) == (tokens_in, tokens_out)
    assert found.max_tokens_field == "max_tokens"


PRICED = """
    chat-latest codex-mini computer-use-preview dall-e-2 dall-e-3 gpt-3.5-turbo gpt-3.5-turbo-instruct-0914
    gpt-35-turbo gpt-35-turbo-16k gpt-35-turbo-16k-0613 gpt-35-turbo-instruct gpt-4 gpt-4-0125-preview gpt-4-0613
    gpt-4-32k gpt-4-turbo gpt-4-turbo-vision-preview gpt-4.1-2025-04-14 gpt-4.1-mini gpt-4.5-preview
    gpt-4o-2024-11-20 gpt-4o-mini-2024-07-18 gpt-4o-mini-audio-preview-2024-12-17
    gpt-4o-mini-realtime-preview-2024-12-17 gpt-4o-mini-transcribe gpt-4o-mini-tts gpt-5-2025-08-07 gpt-5-chat
    gpt-5-codex gpt-5.1-2025-11-13 gpt-5.1-codex-2025-11-13 gpt-5.2-2025-12-11 gpt-5.2-chat gpt-5.2-pro-2025-12-11
    gpt-5.3-chat gpt-5.4-2026-03-05 gpt-5.4-pro-2026-03-05 gpt-5.5-2026-04-24 gpt-5.5-pro gpt-5.6
    gpt-5.6-luna-2026-07-09 gpt-5.6-sol gpt-5.6-terra gpt-6-astra-2026-09-03 gpt-6-luna gpt-6-sol-2026-09-22
    gpt-6.1-sol-2026-09-29 gpt-6.1-terra gpt-audio-2025-08-28 gpt-audio-mini gpt-chat-latest gpt-image-1
    gpt-image-1-mini gpt-image-1.5-2025-12-16 gpt-image-2-2026-04-21 gpt-image-2.5-flare gpt-image-2.5-sunburst
    gpt-live-1 gpt-realtime gpt-transcribe model-router o1-2024-12-17 o1-mini-2024-09-12 o1-preview o1-pro
    o3-2025-04-16 o3-deep-research o3-mini-2025-01-31 o3-pro-2025-06-10 o4-mini-2025-04-16 text-embedding-3-large
    tts-1 tts-1-hd whisper-1
"""


@pytest.mark.parametrize("model", PRICED.split())
def test_every_openai_model_that_azure_prices_has_a_row(model: str) -> None:
    assert row(model) is not UNKNOWN


@pytest.mark.parametrize(
    ("model", "efforts"),
    [
        ("gpt-5.6-terra", ("none", *LOW_HIGH, "xhigh", "max")),
        ("gpt-6-astra", (*LOW_HIGH, "xhigh")),
        ("gpt-6-luna", ("none", *LOW_HIGH, "xhigh", "max")),
        ("gpt-6.1-terra", (*LOW_HIGH, "xhigh", "max")),
        ("gpt-5.5-pro", ("medium", "high", "xhigh")),
    ],
)
def test_efforts_of_the_newest_models(model: str, efforts: tuple[str, ...]) -> None:
    assert row(model).efforts == efforts


def test_image_rules_say_what_each_generation_makes() -> None:
    first, mini, second, dalle = (row(m).image for m in ("gpt-image-1", "gpt-image-1-mini", "gpt-image-2", "dall-e-3"))
    assert first is not None
    assert mini is not None
    assert second is not None
    assert dalle is not None
    assert "webp" not in first.formats
    assert (first.quality_default, mini.quality_default) == ("high", "medium")
    assert (first.size_rule, second.sizes) == (None, ("auto",))
    assert second.size_rule is not None
    assert (first.url, dalle.url, dalle.n_max) == (False, True, 1)


def test_voices_of_the_newer_speech_model() -> None:
    old, new = row("tts").speech, row("gpt-4o-mini-tts").speech
    assert old is not None
    assert new is not None
    assert set(new.voices) - set(old.voices) == {"ash", "ballad", "coral", "sage", "verse", "marin", "cedar"}
    assert (old.sse, new.sse) == (False, True)


@pytest.mark.parametrize("name", sorted(rows()))
def test_a_row_is_sound(name: str) -> None:
    found = rows()[name]
    assert found.operations is not None
    assert found.operations <= set(OPERATIONS)
    assert set(found.rules) | set(found.renames) | set(found.streaming) <= set(OPERATIONS)
    assert set(found.efforts or ()) <= set(ALL_EFFORTS)
    assert found.effort_default is None or found.effort_default in (found.efforts or ALL_EFFORTS)
    assert found.source
    for rules in found.rules.values():
        for rule in rules.values():
            assert rule.free_efforts | rule.only_efforts <= set(ALL_EFFORTS)


def test_names_are_unique_and_written_in_lower_case() -> None:
    models = json.loads(FILE.read_bytes())["models"]
    names = [name for own, model in models.items() for name in (own, *model.get("names", []))]
    assert len(names) == len(set(names))
    assert names == [name.lower() for name in names]


def test_a_rule_is_free_of_or_bound_to_an_effort() -> None:
    assert Rule().holds(None)
    assert not Rule(free_efforts=frozenset({"none"})).holds("none")
    assert Rule(only_efforts=frozenset({"minimal"})).holds("minimal")
    assert not Rule(only_efforts=frozenset({"minimal"})).holds("low")


def test_the_unknown_model_may_do_everything() -> None:
    assert all(UNKNOWN.serves(operation) and UNKNOWN.streams(operation) for operation in OPERATIONS)
    assert not UNKNOWN.rules
    assert not UNKNOWN.renames
    assert (UNKNOWN.tools, UNKNOWN.images, UNKNOWN.tokens_in) == (None, None, None)


@pytest.mark.parametrize(
    ("base_model", "deployment", "hint", "expected"),
    [
        ("gpt-4o", "o3-prod", None, ("gpt-4o", "gpt-4o", "base_model")),
        ("azure/gpt-4o", "x", None, ("gpt-4o", "gpt-4o", "base_model")),
        ("azure/eu/o3-mini-2025-01-31", "x", None, ("o3-mini", "o3-mini", "base_model")),
        ("azure/global-standard/gpt-4o-2024-08-06", "x", None, ("gpt-4o", "gpt-4o", "base_model")),
        ("azure/hd/1024-x-1024/dall-e-3", "x", None, ("dall-e-3", "dall-e-3", "base_model")),
        ("GPT-4o", "x", None, ("gpt-4o", "gpt-4o", "base_model")),
        ("gpt-4o-2024-08-06", "x", None, ("gpt-4o", "gpt-4o", "base_model")),
        ("gpt-4o-2024-05-13", "x", None, ("gpt-4o-2024-05-13", "gpt-4o-2024-05-13", "base_model")),
        ("gpt-4o-2024-05-13.ft-0ab3f80e", "x", None, ("gpt-4o-2024-05-13", "gpt-4o-2024-05-13", "base_model")),
        ("gpt-4.1-2025-04-14.ft-0ab3f80e4f22-mine", "x", None, ("gpt-4.1", "gpt-4.1", "base_model")),
        ("ft:gpt-4o-mini-2024-07-18:org:name:id", "x", None, ("gpt-4o", "gpt-4o-mini", "base_model")),
        ("a-model-of-2031", "my-o3", None, ("unknown", "", "unknown")),
        (None, "o3-mini", None, ("o3-mini", "o3-mini", "exact")),
        (None, "o1-mini", None, ("o1-mini", "o1-mini", "exact")),
        (None, "o1-preview", None, ("o1-preview", "o1-preview", "exact")),
        (None, "tts-hd", None, ("tts", "tts-hd", "exact")),
        (None, "my-o3-deployment", None, ("o3", "o3", "token")),
        (None, "my-o3-mini-deployment", None, ("o3-mini", "o3-mini", "token")),
        (None, "team_o1", None, ("o1", "o1", "token")),
        (None, "o4.prod", None, ("o4-mini", "o4-mini", "token")),
        (None, "prod-gpt-4o-mini-eu", None, ("gpt-4o", "gpt-4o-mini", "token")),
        (None, "my-gpt5", None, ("gpt-5", "gpt-5", "token")),
        (None, "my-gpt5-chat", None, ("gpt-5-chat", "gpt-5-chat", "token")),
        (None, "gpt-41-mini-prod", None, ("gpt-4.1", "gpt-4.1-mini", "token")),
        (None, "eu_gpt5.1_codex_max", None, ("gpt-5.1-codex-max", "gpt-5.1-codex-max", "token")),
        (None, "gpt-4o-realtime-x", None, ("gpt-realtime", "gpt-4o-realtime", "token")),
        (None, "o1-or-o3", None, ("unknown", "", "unknown")),
        (None, "gpt-5.9", None, ("unknown", "", "unknown")),
        (None, "gpt-5.9-prod", None, ("unknown", "", "unknown")),
        (None, "foo1o3bar", None, ("unknown", "", "unknown")),
        (None, "our-tts", None, ("unknown", "", "unknown")),
        (None, "the-model-router", None, ("unknown", "", "unknown")),
        (None, "anything", "o_series", ("o-series", "", "hint")),
        (None, "anything", "gpt5_series", ("gpt-5-series", "", "hint")),
        (None, "my-o1", "o_series", ("o1", "o1", "token")),
        ("o3-mini", "anything", "o_series", ("o3-mini", "o3-mini", "base_model")),
        ("gpt-4o", "anything", "o_series", ("o-series", "", "hint")),
        ("unheard-of", "anything", "gpt5_series", ("gpt-5-series", "", "hint")),
        (None, "gpt-4o", "responses", ("gpt-4o", "gpt-4o", "exact")),
    ],
)
def test_how_a_deployment_gets_its_row(
    base_model: str | None, deployment: str, hint: str | None, expected: tuple[str, str, str]
) -> None:
    found = resolve(base_model, deployment, hint)
    assert (found.capability.name, found.name, found.how) == expected


def test_demo1_gpt4o_is_not_an_o_series_model() -> None:
    found = resolve(None, "demo1-gpt4o", None).capability
    assert found.series != "o_series"
    assert not found.reasoning
    assert found.streams(CHAT)


def test_o4_mini_streams_natively_and_o1_does_not() -> None:
    assert row("o4-mini").streams(CHAT)
    assert not row("o1").streams(CHAT)


def test_a_forced_family_streams_natively() -> None:
    assert resolve(None, "my-random-deployment-name", "o_series").capability.streams(CHAT)


NAMES = sorted(name for name, found in rows().items() if found.series == "o_series")


@given(st.sampled_from(NAMES), st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=5))
def test_a_name_inside_a_word_is_never_met(name: str, glued: str) -> None:
    for deployment in (f"{glued}{name.split('-')[0]}", f"{name.split('-')[0]}{glued}"):
        if deployment not in NAMES and deployment != "o4":
            assert resolve(None, deployment, None).capability.series != "o_series"


@given(st.text(string.ascii_letters + string.digits + "-._", min_size=1, max_size=64))
def test_any_deployment_name_has_an_answer(deployment: str) -> None:
    found = resolve(None, deployment, None)
    assert (found.how == "unknown") == (found.capability is UNKNOWN)


def test_an_empty_table_knows_no_name() -> None:
    table = NameTable({}, [], {})
    assert table.exact("gpt-4o") is None
    assert table.inferred("gpt-4o") is None
