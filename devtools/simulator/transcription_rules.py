"""Which recordings and forms Azure refuses, and what a valid form asks for."""

from __future__ import annotations

from dataclasses import dataclass

from devtools.simulator import errors, sound
from devtools.simulator.errors import AzureError
from devtools.simulator.forms import Form
from devtools.simulator.models import Model

FILE_BYTES_MAX = 26_214_400
SECONDS_MIN = 0.1
DIARIZED_SECONDS_WITHOUT_CHUNKING = 30
FILE_TYPES = ("flac", "m4a", "mp3", "mp4", "mpeg", "mpga", "oga", "ogg", "wav", "webm")
FORMATS = ("json", "text", "srt", "verbose_json", "vtt")
FORMATS_BY_TOKENS = ("json",)
FORMATS_DIARIZED = ("json", "text", "diarized_json")
FIELDS = frozenset({
    "model", "filename", "language", "prompt", "response_format", "temperature", "timestamp_granularities", "include",
    "stream", "chunking_strategy", "known_speaker_names", "known_speaker_references",
})  # fmt: skip
TRANSLATION_FIELDS = frozenset({"model", "prompt", "response_format", "temperature"})


@dataclass(frozen=True, slots=True)
class Asked:
    """A valid request: the recording and what is wanted of it."""

    data: bytes
    duration_s: float
    format: str
    prompt: str
    language: str
    granularities: frozenset[str]
    stream: bool


def too_large(size: int) -> AzureError:
    """A recording over 25 MiB."""
    message = f"Maximum content size limit ({FILE_BYTES_MAX}) exceeded ({size} bytes read)"
    return AzureError(413, {"error": {"message": message, "type": "server_error", "param": None, "code": "null"}})


def check(form: Form, model: Model, task: str) -> Asked:
    """What a form asks for; raises AzureError, 413 for a recording over 25 MiB and 400 for the rest."""
    allowed = FIELDS if task == "transcribe" else TRANSLATION_FIELDS
    unknown = [name for name, _ in form.fields if name.partition("[")[0] not in allowed]
    if unknown:
        raise errors.unrecognized_arguments(unknown)
    data = _recording(form)
    kind = _format(form, model)
    granularities = frozenset(form.all("timestamp_granularities"))
    for name in sorted(granularities - {"word", "segment"}):
        raise errors.invalid_value(name, ("word", "segment"), "timestamp_granularities")
    if granularities and kind != "verbose_json":
        raise errors.invalid_request(
            "The 'timestamp_granularities' option requires 'response_format' to be 'verbose_json'.",
            "timestamp_granularities",
        )
    _check_temperature(form.get("temperature"))
    duration = sound.duration_s(data)
    if duration < SECONDS_MIN:
        raise errors.invalid_request(
            f"Audio file is too short. Minimum audio length is {SECONDS_MIN} seconds.", "file", "audio_too_short"
        )
    if model.diarizes and duration > DIARIZED_SECONDS_WITHOUT_CHUNKING and not form.all("chunking_strategy"):
        raise errors.invalid_request(
            "chunking_strategy is required for diarization models when the audio is longer than 30 seconds.",
            "chunking_strategy",
        )
    if model.diarizes and form.get("prompt"):
        raise errors.invalid_request("Prompt is not supported for diarization models.", "prompt")
    return Asked(
        data=data, duration_s=duration, format=kind, prompt=form.get("prompt") or "",
        language=form.get("language") or "en", granularities=granularities,
        stream=form.get("stream") == "true" and model.by_tokens,
    )  # fmt: skip


def _recording(form: Form) -> bytes:
    files = form.uploads("file")
    if not files:
        raise errors.missing_parameter("file")
    file = files[0]
    if len(file.data) > FILE_BYTES_MAX:
        raise too_large(len(file.data))
    if not file.data:
        raise errors.invalid_request("The audio file is empty.", "file", "invalid_value")
    name = file.name or form.get("filename") or ""
    if name.rpartition(".")[2].lower() not in FILE_TYPES:
        listed = ", ".join(f"'{kind}'" for kind in FILE_TYPES)
        raise errors.invalid_request(f"Unrecognized file format. Supported formats: [{listed}]", "file")
    return file.data


def _format(form: Form, model: Model) -> str:
    formats = FORMATS_DIARIZED if model.diarizes else FORMATS_BY_TOKENS if model.by_tokens else FORMATS
    kind = form.get("response_format") or "json"
    if kind in formats:
        return kind
    if kind in FORMATS:
        raise errors.invalid_request(
            f"response_format '{kind}' is not compatible with model '{model.name}'. Use 'json' instead.",
            "response_format",
            "unsupported_value",
        )
    raise errors.invalid_value(kind, formats, "response_format")


def _check_temperature(value: str | None) -> None:
    if value is None:
        return
    try:
        valid = 0 <= float(value) <= 1
    except ValueError:
        valid = False
    if not valid:
        raise errors.invalid_request(
            f"Invalid 'temperature': expected a number between 0 and 1, but got {value} instead.", "temperature"
        )
