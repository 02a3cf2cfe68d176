"""`chat/completions`: checks the request, admits it, answers it and writes the bill."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson

from devtools.simulator import (
    admission,
    answers,
    chat_audio,
    chat_data,
    chat_rules,
    chat_stream,
    content_filter,
    directives,
    errors,
    headers,
    named_files,
    prompts,
)
from devtools.simulator.admission import Admitted
from devtools.simulator.answers import Answer, Choice
from devtools.simulator.exchange import Call, Event, Reply
from devtools.simulator.prompts import Prompt

RATE_LIMIT_NAME = "ChatCompletions_Create"
NOT_SUPPORTED_NAME = "chatCompletion"
ESTIMATE_WITHOUT_MAX_TOKENS = 16
"""What Azure's estimate takes for the answer when the request sets no maximum (Microsoft's own simulator)."""


async def serve(call: Call) -> Reply:
    """Answers a chat call; raises AzureError."""
    admission.require_kind(call, ("chat",), NOT_SUPPORTED_NAME)
    return admission.admit(
        call,
        name=RATE_LIMIT_NAME,
        estimate=_estimate(call.body),
        work=_answer,
        in_stream=(lambda: _refused_in_stream(call)) if call.body.get("stream") else None,
    )


def _answer(admitted: Admitted) -> Reply:
    call, model = admitted.call, admitted.model
    stream = bool(call.body.get("stream"))
    chat_rules.check(call.body, model, call.surface, call.api_version)
    named_files.check(call)
    prompt = prompts.read(call.body["messages"], model)
    earlier = chat_audio.earlier_tokens(call, call.world.audio)
    if earlier:
        prompt = replace(prompt, tokens=prompt.tokens + earlier, audio_tokens=prompt.audio_tokens + earlier)
    chat_audio.require_audio(call.body, model, prompt.audio_tokens)
    wanted = directives.parse(prompt.last)
    _check_context(call.body, prompt, model.context_tokens)
    category = content_filter.triggered(prompt.text) or ("jailbreak" if wanted.filter == "prompt" else None)
    if category:
        raise admitted.filtered(content_filter.of_prompt(category), prompt_tokens=prompt.tokens, stream=stream)
    answer = answers.generate(call.world.seed, model, call.body, prompt, wanted)
    if chat_audio.wanted(call.body):
        chat_audio.speak(call, call.world.audio, answer, wanted)
    reply = admitted.reply(wanted, stream=stream)
    cached = admitted.cached_tokens(prompt.text, prompt.tokens)
    reply.line = admitted.open_line(
        stream=stream, prompt_tokens=prompt.tokens, cached_tokens=cached, input_audio_tokens=prompt.audio_tokens
    )
    usage = _usage(prompt, cached, answer)
    if stream:
        reply.events = _events(call, answer, usage, prompt)
        return reply
    reply.line.completion_tokens = answer.completion_tokens
    reply.line.reasoning_tokens = answer.reasoning_tokens
    reply.line.output_audio_tokens = answer.audio_tokens
    reply.line.finished = True
    reply.first_ms += reply.delay_ms * sum(len(choice.pieces) for choice in answer.choices)
    reply.body = orjson.dumps(_completion(call, answer, usage, prompt))
    return reply


def _estimate(body: dict[str, Any]) -> int:
    """Azure's estimate at arrival: characters of the messages / 4, plus the maximum answer."""
    messages = body.get("messages")
    prompt = len(orjson.dumps(messages)) // 4 if messages else 0
    most = body.get("max_completion_tokens") or body.get("max_tokens")
    return prompt + (most if isinstance(most, int) else ESTIMATE_WITHOUT_MAX_TOKENS)


def _refused_in_stream(call: Call) -> Reply:
    """The stream that tells inside a 200 that the call is over its limit."""
    encoder = chat_stream.Encoder(_envelope(call), include_usage=False, asynchronous=False)
    error = orjson.dumps(errors.stream_error(call.deployment_name, call.resource.region))
    return Reply(
        headers=headers.of_model(call, stream=True),
        events=[encoder.prompt_results(), Event(b"data: " + error + b"\n\n")],
    )


def _check_context(body: dict[str, Any], prompt: Prompt, window: int) -> None:
    completion = body.get("max_completion_tokens") or body.get("max_tokens") or 0
    if prompt.tokens + completion > window:
        raise errors.context_length_exceeded(window, prompt.tokens, completion)


def _usage(prompt: Prompt, cached: int, answer: Answer) -> dict[str, Any]:
    return {
        "completion_tokens": answer.completion_tokens,
        "completion_tokens_details": {
            "accepted_prediction_tokens": 0,
            "audio_tokens": answer.audio_tokens,
            "reasoning_tokens": answer.reasoning_tokens,
            "rejected_prediction_tokens": 0,
        },
        "prompt_tokens": prompt.tokens,
        "prompt_tokens_details": {"audio_tokens": prompt.audio_tokens, "cached_tokens": cached},
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


def _events(call: Call, answer: Answer, usage: dict[str, Any], prompt: Prompt) -> list[Event]:
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
        context=chat_data.context(call.body, prompt.last),
    )


def _completion(call: Call, answer: Answer, usage: dict[str, Any], prompt: Prompt) -> dict[str, Any]:
    return _envelope(call) | {
        "object": "chat.completion",
        "choices": [_choice(choice, call.body, prompt) for choice in answer.choices],
        "prompt_filter_results": content_filter.PROMPT_RESULTS,
        "usage": usage,
    }


def _choice(choice: Choice, body: dict[str, Any], prompt: Prompt) -> dict[str, Any]:
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
    if choice.spoken:
        message["content"] = None
        message["audio"] = chat_audio.message_audio(choice.spoken, choice.text)
    context = chat_data.context(body, prompt.last)
    if context is not None:
        message |= {"context": context, "end_turn": True}
    logprobs = None
    if body.get("logprobs"):
        logprobs = {"content": [chat_stream.token_logprob(piece) for piece in choice.pieces], "refusal": None}
    enhancements = chat_data.enhancements(body)
    return {
        "content_filter_results": results,
        "finish_reason": choice.finish,
        "index": choice.index,
        "logprobs": logprobs,
        "message": message,
        **({"enhancements": enhancements} if enhancements else {}),
    }
