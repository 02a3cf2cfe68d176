"""Which image requests Azure refuses, and what a valid one asks for: gpt-image and dall-e-3 each have their rules.

Tokens by quality and size: OpenAI's image pricing page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from devtools.simulator import checks, errors, pictures
from devtools.simulator.forms import Form
from devtools.simulator.models import Model
from devtools.simulator.pictures import Picture
from devtools.simulator.surfaces import V1

GPT_FIELDS = frozenset({
    "model", "prompt", "n", "size", "quality", "output_format", "output_compression", "background", "moderation",
    "stream", "partial_images", "user",
})  # fmt: skip
EDIT_FIELDS = GPT_FIELDS - {"moderation"} | {"input_fidelity"}
DALLE_FIELDS = frozenset({"model", "prompt", "n", "size", "quality", "style", "response_format", "user"})
GPT_SIZES = ("1024x1024", "1024x1536", "1536x1024", "auto")
DALLE_SIZES = ("1024x1024", "1792x1024", "1024x1792")
GPT_PROMPT_CHARS_MAX = 32_000
DALLE_PROMPT_CHARS_MAX = 4_000
IMAGES_MAX = 10
GPT_SINCE = "2025-04-01"
OUTPUT_TOKENS = {
    "low": {"1024x1024": 272, "1024x1536": 408, "1536x1024": 400},
    "medium": {"1024x1024": 1056, "1024x1536": 1584, "1536x1024": 1568},
    "high": {"1024x1024": 4160, "1024x1536": 6240, "1536x1024": 6208},
}
PARTIAL_IMAGE_TOKENS = 100
INPUT_FILES_MAX = 16
INPUT_FILE_BYTES_MAX = 50 * 1024 * 1024
_NUMBERS = ("n", "output_compression", "partial_images")


@dataclass(frozen=True, slots=True)
class Asked:
    """A valid request."""

    prompt: str
    n: int
    size: str
    quality: str
    format: str = "png"
    background: str = "opaque"
    stream: bool = False
    partial_images: int = 0
    as_url: bool = False
    inputs: tuple[Picture, ...] = ()
    high_fidelity: bool = False

    @property
    def pixels(self) -> tuple[int, int]:
        """Width and height."""
        width, _, height = self.size.partition("x")
        return int(width), int(height)

    @property
    def output_tokens(self) -> int:
        """The tokens of one gpt-image picture, without the partial ones before it."""
        return OUTPUT_TOKENS[self.quality][self.size]

    @property
    def input_tokens(self) -> int:
        """The tokens of the pictures to edit: 65 each and 129 a tile of 512, and more at high fidelity."""
        return sum(65 + 129 * _tiles(one) + _fidelity(one) * self.high_fidelity for one in self.inputs)


def _tiles(picture: Picture) -> int:
    """Tiles of 512 x 512 once the shorter side is 512."""
    short, long = sorted((max(1, picture.width), max(1, picture.height)))
    return -(-long // short)


def _fidelity(picture: Picture) -> int:
    return 4160 if picture.width == picture.height else 6240


def check(body: Mapping[str, Any], model: Model) -> Asked:
    """What an `images/generations` body asks for; raises AzureError 400."""
    return gpt_image(body, model, GPT_FIELDS) if model.by_tokens else _dalle(body)


def gpt_image(body: Mapping[str, Any], model: Model, fields: frozenset[str]) -> Asked:
    """What a body for a gpt-image model asks for; raises AzureError 400."""
    checks.known(body, fields, V1)
    prompt = checks.text(body, "prompt", GPT_PROMPT_CHARS_MAX)
    size = checks.choice(body, "size", GPT_SIZES, "auto")
    usual = "medium" if model.name.endswith("-mini") else "high"
    quality = checks.choice(body, "quality", ("low", "medium", "high", "auto"), usual)
    kind = checks.choice(body, "output_format", ("png", "jpeg"), "png")
    background = checks.choice(body, "background", ("transparent", "opaque", "auto"), "auto")
    if background == "transparent" and kind == "jpeg":
        raise errors.invalid_request("Transparent background is not supported for JPEG output format.", "background")
    if checks.integer(body, "output_compression", 0, 100, 100) != 100 and kind == "png":
        raise errors.invalid_request(
            "Compression less than 100 is not supported for PNG output format.", "output_compression"
        )
    stream = body.get("stream") in (True, "true")
    n = checks.integer(body, "n", 1, IMAGES_MAX, 1) or 1
    partial = checks.integer(body, "partial_images", 0, 3, 0) or 0
    if partial and not stream:
        raise errors.invalid_request("'partial_images' is only allowed when 'stream' is enabled.", "partial_images")
    if stream and n > 1:
        raise errors.invalid_request("Streaming is only supported for n=1.", "n")
    return Asked(
        prompt, n, "1024x1024" if size == "auto" else size, usual if quality == "auto" else quality, kind,
        "opaque" if background == "auto" else background, stream, partial,
    )  # fmt: skip


def _dalle(body: Mapping[str, Any]) -> Asked:
    checks.known(body, DALLE_FIELDS, V1)
    prompt = checks.text(body, "prompt", DALLE_PROMPT_CHARS_MAX)
    checks.integer(body, "n", 1, 1)
    checks.choice(body, "style", ("vivid", "natural"), "vivid")
    return Asked(
        prompt, 1, checks.choice(body, "size", DALLE_SIZES, "1024x1024"),
        checks.choice(body, "quality", ("standard", "hd"), "standard"),
        as_url=checks.choice(body, "response_format", ("url", "b64_json"), "url") == "url",
    )  # fmt: skip


def check_edit(form: Form, model: Model) -> Asked:
    """What an `images/edits` form asks for; raises AzureError 400."""
    body: dict[str, Any] = dict(form.fields)
    for name in _NUMBERS:
        if str(body.get(name, "")).isdecimal():
            body[name] = int(body[name])
    fields = EDIT_FIELDS - {"input_fidelity"} if model.name.endswith("-mini") else EDIT_FIELDS
    asked = gpt_image(body, model, fields)
    high = checks.choice(body, "input_fidelity", ("low", "high"), "low") == "high"
    files = form.uploads("image")
    if not files:
        raise errors.missing_parameter("image")
    if len(files) > INPUT_FILES_MAX:
        raise errors.invalid_request(
            f"Invalid 'image': too many images. At most {INPUT_FILES_MAX} are allowed.", "image"
        )
    inputs = tuple(_picture(file.data, "image") for file in files)
    for mask in form.uploads("mask"):
        shown = _picture(mask.data, "mask")
        if shown.kind != "png" or not shown.alpha:
            raise errors.invalid_request("Invalid mask image: it must be a PNG with an alpha channel.", "mask")
        if (shown.width, shown.height) != (inputs[0].width, inputs[0].height):
            raise errors.invalid_request("Invalid mask image: it must have the size of the image.", "mask")
    return replace(asked, inputs=inputs, high_fidelity=high)


def _picture(data: bytes, name: str) -> Picture:
    if len(data) >= INPUT_FILE_BYTES_MAX:
        raise errors.invalid_request(f"Invalid '{name}': the file must be smaller than 50 MB.", name)
    shown = pictures.look(data)
    if shown is None:
        raise errors.invalid_request(
            f"Invalid file '{name}': unsupported mimetype ('application/octet-stream'). Supported file formats are "
            "'image/jpeg' and 'image/png'.",
            name,
            "unsupported_file_mimetype",
        )
    return shown
