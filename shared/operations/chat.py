"""`POST /v1/chat/completions`: what is checked, what is forced, and what is sent."""

from __future__ import annotations

from shared.errors import BadRequest
from shared.operations.attached import CHAT_FILES
from shared.operations.chat_audio import resource_of, seal_chunks, seal_reply
from shared.operations.chat_events import ChatEvents
from shared.operations.encoding import asking_usage, dumped
from shared.operations.extensions import translated
from shared.operations.operation import TEXT, Call, Incoming, Proxied, changed_call
from shared.operations.parsing import asked_tier, call_of, missing, stream_options, wants_usage, wrong_type
from shared.operations.responses_ids import scrub
from shared.upstream.deployment import Deployment
from shared.usage.estimate import chat_completion_tokens, chat_prompt_tokens
from shared.usage.usage import Usage, chat_usage


def parse(incoming: Incoming) -> Call:
    """A Call of a chat request. Only what the gateway itself needs is checked; the rest is the model's.

    Raises BadRequest naming the parameter, or NotFound for the id of a spoken answer that is not this caller's.
    """
    call = call_of(incoming)
    messages = incoming.body.get("messages")
    if messages is None:
        raise missing("messages")
    if not isinstance(messages, list):
        raise wrong_type("messages", "an array", messages)
    if not messages:
        raise BadRequest("`messages` is empty: at least one message is needed.", param="messages", code="empty_array")
    stream_options(incoming.body, stream=call.stream)
    resource = resource_of(call.body, incoming.seal)
    return call if resource is None else changed_call(call, resource=resource)


def encode(call: Call, deployment: Deployment) -> bytes:
    """The JSON for one deployment: its own name as `model`, and usage asked for in a stream where it can be.

    Azure's fields of 2023 are sent as they are where the address says `/extensions`, and translated elsewhere. Raises
    BadRequest for one without a translation, and for JSON that is nested too deeply.
    """
    said = call.body if deployment.endpoint.extensions else translated(call.body)
    body = {**said, "model": deployment.name}
    return dumped(asking_usage(body, "chat_completions", deployment) if call.stream else body)


CHAT = Proxied(
    upstream_path="chat/completions",
    modes=frozenset({"chat"}),
    providers=frozenset({"azure", "openai"}),
    billing_unit="tokens",
    parse=parse,
    encode=encode,
    usage=chat_usage,
    estimate=lambda call: Usage(
        chat_prompt_tokens(call.body, call.pictures), 0, source="estimated", tier=asked_tier(call)
    ),
    completion_tokens=chat_completion_tokens,
    translator=lambda call: ChatEvents(call.call_id, call.model, show_usage=wants_usage(call), seal=seal_chunks(call)),
    seal=seal_reply,
    scrub=scrub,
    files=CHAT_FILES,
    replay=TEXT,
)
