"""Picture files: made as PNG or JPEG of a size, and looked at for theirs.

A made PNG is a true one, of one colour; a made JPEG has true headers, and noise where its picture would be.
"""

from __future__ import annotations

import random
import struct
import zlib
from dataclasses import dataclass

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
JPEG_MAGIC = b"\xff\xd8"
_JFIF = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
_JPEG_END = b"\xff\xd9"
_JPEG_NOISE_BYTES = 1024
_WITH_ALPHA = (4, 6)
"""PNG's colour types that have an alpha channel."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What a file says of itself: `png` or `jpeg`, its size in pixels, whether it has transparency."""

    kind: str
    width: int
    height: int
    alpha: bool


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def made(kind: str, width: int, height: int, seed: str, *, alpha: bool = False, size: int | None = None) -> bytes:
    """A picture, the same for the same seed; about `size` bytes of it when that is more than it needs."""
    rng = random.Random(seed)
    if kind == "jpeg":
        frame = struct.pack(">HHBHHB", 0xFFC0, 11, 8, height, width, 1) + b"\x01\x11\x00"
        noise = rng.randbytes(max(_JPEG_NOISE_BYTES, (size or 0) - 64)).replace(b"\xff", b"\xfe")
        return JPEG_MAGIC + _JFIF + frame + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" + noise + _JPEG_END
    rows = (b"\0" + bytes((width + 7) // 8)) * height
    parts = [
        PNG_MAGIC,
        _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 3, 0, 0, 0)),
        _chunk(b"PLTE", rng.randbytes(3)),
        _chunk(b"tRNS", b"\0") if alpha else b"",
        _chunk(b"siMu", rng.randbytes(size)) if size else b"",
        _chunk(b"IDAT", zlib.compress(rows)),
        _chunk(b"IEND", b""),
    ]
    return b"".join(parts)


def look(data: bytes) -> Picture | None:
    """What a file says of itself; None when it is neither PNG nor JPEG."""
    if data.startswith(PNG_MAGIC) and len(data) >= 26:
        width, height, _, colour = struct.unpack(">IIBB", data[16:26])
        return Picture("png", width, height, colour in _WITH_ALPHA or b"tRNS" in data[:4096])
    if data.startswith(JPEG_MAGIC):
        height, width = _jpeg_size(data)
        return Picture("jpeg", width, height, alpha=False)
    return None


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Height and width in a JPEG's frame header; 1024 each when there is none."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], struct.unpack(">H", data[at + 2 : at + 4])[0]
        if 0xC0 <= marker <= 0xC3:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return height, width
        at += 2 + length
    return 1024, 1024
