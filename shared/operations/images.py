"""`POST /v1/images/generations` and `/v1/images/edits`, whole or streamed with partial images."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from shared.catalog.capabilities import Capability
from shared.errors import BadRequest
from shared.operations.encoding import encode
from shared.operations.forms import form_call, form_for, needs_file
from shared.operations.operation import Call, Incoming, Proxied
from shared.operations.parsing import call_of, text
from shared.operations.typed_events import TypedEvents
from shared.spend.estimates import painted
from shared.usage.estimate import inputs_tokens, no_tokens
from shared.usage.usage import Usage, image_usage

IMAGE_BYTES_MAX = 50 * 1024 * 1024
"""One input image (Azure's limit); a form may hold several, up to what the host takes at all."""
FORM_BYTES_MAX = 100 * 1024 * 1024
IMAGE_FIELDS = ("image", "image[]")
SEEN_TOKENS = 323
"""An input image of 1024x1536 (OpenAI's vision guide for gpt-image: 65, and 129 a tile, its shorter side 512)."""
SEEN_WELL_TOKENS = 6240
"""More of one with `input_fidelity: high`, where it is not square."""


def parse(incoming: Incoming) -> Call:
    """A Call of an image generation. Raises BadRequest."""
    text(incoming.body, "prompt")
    _check_count(incoming.body.get("n"))
    return call_of(incoming)


def parse_edit(incoming: Incoming) -> Call:
    """A Call of an image edit: a form with `image` or `image[]`, perhaps `mask`, and a prompt. Raises BadRequest."""
    text(incoming.body, "prompt")
    call = form_call(incoming)
    _check_count(incoming.body.get("n"))
    needs_file(call.files, IMAGE_FIELDS, IMAGE_BYTES_MAX)
    return call


def _check_count(count: Any) -> None:
    """A whole number, at least 1: what it costs is counted by it. How many a model makes at once is in its row."""
    try:
        valid = count is None or int(count) >= 1
    except (TypeError, ValueError):
        valid = False
    if not valid or isinstance(count, bool | float):
        raise BadRequest("Invalid 'n': expected a whole number of at least 1.", param="n", code="invalid_value")


def _estimate(call: Call) -> Usage:
    images = int(call.body.get("n") or 1)
    return told(call, Usage(inputs_tokens(call.body.get("prompt")), 0, images=images, source="estimated"))


def tokens_at(call: Call, estimated: Usage, model: Capability) -> tuple[int, int]:
    """Tokens that a model counts for the prompt, the images it is given and those it makes; dall-e counts none. Of a
    model that is not known the most is taken."""
    rules = model.image
    if rules is not None and not rules.tokens:
        return 0, 0
    if not estimated.image_quality and rules is not None:
        estimated = replace(estimated, image_quality=rules.quality_default)
    each = SEEN_TOKENS + SEEN_WELL_TOKENS * (call.body.get("input_fidelity") == "high")
    given = sum(file.field in IMAGE_FIELDS for file in call.files)
    return estimated.prompt + given * each, painted(estimated).completion


def told(call: Call, usage: Usage) -> Usage:
    """`usage` with the size and the quality that were asked for, where the reply names none, as dall-e's does."""
    size, quality = (
        value if isinstance(value, str) and value != "auto" else ""
        for value in (call.body.get("size"), call.body.get("quality"))
    )
    return replace(usage, image_size=usage.image_size or size, image_quality=usage.image_quality or quality)


def _events(call: Call, final: str) -> TypedEvents:
    def read(payload: Any) -> Usage | None:
        usage = image_usage(payload)
        return usage and told(call, usage)

    return TypedEvents(frozenset({final}), read)


GENERATION = Proxied(
    upstream_path="images/generations",
    modes=frozenset({"image_generation"}),
    providers=frozenset({"azure", "openai"}),
    billing_unit="images, or tokens of gpt-image models",
    parse=parse,
    encode=encode,
    usage=image_usage,
    estimate=_estimate,
    completion_tokens=no_tokens,
    translator=lambda call: _events(call, "image_generation.completed"),
    told=told,
    tokens_at=tokens_at,
)
EDIT = Proxied(
    upstream_path="images/edits",
    modes=frozenset({"image_generation", "image_edit"}),
    providers=frozenset({"azure", "openai"}),
    billing_unit="images, or tokens of gpt-image models",
    parse=parse_edit,
    encode=form_for,
    usage=image_usage,
    estimate=_estimate,
    completion_tokens=no_tokens,
    translator=lambda call: _events(call, "image_edit.completed"),
    told=told,
    tokens_at=tokens_at,
    body="form",
    body_bytes_max=FORM_BYTES_MAX,
)
