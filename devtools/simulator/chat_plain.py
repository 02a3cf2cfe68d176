"""The short way to the answer of a plain chat request, for batches of many: no tools, images, sound or directives.

It gives the same bytes as chat.py, apart from ids and time, in a fraction of the time; whatever is not plain is None.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from devtools.simulator import answers, content_filter
from devtools.simulator.models import Model
from devtools.simulator.prompts import MESSAGE_TOKENS, REPLY_TOKENS, text_tokens

FIELDS = frozenset({"messages", "model", "max_tokens", "max_completion_tokens", "temperature"})
MESSAGE_FIELDS = {"role", "content"}
ROLES = frozenset({"system", "developer", "user", "assistant"})
MESSAGES_MAX = 64
_TEMPLATE = (
    b'{"id":"%b","created":%d,"model":"%b","system_fingerprint":"%b","object":"chat.completion","choices":[{'
    b'"content_filter_results":' + orjson.dumps(content_filter.of_completion()).replace(b"%", b"%%") + b","
    b'"finish_reason":"%b","index":0,"logprobs":null,"message":{"content":%b,"refusal":null,"role":"assistant",'
    b'"annotations":[]}}],"prompt_filter_results":'
    + orjson.dumps(content_filter.PROMPT_RESULTS).replace(b"%", b"%%")
    + b',"usage":{"completion_tokens":%d,"completion_tokens_details":{"accepted_prediction_tokens":0,"audio_tokens":0,'
    b'"reasoning_tokens":0,"rejected_prediction_tokens":0},"prompt_tokens":%d,"prompt_tokens_details":{'
    b'"audio_tokens":0,"cached_tokens":0},"total_tokens":%d}}'
)


class Plain(NamedTuple):
    """What was answered, and its tokens."""

    finish: bytes
    text: bytes
    prompt_tokens: int
    completion_tokens: int

    def body(self, seed: int, model: Model, answer_id: str, created: float) -> bytes:
        """The `chat.completion` object."""
        return _TEMPLATE % (
            answer_id.encode(), int(created), model.wire.encode(), b"fp_%010x" % (seed & 0xFFFFFFFFFF), self.finish,
            self.text, self.completion_tokens, self.prompt_tokens, self.prompt_tokens + self.completion_tokens,
        )  # fmt: skip


def answer(seed: int, model: Model, body: dict[str, Any]) -> Plain | None:
    """The answer; None when the request is not plain, or wrong in any way."""
    most = body.get("max_completion_tokens") or body.get("max_tokens") or model.output_tokens_max
    if not body.keys() <= FIELDS or model.kind != "chat" or model.reasoning or model.audio or type(most) is not int:
        return None
    given = [body[name] for name in ("max_tokens", "max_completion_tokens") if body.get(name) is not None]
    if not all(type(one) is int and 0 < one <= model.output_tokens_max for one in given):
        return None
    texts = _texts(body.get("messages"))
    if texts is None:
        return None
    prompt = "\n".join(texts)
    if "[[sim" in prompt or content_filter.TRIGGER in prompt:
        return None
    prompt_tokens = REPLY_TOKENS + MESSAGE_TOKENS * len(texts) + text_tokens(prompt)
    if prompt_tokens + (most if given else 0) > model.context_tokens:
        return None
    dice = answers.Dice(seed, prompt, None, 0)
    words = dice.words(answers.ENGLISH, dice.count(*answers.WORDS))
    finish = b"stop" if len(words) <= most else b"length"
    words = words[:most]
    return Plain(finish, orjson.dumps(" ".join(words)), prompt_tokens, len(words))


def _texts(messages: object) -> list[str] | None:
    if not isinstance(messages, list) or not 0 < len(messages) <= MESSAGES_MAX:
        return None
    texts: list[str] = []
    for message in messages:
        if not isinstance(message, dict) or message.keys() != MESSAGE_FIELDS or message["role"] not in ROLES:
            return None
        texts.append(message["content"])
    return texts if all(type(text) is str for text in texts) else None
