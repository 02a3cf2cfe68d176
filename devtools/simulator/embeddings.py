"""`embeddings`: unit vectors that are a function of the seed, the model and the text."""

from __future__ import annotations

import base64
import hashlib
import math
import random
import sys
from array import array
from typing import Any

import orjson

from devtools.simulator import admission, checks, directives, errors, texts
from devtools.simulator.admission import Admitted
from devtools.simulator.exchange import Call, Reply
from devtools.simulator.models import Model
from devtools.simulator.texts import Text

FIELDS = frozenset({"input", "model", "dimensions", "encoding_format", "user", "input_type"})
INPUTS_MAX = 2048


async def serve(call: Call) -> Reply:
    """Answers an embeddings call; raises AzureError."""
    admission.require_kind(call, ("embeddings",), "embeddings")
    estimate = len(orjson.dumps(call.body.get("input"))) // 4
    return admission.admit(call, name="Embeddings_Create", estimate=estimate, work=_answer)


def _answer(admitted: Admitted) -> Reply:
    call, model = admitted.call, admitted.model
    inputs = _check(call.body, model, call.surface)
    wanted = directives.parse(inputs[-1].text, "input")
    size = call.body.get("dimensions") or model.dimensions
    as_floats = checks.choice(call.body, "encoding_format", ("float", "base64"), "float") == "float"
    data = []
    for index, text in enumerate(inputs):
        vector = vector_of(call.world.seed, model.name, text.text, model.dimensions, size)
        shown = vector.tolist() if as_floats else base64.b64encode(_little_endian(vector)).decode()
        data.append({"object": "embedding", "index": index, "embedding": shown})
    tokens = sum(text.tokens for text in inputs)
    reply = admitted.reply(wanted)
    reply.line = admitted.open_line(prompt_tokens=tokens)
    reply.line.finished = True
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    reply.body = orjson.dumps({"object": "list", "data": data, "model": model.wire, "usage": usage})
    return reply


def _check(body: dict[str, Any], model: Model, surface: str) -> list[Text]:
    checks.known(body, FIELDS, surface)
    if body.get("input") is None:
        raise errors.missing_parameter("input")
    if isinstance(body["input"], list) and len(body["input"]) > INPUTS_MAX and not isinstance(body["input"][0], int):
        raise errors.invalid_request(
            f"Too many inputs. The max number of inputs is {INPUTS_MAX}. We hope to increase the number of inputs per "
            "request soon. Please contact us through an Azure support request at: "
            "https://go.microsoft.com/fwlink/?linkid=2213926 for further questions."
        )
    inputs = texts.texts(body["input"], "input")
    if not all(text.text for text in inputs):
        raise errors.invalid_request("Invalid 'input': input cannot be an empty string.", "input")
    longest = max(text.tokens for text in inputs)
    if longest > model.context_tokens:
        raise errors.prompt_too_long(model.context_tokens, longest, 0)
    if body.get("dimensions") is not None and model.name == "text-embedding-ada-002":
        raise errors.invalid_request("This model does not support specifying dimensions.")
    checks.integer(body, "dimensions", 1, model.dimensions)
    return inputs


def vector_of(seed: int, model: str, text: str, dimensions: int, size: int) -> array[float]:
    """The first `size` of a model's `dimensions`, of length 1, in float32."""
    digest = hashlib.blake2b(f"{seed}\0{model}\0{text}".encode("utf-8", "replace"), digest_size=8).digest()
    numbers = array("h")
    numbers.frombytes(random.Random(digest).randbytes(2 * dimensions))
    kept = numbers[:size]
    length = math.sqrt(sum(value * value for value in kept)) or 1.0
    return array("f", [value / length for value in kept])


def _little_endian(vector: array[float]) -> bytes:
    if sys.byteorder == "big":
        vector.byteswap()
    return vector.tobytes()
