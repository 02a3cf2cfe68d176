"""`POST /v1/embeddings`: strings or tokens, as floats or base64; the reply is passed on as it came."""

from __future__ import annotations

from typing import Any

from shared.errors import BadRequest
from shared.operations.encoding import encode
from shared.operations.operation import TEXT, Call, Incoming, Proxied
from shared.operations.parsing import call_of, missing, wrong_type
from shared.usage.estimate import inputs_tokens, no_tokens
from shared.usage.usage import Usage, chat_usage

INPUTS_MAX = 2048
"""Inputs of one request (Azure OpenAI quotas and limits)."""


def parse(incoming: Incoming) -> Call:
    """A Call of an embeddings request. Raises BadRequest."""
    call = call_of(incoming, streams=False)
    inputs = incoming.body.get("input")
    if inputs is None:
        raise missing("input")
    _check_input(inputs)
    encoding = incoming.body.get("encoding_format")
    if encoding not in (None, "float", "base64"):
        raise _invalid("encoding_format", "expected 'float' or 'base64'.")
    dimensions = incoming.body.get("dimensions")
    if dimensions is not None and type(dimensions) is not int:
        raise wrong_type("dimensions", "an integer", dimensions)
    if dimensions is not None and dimensions < 1:
        raise _invalid("dimensions", "it must be at least 1.")
    return call


def _check_input(inputs: Any) -> None:
    """A string, tokens, or up to 2,048 of either, all of one kind and none of them empty. Raises BadRequest."""
    if not isinstance(inputs, str | list):
        raise wrong_type("input", "a string or an array", inputs)
    if not inputs:
        raise _invalid("input", "it is empty.")
    if isinstance(inputs, str) or _are_tokens(inputs):
        return
    kind = type(inputs[0])
    for position, one in enumerate(inputs):
        tokens = kind is list and type(one) is list and _are_tokens(one)
        if not (tokens or (kind is str and type(one) is str)):
            raise wrong_type(f"input[{position}]", "a string, or an array of tokens, as every other input", one)
        if not one:
            raise _invalid("input", f"the input at position {position} is empty.")
    if len(inputs) > INPUTS_MAX:
        raise BadRequest(
            f"Invalid 'input': {len(inputs)} inputs are more than the {INPUTS_MAX} of one request.",
            param="input",
            code="array_above_max_length",
        )


def _are_tokens(values: list[Any]) -> bool:
    return all(type(value) is int for value in values)


def _invalid(name: str, reason: str) -> BadRequest:
    return BadRequest(f"Invalid '{name}': {reason}", param=name, code="invalid_value")


EMBEDDING = Proxied(
    upstream_path="embeddings",
    modes=frozenset({"embedding"}),
    providers=frozenset({"azure", "openai"}),
    billing_unit="input tokens",
    parse=parse,
    encode=encode,
    usage=chat_usage,
    estimate=lambda call: Usage(inputs_tokens(call.body.get("input")), 0, source="estimated"),
    completion_tokens=no_tokens,
    replay=TEXT,
)
