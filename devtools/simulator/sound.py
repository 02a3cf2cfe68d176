"""Sound files: made as speech, and looked at for their length as recordings.

A made one has a true header and noise after it; its length in bytes is what its format takes for its seconds.
"""

from __future__ import annotations

import base64
import math
import random
import struct

RATE_HZ = 24_000
BYTES_PER_S = {"mp3": 20_000, "opus": 4_000, "aac": 16_000, "flac": 24_000, "wav": 48_000, "pcm": 48_000,
               "pcm16": 48_000}  # fmt: skip
CONTENT_TYPES = {"mp3": "audio/mpeg", "opus": "audio/opus", "aac": "audio/aac", "flac": "audio/flac",
                 "wav": "audio/wav", "pcm": "audio/pcm"}  # fmt: skip
TOKENS_PER_S = 10
"""Audio tokens of one second that a model hears (OpenAI's: one token for 100 ms)."""
SPOKEN_TOKENS_PER_S = 20
"""Audio tokens of one second that a model speaks (one token for 50 ms)."""
RECORDED_BYTES_PER_S = 16_000
"""What a recording takes whose header is not understood."""
_MP3_FRAME = b"\xff\xf3\xe4\xc4"  # MPEG-2 layer III, 160 kbit/s, 24 kHz, mono: 480 bytes, 24 ms
_MP3_FRAME_BYTES = 480
_UNKNOWN_LENGTH = 0xFFFFFFFF
_MAGIC = {
    "opus": b"OggS\x00\x02" + bytes(8) + b"SIM1" + bytes(8) + b"\x01\x13OpusHead\x01\x01",
    "aac": b"\xff\xf1\x58\x40",
    "flac": b"fLaC\x80\x00\x00\x22",
}


def wav_header(data_bytes: int | None) -> bytes:
    """24 kHz, 16 bits, mono; None for a stream, whose length its header cannot know."""
    data = _UNKNOWN_LENGTH if data_bytes is None else data_bytes
    riff = _UNKNOWN_LENGTH if data_bytes is None else data_bytes + 36
    format_part = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, RATE_HZ, 2 * RATE_HZ, 2, 16)
    return struct.pack("<4sI4s", b"RIFF", riff, b"WAVE") + format_part + struct.pack("<4sI", b"data", data)


def made(kind: str, size: int, seed: str) -> bytes:
    """`size` bytes of a file of this kind, the same for the same seed."""
    if kind == "mp3":
        frame = _MP3_FRAME + random.Random(seed).randbytes(_MP3_FRAME_BYTES - len(_MP3_FRAME))
        return (frame * (size // _MP3_FRAME_BYTES + 1))[:size]
    header = wav_header(None) if kind == "wav" else _MAGIC.get(kind, b"")
    return (header + random.Random(seed).randbytes(max(0, size - len(header))))[:size]


def duration_s(data: bytes) -> float:
    """The length of a recording: by its header when it is a WAV file, else by its size."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        return len(data) / RECORDED_BYTES_PER_S
    at, bytes_per_s = 12, 0
    while at + 8 <= len(data):
        name, size = struct.unpack("<4sI", data[at : at + 8])
        if name == b"fmt " and at + 20 <= len(data):
            (bytes_per_s,) = struct.unpack("<I", data[at + 16 : at + 20])
        if name == b"data":
            return float(min(size, len(data) - at - 8)) / (bytes_per_s or RECORDED_BYTES_PER_S)
        at += 8 + size + size % 2
    return len(data) / RECORDED_BYTES_PER_S


def heard_tokens(seconds: float) -> int:
    """The tokens of a recording, at least one."""
    return max(1, math.ceil(seconds * TOKENS_PER_S))


def of_base64(text: str) -> bytes:
    """The bytes of a recording inside JSON; raises ValueError."""
    return base64.b64decode(text, validate=True)
