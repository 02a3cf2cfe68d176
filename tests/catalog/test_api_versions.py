"""shared/catalog/api_versions.py: which version an operation is sent with."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.catalog.api_versions import (
    FIELDS,
    KNOWN_VERSIONS,
    OPERATIONS,
    effective,
    has_field,
    has_operation,
    surface_of,
    upgrades,
)
from shared.config import Entry, parse
from shared.config.versions import DEFAULT_API_VERSION, is_api_version, sort_key

INCLUDE_USAGE = "stream_options.include_usage"
DATED = st.dates().flatmap(lambda day: st.sampled_from([day.isoformat(), f"{day.isoformat()}-preview"]))
VERSIONS = st.one_of(DATED, st.sampled_from([*KNOWN_VERSIONS, "v1", "preview", "latest"]))


def test_the_operations_are_those_of_the_design() -> None:
    assert set(OPERATIONS) == {
        "chat_completions",
        "chat_completions_extensions",
        "completions",
        "embeddings",
        "images_generations",
        "images_edits",
        "audio_speech",
        "audio_transcriptions",
        "audio_translations",
        "responses",
        "files",
        "uploads",
        "batches",
        "fine_tuning",
        "fine_tuning_pause",
        "models",
    }


def test_known_versions_are_in_order() -> None:
    assert list(KNOWN_VERSIONS) == sorted(KNOWN_VERSIONS, key=sort_key)


@pytest.mark.parametrize("name", [*OPERATIONS, *FIELDS])
def test_the_tables_name_known_versions_only(name: str) -> None:
    since = OPERATIONS.get(name) or FIELDS[name]
    assert {v for v in (since.preview, since.ga, since.last, since.instead) if v is not None} <= set(KNOWN_VERSIONS)


@pytest.mark.parametrize(
    ("version", "operation", "fields", "expected"),
    [
        ("2023-05-15", "chat_completions", (), "2023-05-15"),
        ("2023-05-15", "chat_completions", (INCLUDE_USAGE,), "2024-09-01-preview"),
        ("2022-12-01", "chat_completions", (), "2023-03-15-preview"),
        ("2024-10-21", "chat_completions", (INCLUDE_USAGE,), "2024-10-21"),
        ("2024-06-01", "chat_completions", (INCLUDE_USAGE,), "2024-09-01-preview"),
        ("v1", "chat_completions", (INCLUDE_USAGE,), "v1"),
        ("2023-03-15-preview", "responses", (), "2025-03-01-preview"),
        ("2024-10-21", "responses", (), "2025-03-01-preview"),
        ("preview", "responses", (), "preview"),
        ("2023-06-01-preview", "images_generations", (), "2023-12-01-preview"),
        ("2024-10-21", "images_generations", (), "2024-10-21"),
        ("2024-10-21", "images_generations", ("model:gpt-image",), "2025-04-01-preview"),
        ("2024-10-21", "images_edits", (), "2025-04-01-preview"),
        ("v1", "images_generations", (), "2025-04-01-preview"),
        ("preview", "images_generations", (), "preview"),
        ("2024-10-21", "audio_speech", (), "2024-12-01-preview"),
        ("latest", "audio_speech", (), "2025-04-01-preview"),
        ("2024-10-21", "audio_transcriptions", (), "2024-10-21"),
        ("v1", "uploads", (), "2024-10-21"),
        ("v1", "uploads", ("audio",), "2025-01-01-preview"),
        ("2023-05-15", "batches", (), "2024-07-01-preview"),
        ("2025-04-01-preview", "chat_completions_extensions", (INCLUDE_USAGE,), "2023-12-01-preview"),
        ("2023-07-01-preview", "chat_completions_extensions", (), "2023-07-01-preview"),
        ("2023-07-01-preview", "chat_completions_extensions", (INCLUDE_USAGE,), "2023-07-01-preview"),
        ("2027-01-01-preview", "chat_completions", (INCLUDE_USAGE,), "2027-01-01-preview"),
    ],
)
def test_upgrade_takes_the_lowest_version_that_suffices(
    version: str, operation: str, fields: tuple[str, ...], expected: str
) -> None:
    found = effective(version, operation, "upgrade", fields)
    assert (found.version, found.changed_from) == (expected, None if version == expected else version)


def test_exact_sends_what_is_written_and_says_what_it_lacks() -> None:
    found = effective("2023-05-15", "chat_completions", "exact", (INCLUDE_USAGE,))
    assert (found.version, found.changed_from, found.lacks, found.has_operation) == (
        "2023-05-15",
        None,
        (INCLUDE_USAGE,),
        True,
    )


def test_exact_says_when_the_operation_is_missing() -> None:
    assert not effective("2023-05-15", "responses", "exact").has_operation


def test_extensions_never_get_the_usage_option() -> None:
    assert effective("2023-07-01-preview", "chat_completions_extensions", "upgrade", (INCLUDE_USAGE,)).lacks


def test_a_preview_comes_before_the_ga_version_of_its_day() -> None:
    assert sort_key("2024-06-01-preview") < sort_key("2024-06-01") < sort_key("2024-06-02-preview")


@pytest.mark.parametrize(
    "text", ["", "2024-10", "2024-02-30", "24-10-21", "2024-10-21-Preview", "V1", " v1", "２０２４-10-21"]
)
def test_not_api_versions(text: str) -> None:
    assert not is_api_version(text)


@given(VERSIONS, st.sampled_from(sorted(OPERATIONS)), st.lists(st.sampled_from(sorted(FIELDS)), max_size=3))
def test_an_upgrade_of_an_upgrade_changes_nothing(version: str, operation: str, fields: list[str]) -> None:
    first = effective(version, operation, "upgrade", fields).version
    assert effective(first, operation, "upgrade", fields).version == first


@given(st.sampled_from(KNOWN_VERSIONS), st.sampled_from(sorted(OPERATIONS)))
def test_an_upgrade_of_a_known_version_has_the_operation(version: str, operation: str) -> None:
    assert effective(version, operation, "upgrade").has_operation


@given(DATED, st.sampled_from(sorted(set(OPERATIONS) - {"chat_completions_extensions"})))
def test_an_upgrade_never_goes_down(version: str, operation: str) -> None:
    assert sort_key(effective(version, operation, "upgrade").version) >= sort_key(version)


@given(VERSIONS, st.sampled_from(sorted(OPERATIONS)), st.lists(st.sampled_from(sorted(FIELDS)), max_size=3))
def test_exact_never_changes_a_version(version: str, operation: str, fields: list[str]) -> None:
    assert effective(version, operation, "exact", fields).version == version


@given(DATED)
def test_every_date_is_on_the_classic_surface(version: str) -> None:
    assert is_api_version(version)
    assert surface_of(version) == "classic"


def test_the_default_version_has_every_operation_and_field() -> None:
    assert [op for op in OPERATIONS if not has_operation(DEFAULT_API_VERSION, op)] == ["chat_completions_extensions"]
    assert all(has_field(DEFAULT_API_VERSION, field) for field in FIELDS)


CHAT_ONLY = {"chat_completions": (INCLUDE_USAGE,)}


def entries(version: str, more: str = "", mode: str = "chat") -> Iterator[tuple[Entry, str]]:
    text = f"""
model_list:
  - model_name: gpt-3.5-turbo
    litellm_params: {{model: azure/d, api_base: https://r.openai.azure.com, api_key: k{more}}}
    model_info: {{mode: {mode}}}
"""
    return ((entry, version) for entry in parse(text, {}).entries)


def test_a_raised_version_is_one_sentence() -> None:
    assert list(upgrades(entries("2023-05-15"), CHAT_ONLY)) == [
        "model_list[0] (gpt-3.5-turbo): api_version 2023-05-15 lacks stream_options.include_usage; "
        "chat uses 2024-09-01-preview. Set api_version_policy: exact to send 2023-05-15."
    ]


def test_a_sufficient_version_is_no_sentence() -> None:
    assert list(upgrades(entries("2024-10-21"), CHAT_ONLY)) == []


@pytest.mark.parametrize(
    ("mode", "word"),
    [("responses", "responses"), ("audio_speech", "speech"), ("image_generation", "image editing")],
)
def test_every_operation_of_an_entrys_mode_is_judged(mode: str, word: str) -> None:
    (sentence,) = upgrades(entries("2024-10-21", mode=mode))
    assert f"lacks {word}; {word} uses" in sentence


def test_a_chat_entry_is_not_judged_by_what_else_it_might_serve() -> None:
    assert list(upgrades(entries("2024-10-21"))) == []


def test_an_exact_entry_is_no_sentence() -> None:
    assert list(upgrades(entries("2023-05-15", ", api_version_policy: exact"))) == []


def test_an_entry_of_another_mode_is_no_sentence() -> None:
    assert list(upgrades(entries("2023-05-15", mode="embedding"))) == []


def test_several_operations_are_still_one_sentence() -> None:
    (sentence,) = upgrades(entries("2023-05-15", mode="image_generation"))
    assert sentence.startswith(
        "model_list[0] (gpt-3.5-turbo): api_version 2023-05-15 lacks image generation and image editing; "
        "image generation uses 2023-12-01-preview, image editing uses 2025-04-01-preview."
    )
