"""`images/generations` and `images/edits`: pictures by gpt-image models (base64 only, also streamed) and dall-e-3."""

from __future__ import annotations

import base64
import datetime
import hashlib
from typing import Any

import orjson

from devtools.simulator import admission, content_filter, directives, errors, image_rules, pictures
from devtools.simulator.admission import Admitted
from devtools.simulator.directives import Directives
from devtools.simulator.exchange import Call, Event, Reply
from devtools.simulator.image_rules import PARTIAL_IMAGE_TOKENS, Asked
from devtools.simulator.prompts import text_tokens
from devtools.simulator.surfaces import date_of

URL_LIFETIME = datetime.timedelta(hours=24)


async def serve(call: Call) -> Reply:
    """Answers `images/generations`; raises AzureError."""
    deployment = admission.require_kind(call, ("image",), "imageGeneration")
    if deployment.base.by_tokens and date_of(call.api_version) < image_rules.GPT_SINCE:
        raise errors.operation_not_supported("imageGeneration", call.deployment_name)
    estimate = len(str(call.body.get("prompt") or "")) // 4
    return admission.admit(call, name="ImageGenerations_Create", estimate=estimate, work=_generate)


async def serve_edit(call: Call) -> Reply:
    """Answers `images/edits`, which gpt-image models do; raises AzureError."""
    deployment = admission.require_kind(call, ("image",), "imageEdit")
    if not deployment.base.by_tokens:
        raise errors.operation_not_supported("imageEdit", call.deployment_name)
    estimate = len(call.form.get("prompt") or "") // 4
    return admission.admit(call, name="ImageEdits_Create", estimate=estimate, work=_edit)


def _generate(admitted: Admitted) -> Reply:
    asked = image_rules.check(admitted.call.body, admitted.model)
    return _gpt_image(admitted, asked, "image_generation") if admitted.model.by_tokens else _dalle(admitted, asked)


def _edit(admitted: Admitted) -> Reply:
    return _gpt_image(admitted, image_rules.check_edit(admitted.call.form, admitted.model), "image_edit")


def _directed(call: Call, asked: Asked) -> Directives:
    """The directives in the prompt; raises 400 when the content filter takes it, or its picture."""
    wanted = directives.parse(asked.prompt, "prompt")
    if wanted.filter or content_filter.triggered(asked.prompt):
        raise errors.image_filtered(int(call.world.time()), generated=wanted.filter == "output")
    return wanted


def _gpt_image(admitted: Admitted, asked: Asked, event: str) -> Reply:
    call = admitted.call
    wanted = _directed(call, asked)
    text, seen = text_tokens(asked.prompt), asked.input_tokens
    written = asked.n * asked.output_tokens + asked.partial_images * PARTIAL_IMAGE_TOKENS
    usage = {
        "input_tokens": text + seen,
        "input_tokens_details": {"image_tokens": seen, "text_tokens": text},
        "output_tokens": written,
        "output_tokens_details": {"image_tokens": written, "text_tokens": 0},
        "total_tokens": text + seen + written,
    }
    about = {
        "background": asked.background,
        "output_format": asked.format,
        "quality": asked.quality,
        "size": asked.size,
    }
    reply = admitted.reply(wanted, stream=asked.stream)
    reply.line = admitted.open_line(
        stream=asked.stream, prompt_tokens=text + seen, input_image_tokens=seen, images=asked.n,
        image_size=asked.size, quality=asked.quality,
    )  # fmt: skip
    if asked.stream:
        reply.events = _events(call, asked, wanted, event, about, usage)
        return reply
    reply.line.completion_tokens = reply.line.output_image_tokens = written
    reply.line.finished = True
    data = [{"b64_json": _base64(call, asked, wanted, index)} for index in range(asked.n)]
    reply.body = orjson.dumps({"created": int(call.world.time()), **about, "data": data, "usage": usage})
    return reply


def _events(
    call: Call, asked: Asked, wanted: Directives, event: str, about: dict[str, str], usage: dict[str, Any]
) -> list[Event]:
    """The partial pictures, each better than the last, and the whole one."""

    def frame(kind: str, fields: dict[str, Any], tokens: int) -> Event:
        body = {"type": kind, "created_at": int(call.world.time()), **about, **fields}
        return Event(b"event: %s\ndata: %s\n\n" % (kind.encode(), orjson.dumps(body)), image_tokens=tokens)

    out = [
        frame(
            f"{event}.partial_image",
            {"b64_json": _base64(call, asked, wanted, -1 - index), "partial_image_index": index},
            PARTIAL_IMAGE_TOKENS,
        )
        for index in range(asked.partial_images)
    ]
    whole = {"b64_json": _base64(call, asked, wanted, 0), "usage": usage}
    return [*out, frame(f"{event}.completed", whole, asked.output_tokens)]


def _base64(call: Call, asked: Asked, wanted: Directives, index: int) -> str:
    """One picture; `index` is negative for a partial one."""
    width, height = asked.pixels
    seed = f"{call.world.seed} {call.deployment_name} {asked.prompt} {index}"
    data = pictures.made(asked.format, width, height, seed, alpha=asked.background == "transparent", size=wanted.bytes)
    return base64.b64encode(data).decode()


def _dalle(admitted: Admitted, asked: Asked) -> Reply:
    call = admitted.call
    wanted = _directed(call, asked)
    clean = {"detected": False, "filtered": False}
    data = {
        "content_filter_results": content_filter.categories(),
        "prompt_filter_results": content_filter.of_prompt() | {"profanity": clean},
        "revised_prompt": f"A picture of {asked.prompt}",
        **({"url": _url(call, asked)} if asked.as_url else {"b64_json": _base64(call, asked, wanted, 0)}),
    }
    reply = admitted.reply(wanted)
    reply.line = admitted.open_line(images=1, image_size=asked.size, quality=asked.quality)
    reply.line.finished = True
    reply.body = orjson.dumps({"created": int(call.world.time()), "data": [data]})
    return reply


def _url(call: Call, asked: Asked) -> str:
    """Where the picture is for a day; here at the simulator itself."""
    seed = hashlib.blake2b(f"{call.world.seed} {asked.prompt}".encode("utf-8", "replace"), digest_size=16).hexdigest()
    until = datetime.datetime.fromtimestamp(call.world.time(), datetime.UTC) + URL_LIFETIME
    host = call.request.headers.get("host", "127.0.0.1")
    return (
        f"http://{host}/_sim/images/{seed}/{asked.size}/generated_00.png?se={until:%Y-%m-%dT%H:%M:%SZ}&sp=r&sig={seed}"
    )
