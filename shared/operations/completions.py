"""`POST /v1/completions`: text completion, for instruct models (`azure_text/<deployment>`)."""

from __future__ import annotations

from typing import Any

from shared.operations.chat_events import TextEvents
from shared.operations.encoding import asking_usage, dumped
from shared.operations.operation import TEXT, Call, Incoming, Proxied
from shared.operations.parsing import call_of, missing, stream_options, wants_usage, wrong_type
from shared.upstream.deployment import Deployment
from shared.usage.estimate import inputs_tokens, tokens_of
from shared.usage.usage import Usage, chat_usage


def parse(incoming: Incoming) -> Call:
    """A Call of a text completion: `prompt` is a string, an array of strings, or tokens. Raises BadRequest."""
    call = call_of(incoming)
    prompt = incoming.body.get("prompt")
    if prompt is None:
        raise missing("prompt")
    if not isinstance(prompt, str | list):
        raise wrong_type("prompt", "a string or an array", prompt)
    stream_options(incoming.body, stream=call.stream)
    return call


def encode(call: Call, deployment: Deployment) -> bytes:
    """The JSON for one deployment, with usage asked for in a stream where it can be."""
    body = {**call.body, "model": deployment.name}
    return dumped(asking_usage(body, "completions", deployment) if call.stream else body)


def _completion_tokens(payload: dict[str, Any]) -> int:
    choices = payload.get("choices")
    texts = [choice.get("text") for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else []
    return sum(tokens_of(text) for text in texts if isinstance(text, str))


COMPLETION = Proxied(
    upstream_path="completions",
    modes=frozenset({"completion"}),
    providers=frozenset({"azure", "azure_text", "openai"}),
    billing_unit="tokens",
    parse=parse,
    encode=encode,
    usage=chat_usage,
    estimate=lambda call: Usage(inputs_tokens(call.body.get("prompt")), 0, source="estimated"),
    completion_tokens=_completion_tokens,
    translator=lambda call: TextEvents(call.call_id, call.model, show_usage=wants_usage(call)),
    replay=TEXT,
)
