"""`responses/compact` and `responses/input_tokens`: a conversation made shorter, and counted."""

from __future__ import annotations

from typing import Any

import orjson

from devtools.simulator import admission, directives, responses, responses_input, responses_output, sealing
from devtools.simulator.admission import Admitted
from devtools.simulator.exchange import Call, Reply
from devtools.simulator.responses_input import ID_DIGITS

COMPACTION_TOKENS_MIN = 16
COMPACTION_RATIO = 10


async def serve_compact(call: Call) -> Reply:
    """`POST responses/compact`: the user's messages as they are, and the rest in one encrypted item."""
    responses.require_model(call)
    return admission.admit(call, name="Responses_Compact", estimate=responses.estimate(call.body), work=_compact)


def _compact(admitted: Admitted) -> Reply:
    call = admitted.call
    conversation = responses_input.read(call, call.world.responses, admitted.model)
    prompt = conversation.prompt
    written = max(COMPACTION_TOKENS_MIN, prompt.tokens // COMPACTION_RATIO)
    item_id = call.world.hex_id("cmp_", ID_DIGITS)
    sealed = sealing.seal(call.world.seed, call.resource.name, item_id)
    output: list[dict[str, Any]] = [item for item in conversation.items if item.get("role") == "user"]
    output.append({"id": item_id, "type": "compaction", "encrypted_content": sealed})
    cached = admitted.cached_tokens(prompt.text, prompt.tokens)
    reply = admitted.reply(directives.parse(prompt.last, "input"))
    reply.line = admitted.open_line(prompt_tokens=prompt.tokens, cached_tokens=cached)
    reply.line.completion_tokens, reply.line.finished = written, True
    reply.body = orjson.dumps({
        "id": call.world.hex_id("resp_", ID_DIGITS),
        "object": "response.compaction",
        "created_at": int(call.world.time()),
        "output": output,
        "usage": responses_output.usage(prompt.tokens, cached, written, 0),
    })  # fmt: skip
    return reply


async def serve_input_tokens(call: Call) -> Reply:
    """`POST responses/input_tokens`: how many tokens a request's input is. It costs nothing."""
    responses.require_model(call)
    return admission.admit(call, name="Responses_InputTokens", estimate=0, work=_count)


def _count(admitted: Admitted) -> Reply:
    call = admitted.call
    conversation = responses_input.read(call, call.world.responses, admitted.model)
    reply = admitted.reply(directives.NONE)
    reply.body = orjson.dumps({"object": "response.input_tokens", "input_tokens": conversation.prompt.tokens})
    return reply
