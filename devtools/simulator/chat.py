"""`chat/completions`: checks the request, admits it, answers it and writes the bill."""

from __future__ import annotations

from typing import Any

import orjson

from devtools.simulator import answers, chat_rules, chat_stream, content_filter, directives, errors, headers, prompts
from devtools.simulator.answers import Answer, Choice
from devtools.simulator.bill import Line
from devtools.simulator.directives import Directives
from devtools.simulator.exchange import Call, Event, Reply
from devtools.simulator.limits import Limit
from devtools.simulator.prompts import Prompt
from devtools.simulator.resources import Deployment

RATE_LIMIT_NAME = "ChatCompletions_Create"
NOT_SUPPORTED_NAME = "chatCompletion"
ESTIMATE_WITHOUT_MAX_TOKENS = 16
"""What Azure's estimate takes for the answer when the request sets no maximum (Microsoft's own simulator)."""


async def serve(call: Call) -> Reply:
    """Answers a chat call; raises AzureError."""
    deployment = call.deployment
    assert deployment is not None
    if deployment.base.kind != "chat":
        raise errors.operation_not_supported(NOT_SUPPORTED_NAME, call.deployment_name)
    stream = bool(call.body.get("stream"))
    limit = call.world.limits.of(call.resource.name, call.deployment_name, deployment)
    estimate = _estimate(call.body)
    refused = _admit(call, deployment, limit, estimate, stream=stream)
    if refused is not None:
        return refused
    try:
        return _admitted(call, deployment, limit, estimate, stream=stream)
    except errors.AzureError as error:
        limit.correct(estimate, 0)
        error.headers |= headers.of_limit(limit, deployment.ratelimit_headers, call.world.now())
        raise


def _admitted(call: Call, deployment: Deployment, limit: Limit, estimate: int, *, stream: bool) -> Reply:
    model = deployment.base
    chat_rules.check(call.body, model, call.surface, call.api_version)
    prompt = prompts.read(call.body["messages"], model)
    wanted = directives.parse(prompt.last)
    _check_context(call.body, prompt, model.context_tokens)
    sent = headers.of_model(call, stream=stream) | headers.of_limit(
        limit, deployment.ratelimit_headers, call.world.now()
    )
    category = content_filter.triggered(prompt.text) or ("jailbreak" if wanted.filter == "prompt" else None)
    if category:
        _open_line(call, prompt, cached=0, status=400, stream=stream).finished = True
        filtered = errors.prompt_filtered(content_filter.of_prompt(category))
        filtered.headers = sent | {"content-type": "application/json"}
        raise filtered
    answer = answers.generate(call.world.seed, model, call.body, prompt, wanted)
    reply = Reply(headers=sent, limit=limit, estimate=estimate)
    _pace(reply, deployment, wanted)
    cached = call.world.cached_tokens(call.resource.name, call.deployment_name, prompt.text, prompt.tokens)
    reply.line = _open_line(call, prompt, cached=cached, status=200, stream=stream)
    usage = _usage(prompt, cached, answer)
    if stream:
        reply.events = _events(call, answer, usage)
        return reply
    reply.line.completion_tokens = answer.completion_tokens
    reply.line.reasoning_tokens = answer.reasoning_tokens
    reply.line.finished = True
    reply.first_ms += reply.delay_ms * sum(len(choice.pieces) for choice in answer.choices)
    reply.body = orjson.dumps(_completion(call, answer, usage))
    return reply


def _estimate(body: dict[str, Any]) -> int:
    """Azure's estimate at arrival: characters of the messages / 4, plus the maximum answer."""
    messages = body.get("messages")
    prompt = len(orjson.dumps(messages)) // 4 if messages else 0
    most = body.get("max_completion_tokens") or body.get("max_tokens")
    return prompt + (most if isinstance(most, int) else ESTIMATE_WITHOUT_MAX_TOKENS)


def _admit(call: Call, deployment: Deployment, limit: Limit, estimate: int, *, stream: bool) -> Reply | None:
    """Counts the request; raises 429 when it is over a limit, or gives the stream that tells so inside a 200."""
    now = call.world.now()
    refusal = limit.admit(estimate, now)
    if refusal is None:
        return None
    if stream and deployment.ratelimit_in_stream:
        encoder = chat_stream.Encoder(_envelope(call), include_usage=False, asynchronous=False)
        error = orjson.dumps(errors.stream_error(call.deployment_name, call.resource.region))
        return Reply(
            headers=headers.of_model(call, stream=True),
            events=[encoder.prompt_results(), Event(b"data: " + error + b"\n\n")],
        )
    if refusal.kind == "provisioned":
        error_429 = errors.provisioned_full(refusal.retry_after_s)
    else:
        error_429 = errors.rate_limited(refusal.kind, RATE_LIMIT_NAME, call.api_version, refusal.retry_after_s)
    quirk = deployment.ratelimit_headers
    error_429.headers = headers.of_limit(limit, quirk, now) | headers.of_refusal(refusal, quirk)
    raise error_429


def _check_context(body: dict[str, Any], prompt: Prompt, window: int) -> None:
    completion = body.get("max_completion_tokens") or body.get("max_tokens") or 0
    if prompt.tokens + completion > window:
        raise errors.context_length_exceeded(window, prompt.tokens, completion)


def _pace(reply: Reply, deployment: Deployment, wanted: Directives) -> None:
    reply.first_ms = deployment.first_ms if wanted.first_ms is None else wanted.first_ms
    reply.delay_ms = deployment.delay_ms if wanted.delay_ms is None else wanted.delay_ms


def _open_line(call: Call, prompt: Prompt, *, cached: int, status: int, stream: bool) -> Line:
    assert call.deployment is not None
    return call.world.bill.open(
        time=call.world.time(),
        resource=call.resource.name,
        deployment=call.deployment_name,
        model=call.deployment.model,
        operation=call.operation,
        api_version=call.api_version,
        surface=call.surface,
        stream=stream,
        status=status,
        prompt_tokens=prompt.tokens,
        cached_tokens=cached,
        client_request_id=call.request.headers.get("x-ms-client-request-id"),
    )


def _usage(prompt: Prompt, cached: int, answer: Answer) -> dict[str, Any]:
    return {
        "completion_tokens": answer.completion_tokens,
        "completion_tokens_details": {
            "accepted_prediction_tokens": 0,
            "audio_tokens": 0,
            "reasoning_tokens": answer.reasoning_tokens,
            "rejected_prediction_tokens": 0,
        },
        "prompt_tokens": prompt.tokens,
        "prompt_tokens_details": {"audio_tokens": 0, "cached_tokens": cached},
        "total_tokens": prompt.tokens + answer.completion_tokens,
    }


def _envelope(call: Call) -> dict[str, Any]:
    assert call.deployment is not None
    return {
        "id": call.world.id("chatcmpl-", 29),
        "created": int(call.world.time()),
        "model": call.deployment.base.wire,
        "system_fingerprint": f"fp_{call.world.seed & 0xFFFFFFFFFF:010x}",
    }


def _events(call: Call, answer: Answer, usage: dict[str, Any]) -> list[Event]:
    assert call.deployment is not None
    include_usage = bool((call.body.get("stream_options") or {}).get("include_usage"))
    encoder = chat_stream.Encoder(
        _envelope(call),
        include_usage=include_usage,
        asynchronous=call.deployment.content_filter == "asynchronous",
    )
    return chat_stream.events(
        answer,
        encoder,
        usage if include_usage else None,
        legacy_functions="functions" in call.body,
        logprobs=bool(call.body.get("logprobs")),
    )


def _completion(call: Call, answer: Answer, usage: dict[str, Any]) -> dict[str, Any]:
    return _envelope(call) | {
        "object": "chat.completion",
        "choices": [_choice(choice, call.body) for choice in answer.choices],
        "prompt_filter_results": content_filter.PROMPT_RESULTS,
        "usage": usage,
    }


def _choice(choice: Choice, body: dict[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = {"content": choice.text, "refusal": None, "role": "assistant", "annotations": []}
    results = content_filter.of_completion("violence" if choice.filtered else None)
    if choice.tool_calls:
        results = {}
        message["content"] = None
        functions = [{"name": call.name, "arguments": call.arguments} for call in choice.tool_calls]
        if "functions" in body:
            message["function_call"] = functions[0]
        else:
            message["tool_calls"] = [
                {"id": chat_stream.call_id(choice.index, at, function["arguments"]), "type": "function",
                 "function": function}
                for at, function in enumerate(functions)
            ]  # fmt: skip
    logprobs = None
    if body.get("logprobs"):
        logprobs = {"content": [chat_stream.token_logprob(piece) for piece in choice.pieces], "refusal": None}
    return {
        "content_filter_results": results,
        "finish_reason": choice.finish,
        "index": choice.index,
        "logprobs": logprobs,
        "message": message,
    }
