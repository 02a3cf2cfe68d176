"""`POST /v1/embeddings`: strings or tokens, as floats or base64; the reply is passed on as it came."""

from __future__ import annotations

from typing import Any

from shared.errors import BadRequest
from shared.operations.operation import Call, Incoming, Proxied
from shared.operations.parsing import call_of, dumped, missing, wrong_type
from shared.upstream.deployment import Deployment
from shared.usage.estimate import inputs_tokens
from shared.usage.usage import Usage, chat_usage

INPUTS_MAX = 2048
"""Inputs of one request (Azure OpenAI quotas and limits)."""


def parse(incoming: Incoming) -> Call:
    """A Call of an embeddings request. Raises BadRequest."""
    call = call_of(incoming, streams=False)
    inputs = incoming.body.get("input")
    if inputs is None:
        raise missing("input")
    if not isinstance(inputs, str | list):
        raise wrong_type("input", "a string or an array", inputs)
    if not inputs:
        raise BadRequest("`input` is empty.", param="input", code="invalid_value")
    if isinstance(inputs, list) and not isinstance(inputs[0], int) and len(inputs) > INPUTS_MAX:
        raise BadRequest(
            f"Invalid 'input': {len(inputs)} inputs are more than the {INPUTS_MAX} of one request.",
            param="input",
            code="array_above_max_length",
        )
    encoding = incoming.body.get("encoding_format")
    if encoding not in (None, "float", "base64"):
        raise BadRequest(
            "Invalid 'encoding_format': expected 'float' or 'base64'.", param="encoding_format", code="invalid_value"
        )
    return call


def encode(call: Call, deployment: Deployment) -> bytes:
    """The JSON for one deployment."""
    return dumped({**call.body, "model": deployment.name})


def _no_completion(payload: dict[str, Any]) -> int:
    return 0


EMBEDDING = Proxied(
    upstream_path="embeddings",
    modes=frozenset({"embedding"}),
    providers=frozenset({"azure", "openai"}),
    billing_unit="input tokens",
    parse=parse,
    encode=encode,
    usage=chat_usage,
    estimate=lambda call: Usage(inputs_tokens(call.body.get("input")), 0, source="estimated"),
    completion_tokens=_no_completion,
)
