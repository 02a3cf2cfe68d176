"""Which api-version has what: operations and request fields, and the version an operation is sent with.

Sources: the folders of Azure/azure-rest-api-specs (cognitiveservices/data-plane/AzureOpenAI/{inference,authoring}),
Microsoft's "API version lifecycle" changelog for what arrived when, and the v1 reference ("latest" and "preview").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from shared.config.entry import Entry
from shared.config.versions import DEFAULT_API_VERSION, Policy, Surface, is_preview, sort_key, surface_of

__all__ = [
    "DEFAULT_API_VERSION",
    "FIELDS",
    "FORCED",
    "KNOWN_VERSIONS",
    "OPERATIONS",
    "Effective",
    "Since",
    "effective",
    "has_field",
    "has_operation",
    "lacking",
    "surface_of",
    "upgrades",
]

# Dated versions in the order of their days: the inference folders of the specification.
KNOWN_VERSIONS = (
    "2022-03-01-preview",
    "2022-06-01-preview",
    "2022-12-01",
    "2023-03-15-preview",
    "2023-05-15",
    "2023-06-01-preview",
    "2023-07-01-preview",
    "2023-08-01-preview",
    "2023-09-01-preview",
    "2023-10-01-preview",
    "2023-11-01-preview",
    "2023-12-01-preview",
    "2024-02-01",
    "2024-02-15-preview",
    "2024-03-01-preview",
    "2024-04-01-preview",
    "2024-05-01-preview",
    "2024-06-01",
    "2024-07-01-preview",
    "2024-08-01-preview",
    "2024-09-01-preview",
    "2024-10-01-preview",
    "2024-10-21",
    "2024-12-01-preview",
    "2025-01-01-preview",
    "2025-02-01-preview",
    "2025-03-01-preview",
    "2025-04-01-preview",
)


@dataclass(frozen=True, slots=True)
class Since:
    """Where a thing exists: from the first dated preview and the first dated GA version that have it (None: none).

    `last` is the last dated version that still has it. `v1` lists the words of the v1 surface that have it; on that
    surface every other word is replaced by `instead`, a dated version.
    """

    preview: str | None
    ga: str | None = None
    last: str | None = None
    v1: frozenset[str] = frozenset({"v1", "preview", "latest"})
    instead: str = DEFAULT_API_VERSION


_V1_PREVIEW = frozenset({"preview"})
_NOT_IN_V1: frozenset[str] = frozenset()

OPERATIONS: Mapping[str, Since] = {
    "chat_completions": Since("2023-03-15-preview", "2023-05-15"),
    # /extensions/chat/completions, for camelCase dataSources and enhancements; gone with 2024-02-15-preview.
    "chat_completions_extensions": Since(
        "2023-06-01-preview", last="2023-12-01-preview", v1=_NOT_IN_V1, instead="2023-12-01-preview"
    ),
    "completions": Since("2022-03-01-preview", "2022-12-01"),
    "embeddings": Since("2022-03-01-preview", "2022-12-01"),
    # The synchronous, deployment-scoped path. Before it there was /openai/images/generations:submit.
    "images_generations": Since("2023-12-01-preview", "2024-02-01", v1=_V1_PREVIEW),
    # Came with gpt-image-1. GA 2024-10-21 has six operations; this one and audio/speech are not among them.
    "images_edits": Since("2025-04-01-preview", v1=_V1_PREVIEW),
    "audio_speech": Since("2024-02-15-preview", v1=_V1_PREVIEW),
    "audio_transcriptions": Since("2023-09-01-preview", "2024-02-01", v1=_V1_PREVIEW),
    "audio_translations": Since("2023-09-01-preview", "2024-02-01", v1=_V1_PREVIEW),
    "responses": Since("2025-03-01-preview"),
    # Older authoring versions have files, but not purpose=batch.
    "files": Since("2024-07-01-preview", "2024-10-21"),
    # "Large file upload API added"; absent from the v1 reference.
    "uploads": Since("2024-08-01-preview", "2024-10-21", v1=_NOT_IN_V1, instead="2024-10-21"),
    "batches": Since("2024-07-01-preview", "2024-10-21"),
    # With events, checkpoints and seed.
    "fine_tuning": Since("2024-05-01-preview", "2024-10-21"),
    "fine_tuning_pause": Since("2025-04-01-preview"),  # and to resume
    "models": Since("2022-03-01-preview", "2022-12-01"),
}

# Request fields, by their path in the body. The v1 surface has them all.
FIELDS: Mapping[str, Since] = {
    "stream_options.include_usage": Since("2024-09-01-preview", "2024-10-21"),
    "max_completion_tokens": Since("2024-09-01-preview", "2024-10-21"),
    "parallel_tool_calls": Since("2024-09-01-preview", "2024-10-21"),
    "response_format.json_schema": Since("2024-08-01-preview", "2024-10-21"),
    "reasoning_effort": Since("2024-12-01-preview"),
    "store": Since("2024-12-01-preview"),
    "metadata": Since("2024-12-01-preview"),
    "user_security_context": Since("2024-12-01-preview"),
    "prediction": Since("2025-01-01-preview"),
    "modalities": Since("2025-01-01-preview"),
    "audio": Since("2025-01-01-preview"),
    # Nothing dates these; the last dated version is the likeliest to have them.
    "service_tier": Since("2025-04-01-preview"),
    "verbosity": Since("2025-04-01-preview"),
    "prompt_cache_key": Since("2025-04-01-preview"),
    "safety_identifier": Since("2025-04-01-preview"),
    "reasoning.summary": Since("2025-04-01-preview"),
    "dimensions": Since("2024-03-01-preview", "2024-06-01"),
    "response_format.wav": Since("2024-04-01-preview"),  # and pcm, of speech
    "timestamp_granularities": Since("2024-04-01-preview", "2024-06-01"),
    "data_sources": Since("2024-02-15-preview", "2024-02-01"),
    "trainingType": Since("2025-04-01-preview"),
    # Not a field: the gpt-image models, which the image operations of older versions do not know.
    "model:gpt-image": Since("2025-04-01-preview"),
}

# The operations that are served, with the fields that Spillway itself puts into their bodies.
FORCED: Mapping[str, tuple[str, ...]] = {
    "chat_completions": ("stream_options.include_usage",),
    "completions": ("stream_options.include_usage",),
    "embeddings": (),
    "responses": (),
    "images_generations": (),
    "images_edits": (),
    "audio_speech": (),
    "audio_transcriptions": (),
    "audio_translations": (),
}


@dataclass(frozen=True, slots=True)
class Effective:
    """What an operation is sent with. `changed_from` is the entry's own version when another one is used.

    `lacks` names the fields that `version` does not have: forced ones must not be sent. `has_operation` is False
    when `exact` keeps a version that Azure will answer with a 404.
    """

    version: str
    changed_from: str | None = None
    lacks: tuple[str, ...] = ()
    has_operation: bool = True

    @property
    def surface(self) -> Surface:
        return surface_of(self.version)


def has_operation(api_version: str, operation: str) -> bool:
    """Whether `api_version` has `operation` (a key of OPERATIONS). A version later than any known one is trusted."""
    return _has(api_version, OPERATIONS[operation])


def has_field(api_version: str, field: str) -> bool:
    """Whether `api_version` has the request field (a key of FIELDS)."""
    return _has(api_version, FIELDS[field])


def lacking(api_version: str, fields: Iterable[str]) -> list[str]:
    """Those of the fields that `api_version` does not have, in order."""
    return sorted(field for field in fields if not has_field(api_version, field))


def effective(api_version: str, operation: str, policy: Policy, fields: Iterable[str] = ()) -> Effective:
    """The version to send `operation` with, when `fields` are in its body: forced by Spillway, or the caller's own.

    `upgrade` keeps `api_version` when it suffices, else takes the lowest known one above it that has the operation
    and the fields; where none has both, the operation decides. `exact` keeps what is written. KeyError for an
    operation or field that the tables do not have.
    """
    since = OPERATIONS[operation]
    wanted = {field: FIELDS[field] for field in fields}
    version = api_version if policy == "exact" else _upgraded(api_version, since, wanted.values())
    return Effective(
        version=version,
        changed_from=None if version == api_version else api_version,
        lacks=tuple(field for field, from_ in wanted.items() if not _has(version, from_)),
        has_operation=_has(version, since),
    )


def upgrades(
    entries: Iterable[tuple[Entry, str]], operations: Mapping[str, Iterable[str]] | None = None
) -> Iterator[str]:
    """One sentence per entry whose version is raised, for the log at start.

    `entries` pairs each entry with its endpoint's `api_version`; `operations` maps those that are served to the
    fields forced into them (FORCED when None). An entry with a mode is judged by its mode's operations only.
    """
    operations = FORCED if operations is None else operations
    for entry, version in entries:
        if not entry.model.is_azure:
            continue
        of_mode = _MODE_OPERATIONS[entry.mode or "chat"]
        parts: list[str] = []
        lacking: list[str] = []
        for operation in of_mode:
            if operation not in operations:
                continue
            found = effective(version, operation, entry.api_version_policy, operations[operation])
            if found.changed_from is None:
                continue
            lacking += _lacking(version, operation, operations[operation])
            parts.append(f"{_NAMES.get(operation, operation)} uses {found.version}")
        if parts:
            missing = " and ".join(dict.fromkeys(lacking))
            yield (
                f"{entry.label}: api_version {version} lacks {missing}; {', '.join(parts)}. "
                f"Set api_version_policy: exact to send {version}."
            )


_NAMES = {
    "chat_completions": "chat",
    "chat_completions_extensions": "chat with extensions",
    "images_generations": "image generation",
    "images_edits": "image editing",
    "audio_speech": "speech",
    "audio_transcriptions": "transcription",
    "audio_translations": "translation",
    "fine_tuning": "fine-tuning",
    "fine_tuning_pause": "pausing fine-tuning",
}
_MODE_OPERATIONS: Mapping[str, tuple[str, ...]] = {
    "chat": ("chat_completions", "chat_completions_extensions"),
    "completion": ("completions",),
    "embedding": ("embeddings",),
    "image_generation": ("images_generations", "images_edits"),
    "image_edit": ("images_generations", "images_edits"),
    "audio_speech": ("audio_speech",),
    "audio_transcription": ("audio_transcriptions", "audio_translations"),
    "batch": ("files", "batches"),
    "responses": ("responses",),
    "realtime": (),
    "rerank": (),
    "video_generation": (),
    "moderation": (),
}


def _lacking(version: str, operation: str, fields: Iterable[str]) -> list[str]:
    if not has_operation(version, operation):
        return [_NAMES.get(operation, operation)]
    return [field for field in fields if not has_field(version, field)]


def _has(version: str, since: Since) -> bool:
    if surface_of(version) == "v1":
        return version in since.v1
    first = since.preview if is_preview(version) else since.ga
    if first is None:
        return False
    key = sort_key(version)
    return sort_key(first) <= key and (since.last is None or key <= sort_key(since.last))


def _upgraded(version: str, since: Since, wanted: Iterable[Since]) -> str:
    wanted = tuple(wanted)
    if surface_of(version) == "v1":
        return version if version in since.v1 else _upgraded(since.instead, since, wanted)
    own = sort_key(version)
    if since.last is not None and own > sort_key(since.last):
        return since.last
    if _has(version, since) and all(_has(version, one) for one in wanted):
        return version
    higher = [known for known in KNOWN_VERSIONS if sort_key(known) > own]
    for needs in ((since, *wanted), (since,)):
        if _has(version, since) and len(needs) == 1:
            return version
        for known in higher:
            if all(_has(known, one) for one in needs):
                return known
    return version
