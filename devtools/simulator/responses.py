"""`POST responses`: checks the request, admits it, answers it buffered, streamed or in the background."""

from __future__ import annotations

from typing import Any

import orjson

from devtools.simulator import (
    admission,
    answers,
    content_filter,
    directives,
    errors,
    headers,
    named_files,
    responses_errors,
    responses_input,
    responses_output,
    responses_rules,
    responses_stream,
)
from devtools.simulator.admission import Admitted
from devtools.simulator.answers import Answer
from devtools.simulator.directives import Directives
from devtools.simulator.exchange import Call, Event, Reply
from devtools.simulator.responses_input import Conversation
from devtools.simulator.responses_output import Output
from devtools.simulator.responses_store import Background, Stored

RATE_LIMIT_NAME = "Responses_Create"
ESTIMATE_WITHOUT_MAX_TOKENS = 16
QUEUED_S = 1.0
RUN_S = 4.0
FAILURE = {"code": "rate_limit_exceeded", "message": "Too Many Requests"}


async def serve(call: Call) -> Reply:
    """Answers `POST responses`; raises AzureError."""
    require_model(call)
    return admission.admit(
        call,
        name=RATE_LIMIT_NAME,
        estimate=estimate(call.body),
        work=_answer,
        in_stream=(lambda: _refused_in_stream(call)) if call.body.get("stream") else None,
    )


def require_model(call: Call) -> None:
    """Raises 400 when the deployment's model is not one of the Responses API's."""
    deployment = admission.require_kind(call, ("chat", "responses"), "responses")
    if not deployment.base.responses:
        raise errors.operation_not_supported("responses", call.deployment_name)


def estimate(body: dict[str, Any]) -> int:
    """Azure's estimate at arrival: characters of the input / 4, plus the maximum answer."""
    most = body.get("max_output_tokens")
    prompt = len(orjson.dumps([body.get("input"), body.get("instructions")])) // 4
    return prompt + (most if isinstance(most, int) else ESTIMATE_WITHOUT_MAX_TOKENS)


def _refused_in_stream(call: Call) -> Reply:
    """The stream that tells inside a 200 that the call is over its limit, before any other event."""
    frame = responses_errors.error_frame(errors.stream_error(call.deployment_name, call.resource.region), 1)
    return Reply(headers=headers.of_model(call, stream=True), events=[Event(frame)])


def _answer(admitted: Admitted) -> Reply:
    call, model, store = admitted.call, admitted.model, admitted.call.world.responses
    stream = bool(call.body.get("stream"))
    responses_rules.check(call.body, model)
    named_files.check(call)
    conversation = responses_input.read(call, store, model)
    prompt = conversation.prompt
    wanted = directives.parse(prompt.last, "input")
    most = call.body.get("max_output_tokens") or 0
    if prompt.tokens + most > model.context_tokens:
        raise errors.context_length_exceeded(model.context_tokens, prompt.tokens, most)
    category = content_filter.triggered(prompt.text) or ("jailbreak" if wanted.filter == "prompt" else None)
    if category:
        raise admitted.filtered(content_filter.of_prompt(category), prompt_tokens=prompt.tokens, stream=stream)
    answer = answers.generate(call.world.seed, model, responses_output.as_chat(call.body), prompt, wanted)
    outputs = responses_output.outputs(call, store, conversation, answer, reasoning=model.reasoning)
    start = responses_output.response(call, reasoning=model.reasoning)
    cached = admitted.cached_tokens(prompt.text, prompt.tokens)
    end = _end(call, start, answer, outputs, prompt.tokens, cached)
    return _reply(admitted, wanted, conversation, outputs, start, end, cached)


def _end(
    call: Call, start: dict[str, Any], answer: Answer, outputs: list[Output], input_tokens: int, cached: int
) -> dict[str, Any]:
    """The response at its end: completed, incomplete, or failed as a fault wants it."""
    if _failed_after(call) is not None:
        body = call.fault.body if call.fault else None
        error = FAILURE | (body if isinstance(body, dict) else {})
        return start | {"status": "failed", "error": {"code": error["code"], "message": error["message"]}}
    output_tokens = sum(output.tokens_all for output in outputs)
    reason = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(answer.choices[0].finish)
    return start | {
        "status": "incomplete" if reason else "completed",
        "completed_at": None if reason else int(call.world.time()),
        "incomplete_details": {"reason": reason} if reason else None,
        "output": [output.item for output in outputs],
        "usage": responses_output.usage(input_tokens, cached, output_tokens, answer.reasoning_tokens),
    }


def _failed_after(call: Call) -> int | None:
    return call.fault.failed_after_events if call.fault else None


def _reply(
    admitted: Admitted,
    wanted: Directives,
    conversation: Conversation,
    outputs: list[Output],
    start: dict[str, Any],
    end: dict[str, Any],
    cached: int,
) -> Reply:
    call = admitted.call
    stream = bool(call.body.get("stream"))
    failed_after = _failed_after(call)
    reply = admitted.reply(wanted, stream=stream)
    reply.error_frame = responses_errors.error_frame
    events = responses_stream.events(start, end, outputs, failed_after)
    generated = sum(event.tokens_all for event in events)
    reasoning = sum(event.reasoning_tokens for event in events)
    line = admitted.open_line(stream=stream, prompt_tokens=conversation.prompt.tokens, cached_tokens=cached)
    stored = Stored(end, conversation.items, call.world.time(), delay_s=reply.delay_ms / 1000)
    if start["store"]:
        call.world.responses.put(call.resource.name, stored)
    if start["background"]:
        run_s = _run_s(wanted, reply, len(events)) if stream or wanted.run_ms is not None else RUN_S
        queue_s = (0.0 if stream else QUEUED_S) if wanted.queued_ms is None else wanted.queued_ms / 1000
        stored.background = Background(call.world.now(), queue_s, run_s, line, generated, reasoning)
        stored.events = events if stream else None
        # The clock, not this answer's way to its client, says what is generated.
        admitted.limit.correct(admitted.estimate, line.prompt_tokens - cached + generated)
        reply.limit = None
        reply.first_ms = (run_s - stored.delay_s * (len(events) - 1) + queue_s) * 1000 if stream else 0.0
    else:
        reply.line = line
    if stream:
        reply.events, reply.broken = events, failed_after is not None
        return reply
    if not start["background"]:
        line.completion_tokens, line.reasoning_tokens, line.finished = generated, reasoning, failed_after is None
        reply.first_ms += reply.delay_ms * sum(len(output.pieces) for output in outputs)
    reply.body = orjson.dumps(stored.view(call.world.now()))
    return reply


def _run_s(wanted: Directives, reply: Reply, events: int) -> float:
    """How long a background response runs: as directed, but at least as long as its stream takes."""
    paced_s = (reply.first_ms + reply.delay_ms * (events - 1)) / 1000
    return paced_s if wanted.run_ms is None else max(paced_s, wanted.run_ms / 1000)
