"""`POST /spend/calculate`: what a request would cost, or what an answer did. Nothing is sent upstream.

`{model, messages | input | prompt, …}` is any request as it would be sent; `{model, completion_response}` an answer
whose `usage` is priced. It is priced as calls are: by what the configuration says of the model's deployments, never by
the model that an answer names. Where they charge differently the dearest counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson

from shared.admin.shown import dollars, usage_shown
from shared.errors import BadRequest
from shared.operations.audio import SPEECH
from shared.operations.body import read_json
from shared.operations.chat import CHAT
from shared.operations.completions import COMPLETION
from shared.operations.context import Context
from shared.operations.demand import output_max
from shared.operations.embeddings import EMBEDDING
from shared.operations.images import GENERATION
from shared.operations.intake import BODY_BYTES_MAX
from shared.operations.operation import Incoming, Proxied
from shared.operations.parsing import missing, wrong_type
from shared.operations.reply import BufferedReply
from shared.operations.responses import CREATE
from shared.spend.entry import usage_fields
from shared.spend.pricing import Charge, charge
from shared.upstream.deployment import Deployment
from shared.usage.estimate import no_tokens
from shared.usage.usage import Usage, chat_usage, image_usage, response_usage, transcription_usage, typed_usage

_ASKED_BY = {"messages": (CHAT,), "prompt": (COMPLETION, GENERATION), "input": (CREATE, EMBEDDING, SPEECH)}
"""The operations that are asked by a field; `mode`, or what is priced, tells which."""


async def calculate(context: Context) -> BufferedReply:
    """`{cost, max_cost, model, usage, deployments: [{deployment, model_id, cost, max_cost, …}]}`, in dollars.

    `cost` of a request is that of what it sends, `max_cost` with the longest answer that it allows, None when it sets
    no limit. Either is None where there is no price. Raises SpillwayError.
    """
    body = await read_json(context.request, BODY_BYTES_MAX)
    answer = body.get("completion_response")
    model = _model(body, answer)
    group = context.parts.router.group(model)
    context.record.model = model
    usage, most = _told(answer) if answer is not None else _asked(context, body, model, group)
    told = [_priced(one, usage, most) for one in group]
    return BufferedReply(
        200,
        orjson.dumps(
            {
                "cost": _dearest(told, "cost"),
                "max_cost": _dearest(told, "max_cost"),
                "model": model,
                "usage": usage_shown(usage_fields(usage)),
                "deployments": told,
            }
        ),
    )


def _model(body: dict[str, Any], answer: Any) -> str:
    if answer is not None and not isinstance(answer, dict):
        raise wrong_type("completion_response", "an object", answer)
    model = body.get("model")
    if model is None and answer is not None:
        model = answer.get("model")
    if model is None:
        raise missing("model")
    if not isinstance(model, str):
        raise wrong_type("model", "a string", model)
    return model


def _told(answer: dict[str, Any]) -> tuple[Usage, Usage]:
    """The usage of an answer of any operation, which is also the most that it used. Raises BadRequest."""
    usage = answer.get("usage")
    found: Usage | None
    if isinstance(usage, dict) and "prompt_tokens" in usage:
        found = chat_usage(answer)
    elif isinstance(answer.get("output"), list):
        found = response_usage(answer)
    elif isinstance(answer.get("data"), list):
        found = image_usage(answer)
    else:
        found = typed_usage(answer) or transcription_usage(answer)
    if found is None:
        raise BadRequest(
            "`completion_response` has no usage that can be read.",
            param="completion_response",
            code="invalid_value",
        )
    return found, found


def _asked(
    context: Context, body: dict[str, Any], model: str, group: Sequence[Deployment]
) -> tuple[Usage, Usage | None]:
    """What a request uses before it is answered, and with the longest answer. Raises BadRequest."""
    operation = _operation(body, group)
    call = operation.parse(
        Incoming(context.record.call_id, context.caller, None, {**body, "model": model}, context.seal)
    )
    usage = operation.estimate(call)
    if operation.completion_tokens is no_tokens:
        return usage, usage
    longest = output_max(call.body)
    return usage, None if longest is None else replace(usage, completion=longest)


def _operation(body: dict[str, Any], group: Sequence[Deployment]) -> Proxied:
    able = next((able for field, able in _ASKED_BY.items() if field in body), None)
    if able is None:
        raise BadRequest(
            "Missing required parameter: one of `messages`, `input`, `prompt` and `completion_response`.",
            code="missing_required_parameter",
        )
    modes = {_mode(one) for one in group}
    return next((one for one in able if one.modes & modes), able[0])


def _mode(deployment: Deployment) -> str:
    """What a deployment is for; one that does not say so is told by what it charges for."""
    price = deployment.price
    if deployment.mode is not None:
        return deployment.mode
    if price.character is not None:
        return "audio_speech"
    return "image_generation" if price.images or price.image is not None or price.pixel is not None else ""


def _priced(deployment: Deployment, usage: Usage, most: Usage | None) -> dict[str, Any]:
    batch = deployment.mode == "batch"
    charged = charge(usage, deployment.price, batch=batch)
    longest = None if most is None else charge(most, deployment.price, batch=batch)
    return {
        "deployment": deployment.label,
        "model_id": deployment.id,
        "base_model": deployment.base_model or deployment.price.model or None,
        "cost": _cost(charged),
        "max_cost": None if longest is None else _cost(longest),
        "parts": {name: dollars(part) for name, part in charged.parts.items()},
        "price_source": charged.price_source,
        "tier": charged.tier,
        "estimated": charged.estimated,
    }


def _cost(charged: Charge) -> float | None:
    return None if charged.cost is None else dollars(charged.cost)


def _dearest(told: Sequence[dict[str, Any]], name: str) -> float | None:
    return max((one[name] for one in told if one[name] is not None), default=None)
