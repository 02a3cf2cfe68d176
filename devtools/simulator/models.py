"""The base models that the simulator knows, as data.

Windows, unsupported parameters and defaults: Azure's "reasoning models" and "models" pages (2026).
"""

from __future__ import annotations

from dataclasses import dataclass

REASONING_REJECTS = frozenset({"max_tokens", "top_p", "logprobs", "top_logprobs", "logit_bias"})
"""Parameters that every reasoning model answers with `unsupported_parameter`."""


@dataclass(frozen=True, slots=True)
class Model:
    """One base model. Token counts are per request; `image_tokens_*` follow the vision price pages.

    `kind` is what it does: `chat`, `responses` (the Responses API only), `completion`, `embeddings`, `speech`,
    `transcription` or `image`. `responses`: a chat model that the Responses API has too. `dimensions` are an
    embedding's; `audio`: a chat model that hears and speaks. `by_tokens`: a model of speech, transcription or images
    that Azure charges by tokens, and not by its older unit; `diarizes`: a transcription tells speakers apart.
    """

    name: str
    version: str
    kind: str = "chat"
    context_tokens: int = 128_000
    output_tokens_max: int = 16_384
    reasoning: bool = False
    streams: bool = True
    parallel_tools: bool = True
    vision: bool = True
    audio: bool = False
    responses: bool = True
    dimensions: int = 0
    by_tokens: bool = False
    diarizes: bool = False
    rejects: frozenset[str] = frozenset()
    image_tokens_base: int = 85
    image_tokens_tile: int = 170
    wire_name: str = ""

    @property
    def wire(self) -> str:
        """What Azure writes in an answer's `model`, such as `gpt-4o-2024-08-06`."""
        return self.wire_name or f"{self.name}-{self.version}"


def _reasoning(
    name: str,
    version: str,
    *,
    kind: str = "chat",
    context: int = 200_000,
    output: int = 100_000,
    streams: bool = True,
    parallel_tools: bool = True,
    vision: bool = True,
    rejects: frozenset[str] = frozenset(),
) -> Model:
    return Model(
        name, version, kind=kind, context_tokens=context, output_tokens_max=output, reasoning=True, streams=streams,
        parallel_tools=parallel_tools, vision=vision, rejects=REASONING_REJECTS | rejects,
        image_tokens_base=75, image_tokens_tile=150,
    )  # fmt: skip


def _media(name: str, version: str, kind: str, *, by_tokens: bool = False, diarizes: bool = False) -> Model:
    return Model(name, version, kind=kind, vision=False, by_tokens=by_tokens, diarizes=diarizes, wire_name=name)


def _embeddings(name: str, version: str, dimensions: int) -> Model:
    return Model(
        name, version, kind="embeddings", context_tokens=8192, vision=False, dimensions=dimensions, wire_name=name
    )


_O_SERIES = frozenset({"parallel_tool_calls"})
_NO_STOP = frozenset({"stop"})

MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        Model("gpt-4o", "2024-08-06"),
        Model("gpt-4o-mini", "2024-07-18", image_tokens_base=2833, image_tokens_tile=5667),
        Model("gpt-4o-audio-preview", "2024-12-17", vision=False, audio=True, responses=False),
        Model("gpt-4.1", "2025-04-14", context_tokens=1_047_576, output_tokens_max=32_768),
        Model("gpt-4.1-mini", "2025-04-14", context_tokens=1_047_576, output_tokens_max=32_768),
        Model("gpt-4", "turbo-2024-04-09", output_tokens_max=4096, responses=False),
        Model(
            "gpt-35-turbo", "0125", context_tokens=16_385, output_tokens_max=4096, vision=False, responses=False,
            wire_name="gpt-35-turbo",
        ),
        Model(
            "gpt-35-turbo-instruct", "0914", kind="completion", context_tokens=4097, output_tokens_max=4097,
            vision=False, wire_name="gpt-35-turbo-instruct",
        ),
        _reasoning("gpt-5", "2025-08-07", context=400_000, output=128_000, rejects=_NO_STOP),
        _reasoning("gpt-5-mini", "2025-08-07", context=400_000, output=128_000, rejects=_NO_STOP),
        _reasoning("o1", "2024-12-17", rejects=_O_SERIES, streams=False, parallel_tools=False),
        _reasoning("o3-mini", "2025-01-31", rejects=_O_SERIES, parallel_tools=False, vision=False),
        _reasoning("o3", "2025-04-16", rejects=_O_SERIES | _NO_STOP, parallel_tools=False),
        _reasoning("o4-mini", "2025-04-16", rejects=_O_SERIES | _NO_STOP, parallel_tools=False),
        _reasoning("o1-pro", "2025-03-19", kind="responses", rejects=_O_SERIES, streams=False, parallel_tools=False),
        _reasoning("o3-pro", "2025-06-10", kind="responses", rejects=_O_SERIES, streams=False, parallel_tools=False),
        _reasoning("codex-mini", "2025-05-16", kind="responses", rejects=_O_SERIES, parallel_tools=False),
        _reasoning("gpt-5-codex", "2025-09-15", kind="responses", context=400_000, output=128_000),
        _media("tts", "001", "speech"),
        _media("tts-hd", "001", "speech"),
        _media("gpt-4o-mini-tts", "2025-03-20", "speech", by_tokens=True),
        _media("whisper", "001", "transcription"),
        _media("gpt-4o-transcribe", "2025-03-20", "transcription", by_tokens=True),
        _media("gpt-4o-mini-transcribe", "2025-03-20", "transcription", by_tokens=True),
        _media("gpt-4o-transcribe-diarize", "2025-10-15", "transcription", by_tokens=True, diarizes=True),
        _media("gpt-image-1", "2025-04-15", "image", by_tokens=True),
        _media("gpt-image-1-mini", "2025-10-06", "image", by_tokens=True),
        _media("dall-e-3", "3.0", "image"),
        _embeddings("text-embedding-3-small", "1", 1536),
        _embeddings("text-embedding-3-large", "1", 3072),
        _embeddings("text-embedding-ada-002", "2", 1536),
    )
}  # fmt: skip
