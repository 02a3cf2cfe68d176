"""What an image counts: the guide's own examples, each model's rule, and sizes read from the first bytes of files."""

from __future__ import annotations

import base64
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.usage.estimate import chat_prompt_tokens, response_prompt_tokens
from shared.usage.pictures import GPT_4O, Patches, Tiles, image_tokens, rule_of, size_of


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + bytes(9)


def jpeg(width: int, height: int, before: bytes = b"") -> bytes:
    return b"\xff\xd8" + before + struct.pack(">HHBHHB", 0xFFC2, 11, 8, height, width, 1) + bytes(20)


def url(data: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


@pytest.mark.parametrize(
    ("width", "height", "detail", "tokens"),
    [(1024, 1024, "high", 765), (2048, 4096, "high", 1105), (4096, 8192, "low", 85), (512, 512, "auto", 255)],
)
def test_tiles_count_as_in_the_guide(width: int, height: int, detail: str, tokens: int) -> None:
    assert GPT_4O.tokens(width, height, detail) == tokens


@pytest.mark.parametrize(("width", "height", "tokens"), [(1024, 1024, 1024), (1800, 2400, 1536), (32, 33, 2)])
def test_patches_are_counted_up_to_their_most(width: int, height: int, tokens: int) -> None:
    assert Patches(1.0).tokens(width, height, "high") == tokens


def test_a_patch_counts_as_many_tokens_as_its_model_says() -> None:
    assert Patches(1.62).tokens(1024, 1024, "") == 1659
    assert Patches(1.0, 2500, 10_000).tokens(3200, 3200, "original") == 10_000
    assert Patches(1.0).tokens(3200, 3200, "low") == 256


@pytest.mark.parametrize(
    ("model", "rule"),
    [
        ("gpt-4o", GPT_4O),
        ("gpt-4o-mini", Tiles(2833, 5667)),
        ("o1-pro", Tiles(75, 150)),
        ("gpt-5-chat", Tiles(70, 140)),
        ("gpt-4.1", GPT_4O),
        ("gpt-4.1-nano", Patches(2.46)),
        ("o4-mini", Patches(1.72)),
        ("gpt-5.4-pro", Patches(1.0, 2500, 10_000)),
        ("", GPT_4O),
        ("nobody-knows", GPT_4O),
    ],
)
def test_each_model_has_its_rule(model: str, rule: Tiles | Patches) -> None:
    assert rule_of(model) == rule


@pytest.mark.parametrize(
    "data",
    [
        png(800, 600),
        jpeg(800, 600),
        jpeg(800, 600, b"\xff\xe1" + struct.pack(">H", 30_000) + bytes(29_998)),
        b"GIF89a" + struct.pack("<HH", 800, 600) + bytes(10),
        b"RIFF\0\0\0\0WEBPVP8X" + bytes(8) + (799).to_bytes(3, "little") + (599).to_bytes(3, "little"),
        b"RIFF\0\0\0\0WEBPVP8L" + bytes(5) + (799 | 599 << 14).to_bytes(4, "little"),
        b"RIFF\0\0\0\0WEBPVP8 " + bytes(10) + struct.pack("<HH", 800, 600),
    ],
    ids=["png", "jpeg", "jpeg with a preview", "gif", "webp", "webp lossless", "webp lossy"],
)
def test_the_size_of_a_file_is_read(data: bytes) -> None:
    assert size_of(url(data)) == (800, 600)


NOT_TOLD = ["https://example.com/cat.png", "data:image/png,raw", "data:image/png;base64,%%%", ""]


@pytest.mark.parametrize("written", [*NOT_TOLD, url(png(0, 0)), url(b"\xff\xd8")])
def test_a_size_that_is_not_told_is_none(written: str) -> None:
    assert size_of(written) is None


HEADS = [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF0000WEBPVP8 ", b"GIF89a"]


@given(st.binary(max_size=60), st.sampled_from(HEADS))
def test_no_bytes_raise(data: bytes, head: bytes) -> None:
    size = size_of(url(head + data))
    assert size is None or min(size) > 0


@pytest.mark.parametrize("part", [{}, {"image_url": 5}, {"image_url": {}}, {"image_url": {"url": 5, "detail": 5}}])
def test_an_image_that_cannot_be_looked_at_counts_as_a_usual_one(part: dict[str, Any]) -> None:
    assert image_tokens(part, GPT_4O) == 765


def test_chat_and_responses_count_images_by_size_detail_and_rule() -> None:
    small = {"type": "image_url", "image_url": {"url": url(png(500, 500)), "detail": "high"}}
    low = {"type": "input_image", "image_url": url(png(5000, 5000)), "detail": "low"}

    def chat(rule: Tiles | Patches, *parts: object) -> int:
        return chat_prompt_tokens({"messages": [{"role": "user", "content": list(parts)}]}, rule)

    assert chat(GPT_4O, small) - chat(GPT_4O) == 255
    assert chat(Patches(1.62), small) - chat(Patches(1.62)) == 415
    with_image = response_prompt_tokens({"input": [{"role": "user", "content": [low]}]})
    assert with_image - response_prompt_tokens({"input": [{"role": "user", "content": []}]}) == 85
