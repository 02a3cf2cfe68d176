"""What models of images and audio take, as rows of capabilities.json have it, and which parameters that is said of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from shared.catalog.values import Between, OneOf, SizeRule, Sizes, Taken, UpTo

Values = Mapping[str, Taken]
"""By parameter; `audio.voice` lies inside `audio`."""


@dataclass(frozen=True, slots=True)
class ImageRules:
    """`sizes` are names such as `auto` and `1024x1024`, `size_rule` allows more. `url`: whether an answer may be a
    link. `formats_openai` are made by OpenAI's own service only. `tokens`: whether it counts tokens."""

    sizes: tuple[str, ...]
    qualities: tuple[str, ...]
    quality_default: str
    formats: tuple[str, ...]
    n_max: int
    partial_images_max: int
    prompt_chars_max: int
    url: bool
    tokens: bool
    size_rule: SizeRule | None = None
    formats_openai: tuple[str, ...] = ()

    def values(self) -> Values:
        """What generations and edits take."""
        return {
            "prompt": UpTo(self.prompt_chars_max),
            "size": Sizes(self.sizes, self.size_rule),
            "quality": OneOf(self.qualities),
            "n": Between(1, self.n_max),
            "output_format": OneOf(self.formats),
            "output_compression": Between(0, 100),
            "partial_images": Between(0, self.partial_images_max),
        }

    def at_openai(self) -> ImageRules:
        """The same model at OpenAI."""
        return replace(self, formats=self.formats + self.formats_openai)


@dataclass(frozen=True, slots=True)
class SpeechRules:
    """`chars_max` bounds the input; `sse`: whether `stream_format: sse` exists. `voices_openai` are those of OpenAI's
    own service only. `tokens`: whether it counts tokens, and not characters."""

    voices: tuple[str, ...]
    formats: tuple[str, ...]
    chars_max: int
    speed_min: float
    speed_max: float
    sse: bool
    tokens: bool
    voices_openai: tuple[str, ...] = ()

    def values(self) -> Values:
        """What speech takes."""
        return {
            "input": UpTo(self.chars_max),
            "voice": OneOf(self.voices, objects=True),
            "response_format": OneOf(self.formats),
            "speed": Between(self.speed_min, self.speed_max, fractions=True),
            "stream_format": OneOf(("audio", "sse") if self.sse else ("audio",)),
        }

    def at_openai(self) -> SpeechRules:
        """The same model at OpenAI."""
        return replace(self, voices=self.voices + self.voices_openai)


@dataclass(frozen=True, slots=True)
class TranscriptionRules:
    """`formats` are those of `response_format`; `stream`: whether `stream` is heeded, `tokens`: whether it
    counts tokens, and not seconds."""

    formats: tuple[str, ...]
    stream: bool
    tokens: bool

    def values(self) -> Values:
        """What transcriptions and translations take."""
        return {"response_format": OneOf(self.formats)}


@dataclass(frozen=True, slots=True)
class ChatAudioRules:
    """A chat that speaks; a stream of it has the `formats_streamed` only."""

    voices: tuple[str, ...]
    formats: tuple[str, ...]
    formats_streamed: tuple[str, ...]

    def values(self, *, streamed: bool = False) -> Values:
        """What a chat takes."""
        return {
            "audio.voice": OneOf(self.voices, objects=True),
            "audio.format": OneOf(self.formats_streamed if streamed else self.formats),
        }


def values_of(
    image: ImageRules | None,
    speech: SpeechRules | None,
    transcription: TranscriptionRules | None,
    audio: ChatAudioRules | None,
) -> Mapping[tuple[str, bool], Values]:
    """What is known of parameters, by operation and whether its answer is streamed."""
    known: dict[tuple[str, bool], Values] = {}
    for streamed in (False, True):
        if image is not None:
            values = image.values()
            known |= {(operation, streamed): values for operation in ("images_generations", "images_edits")}
        if speech is not None:
            known["audio_speech", streamed] = speech.values()
        if transcription is not None:
            values = transcription.values()
            known |= {(operation, streamed): values for operation in ("audio_transcriptions", "audio_translations")}
        if audio is not None:
            known["chat_completions", streamed] = audio.values(streamed=streamed)
    return known
