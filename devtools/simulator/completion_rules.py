"""Which completions requests Azure refuses, and what their prompts are."""

from __future__ import annotations

from typing import Any

from devtools.simulator import checks, errors
from devtools.simulator.models import Model
from devtools.simulator.texts import Text, texts

FIELDS = frozenset({
    "prompt", "model", "suffix", "max_tokens", "temperature", "top_p", "n", "stream", "stream_options", "logprobs",
    "echo", "stop", "presence_penalty", "frequency_penalty", "best_of", "logit_bias", "user", "seed",
})  # fmt: skip
END_OF_TEXT = "<|endoftext|>"
PROMPTS_MAX = 2048
CHOICES_MAX = 128
BEST_OF_MAX = 20
LOGPROBS_MAX = 5


def check(body: dict[str, Any], model: Model, surface: str) -> list[Text]:
    """The prompts of a valid request; raises AzureError 400 as Azure would."""
    checks.known(body, FIELDS, surface)
    prompt = body.get("prompt")
    found = texts(END_OF_TEXT if prompt is None else prompt, "prompt")
    if len(found) > PROMPTS_MAX:
        raise errors.invalid_request(f"Too many prompts: at most {PROMPTS_MAX} are allowed.", "prompt")
    n = checks.integer(body, "n", 1, CHOICES_MAX, 1)
    best_of = checks.integer(body, "best_of", 1, BEST_OF_MAX)
    if best_of is not None and n is not None and best_of < n:
        raise errors.invalid_request("You requested that the server return more choices than it will generate "
                                     "(HINT: you must set 'n' (currently "
                                     f"{n}) to be at most 'best_of' (currently {best_of}), or omit either parameter if "
                                     "you don't specifically want to use them.)", "best_of")  # fmt: skip
    if body.get("stream") and best_of is not None and best_of != n:
        raise errors.invalid_request("Only one result can be streamed: 'best_of' must be 'n' with 'stream'.", "best_of")
    checks.stream_options(body)
    checks.stop(body)
    checks.integer(body, "logprobs", 0, LOGPROBS_MAX)
    checks.number(body, "temperature", 0, 2)
    most = checks.integer(body, "max_tokens", 0, model.output_tokens_max, 16) or 0
    longest = max(text.tokens for text in found)
    if longest + most > model.context_tokens:
        raise errors.prompt_too_long(model.context_tokens, longest, most)
    return found
