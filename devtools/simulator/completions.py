"""`completions`: the text completions of the instruct models."""

from __future__ import annotations

from typing import Any

import orjson

from devtools.simulator import admission, answers, completion_rules, content_filter, directives
from devtools.simulator.admission import Admitted
from devtools.simulator.answers import Choice
from devtools.simulator.directives import Directives
from devtools.simulator.exchange import SSE_DONE, Call, Event, Reply
from devtools.simulator.texts import Text

MAX_TOKENS_DEFAULT = 16
LOGPROB = -0.25


async def serve(call: Call) -> Reply:
    """Answers a completions call; raises AzureError."""
    admission.require_kind(call, ("completion",), "completion")
    return admission.admit(call, name="Completions_Create", estimate=_estimate(call.body), work=_answer)


def _estimate(body: dict[str, Any]) -> int:
    """Azure's estimate at arrival: characters of the prompt / 4, plus the maximum answer times `best_of`."""
    most, of = body.get("max_tokens"), body.get("best_of")
    prompt = len(orjson.dumps(body.get("prompt"))) // 4
    return prompt + (most if isinstance(most, int) else MAX_TOKENS_DEFAULT) * (of if isinstance(of, int) else 1)


def _answer(admitted: Admitted) -> Reply:
    call = admitted.call
    stream = bool(call.body.get("stream"))
    texts = completion_rules.check(call.body, admitted.model, call.surface)
    wanted = directives.parse(texts[-1].text, "prompt")
    prompt = "\n".join(text.text for text in texts)
    tokens = sum(text.tokens for text in texts)
    category = content_filter.triggered(prompt) or ("jailbreak" if wanted.filter == "prompt" else None)
    if category:
        raise admitted.filtered(content_filter.of_prompt(category), prompt_tokens=tokens, stream=stream)
    choices, generated = _generate(admitted, texts, wanted)
    usage = {"completion_tokens": generated, "prompt_tokens": tokens, "total_tokens": tokens + generated}
    reply = admitted.reply(wanted, stream=stream)
    reply.line = admitted.open_line(stream=stream, prompt_tokens=tokens)
    if stream:
        reply.events = _events(call, choices, len(texts), usage)
        return reply
    reply.line.completion_tokens, reply.line.finished = generated, True
    reply.first_ms += reply.delay_ms * sum(len(choice.pieces) for choice in choices)
    reply.body = orjson.dumps(
        _envelope(call)
        | {
            "choices": [_choice(choice, call.body) for choice in choices],
            "prompt_filter_results": _prompt_results(len(texts)),
            "usage": usage,
        }
    )
    return reply


def _generate(admitted: Admitted, texts: list[Text], wanted: Directives) -> tuple[list[Choice], int]:
    """The choices that are shown, `n` for each prompt, and the tokens of all `best_of` that were written."""
    body, seed = admitted.call.body, admitted.call.world.seed
    n = body.get("n") or 1
    most = MAX_TOKENS_DEFAULT if body.get("max_tokens") is None else body["max_tokens"]
    shown: list[Choice] = []
    tokens = 0
    for position, text in enumerate(texts):
        asked = {"n": body.get("best_of") or n, "max_tokens": most, "stop": body.get("stop"), "seed": body.get("seed")}
        answer = answers.generate(seed, admitted.model, asked, text.prompt, wanted)
        for choice in answer.choices:
            if most == 0:
                choice.pieces, choice.finish = [], "length"
            tokens += choice.tokens
        for choice in answer.choices[:n]:
            choice.index += position * n
            if body.get("echo"):
                choice.pieces.insert(0, text.text)
            shown.append(choice)
    return shown, tokens


def _prompt_results(count: int) -> list[dict[str, Any]]:
    return [{**content_filter.PROMPT_RESULTS[0], "prompt_index": index} for index in range(count)]


def _envelope(call: Call) -> dict[str, Any]:
    assert call.deployment is not None
    return {
        "id": call.world.id("cmpl-", 29),
        "object": "text_completion",
        "created": int(call.world.time()),
        "model": call.deployment.base.wire,
    }


def _choice(choice: Choice, body: dict[str, Any]) -> dict[str, Any]:
    return {
        "text": choice.text,
        "index": choice.index,
        "finish_reason": choice.finish,
        "logprobs": _logprobs(choice.pieces, body.get("logprobs"), 0),
        "content_filter_results": content_filter.of_completion("violence" if choice.filtered else None),
    }


def _logprobs(pieces: list[str], count: int | None, offset: int) -> dict[str, Any] | None:
    """`logprobs` in the old shape, a piece as a token, all of them equally likely."""
    if count is None:
        return None
    offsets = []
    for piece in pieces:
        offsets.append(offset)
        offset += len(piece)
    return {
        "tokens": pieces,
        "token_logprobs": [LOGPROB] * len(pieces),
        "top_logprobs": [{piece: LOGPROB} for piece in pieces] if count else None,
        "text_offset": offsets,
    }


def _events(call: Call, choices: list[Choice], prompts: int, usage: dict[str, Any]) -> list[Event]:
    """The whole stream; choices take turns."""
    envelope = _envelope(call)
    include_usage = bool((call.body.get("stream_options") or {}).get("include_usage"))
    no_usage = {"usage": None} if include_usage else {}

    def event(part: dict[str, Any], tokens: int = 0) -> Event:
        return Event(b"data: " + orjson.dumps(part) + b"\n\n", tokens)

    foreign = {"id": "", "object": "", "created": 0, "model": ""}
    out = [event({**foreign, "prompt_filter_results": _prompt_results(prompts), "choices": [], **no_usage})]
    streams = [_deltas(choice, call.body) for choice in choices]
    for turn in range(max(map(len, streams))):
        for parts in streams:
            if turn < len(parts):
                delta, tokens = parts[turn]
                out.append(event({**envelope, "choices": [delta], **no_usage}, tokens))
    if include_usage:
        out.append(event({**envelope, "choices": [], "usage": usage}))
    out.append(Event(SSE_DONE))
    return out


def _deltas(choice: Choice, body: dict[str, Any]) -> list[tuple[dict[str, Any], int]]:
    """The parts of one choice, each with its tokens; the last has the finish reason."""
    out: list[tuple[dict[str, Any], int]] = []
    offset = 0
    for at, piece in enumerate(choice.pieces):
        echoed = bool(body.get("echo")) and at == 0
        part = {
            "text": piece,
            "index": choice.index,
            "finish_reason": None,
            "logprobs": _logprobs([piece], body.get("logprobs"), offset),
            "content_filter_results": content_filter.categories(),
        }
        out.append((part, 0 if echoed else choice.piece_tokens))
        offset += len(piece)
    results = content_filter.categories("violence") if choice.filtered else {}
    end = {"text": "", "index": choice.index, "finish_reason": choice.finish, "logprobs": None}
    out.append(({**end, "content_filter_results": results}, 0))
    return out
