"""How a deployment of each mode is asked whether it works: the smallest real call, or one that costs nothing.

chat, completion   a call of at most CHECK_TOKENS tokens, by the name that the model has for the bound
embedding          one embedding of "hi"
batch              its list of batches: a batch deployment answers no chat
everything else    the models of its resource: images, audio and responses would be billed for nothing

The last two prove the address, the credential and its role, not the deployment's own name. An entry without a mode
is checked as what its model is known to do; a model that is not known, and a wildcard, by the models of the resource.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from shared.errors import BadRequest, SpillwayError
from shared.upstream.deployment import Deployment
from shared.usage.usage import Usage, chat_usage

CHECK_TOKENS = 5
PROMPT_TOKENS = 8
"""Of "hi" in a message."""
NOTHING = Usage(0, 0, source="estimated")


@dataclass(frozen=True, slots=True)
class Check:
    """One request. `kind` is its name in reports, `operation` a name of shared.catalog.api_versions. `usage` reads what
    a billed check has used, None for a check that is free; `expected` is that before it is sent."""

    kind: str
    operation: str
    path: str
    body: bytes | None = None
    query: tuple[tuple[str, str], ...] = ()
    usage: Callable[[Any], Usage | None] | None = None
    expected: Usage = NOTHING

    @property
    def method(self) -> str:
        return "GET" if self.body is None else "POST"


_MODELS = Check("models", "models", "models")
_BATCHES = Check("batches", "batches", "batches", query=(("limit", "1"),))


def check_for(deployment: Deployment) -> Check:
    """The check of a deployment: by its mode, else by what its model does."""
    if "*" in deployment.name:
        return _MODELS
    mode = deployment.mode or _mode_of_model(deployment)
    if mode == "batch":
        return _BATCHES
    if mode == "chat":
        messages = [{"role": "user", "content": "hi"}]
        body = {"messages": messages, deployment.capability.max_tokens_field: CHECK_TOKENS}
        return _billed("chat", "chat_completions", "chat/completions", deployment, body, chat_usage)
    if mode == "completion":
        body = {"prompt": "hi", "max_tokens": CHECK_TOKENS}
        return _billed("completion", "completions", "completions", deployment, body, chat_usage)
    if mode == "embedding":
        return _billed("embedding", "embeddings", "embeddings", deployment, {"input": "hi"}, chat_usage)
    return _MODELS


def proves_alive(error: SpillwayError) -> bool:
    """Whether a refusal came from the model itself: a reasoning model that thinks beyond the few tokens of a check says
    so in a 400 that names neither a code nor a parameter; every refusal of the gateway in front of it names one."""
    return type(error) is BadRequest and error.code is None and error.param is None


def _mode_of_model(deployment: Deployment) -> str | None:
    if deployment.provider == "azure_text":
        return "completion"
    operations = deployment.capability.operations or frozenset()
    for operation, mode in (
        ("chat_completions", "chat"),
        ("embeddings", "embedding"),
        ("completions", "completion"),
    ):
        if operation in operations:
            return mode
    return None


def _billed(
    kind: str,
    operation: str,
    path: str,
    deployment: Deployment,
    body: dict[str, Any],
    usage: Callable[[Any], Usage | None],
) -> Check:
    expected = Usage(PROMPT_TOKENS, 0 if kind == "embedding" else CHECK_TOKENS, source="estimated")
    return Check(
        kind, operation, path, orjson.dumps({"model": deployment.name, **body}), usage=usage, expected=expected
    )
