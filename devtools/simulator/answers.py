"""What the simulated model answers: a function of the seed, the model and the request, and of nothing else."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import orjson

from devtools.simulator import errors, tools
from devtools.simulator.directives import Directives
from devtools.simulator.models import Model
from devtools.simulator.prompts import Prompt, text_tokens
from devtools.simulator.tools import ToolCall

ANSWER_BYTES_MAX = 64 * 1024 * 1024
CHUNKS_MAX = 100_000
REASONING_TOKENS = {"none": 0, "minimal": 0, "low": 64, "medium": 192, "high": 448, "xhigh": 896, "max": 1344}
"""Reasoning tokens by `reasoning_effort`."""
JSON_PIECE_CHARS = 4
WORDS = (12, 60)
"""How many words an answer has when nothing says otherwise."""

_TEXT = """
water level gate river dam flow basin rain season valley spring channel lake bank stone bridge mill tide wave current
delta source stream pool bend ford weir lock sluice reservoir the a of over under with and for from into when where
high low full slow calm steady deep wide clear cold every some most second first next
"""
ENGLISH = _TEXT.split()
_WORDS = {
    "en": ENGLISH,
    "zh": list("水位闸河坝流域雨季谷春渠湖岸石桥磨潮浪源池弯渡堰锁库高低满慢静深宽清冷每些多次首下"),
    "odd": ["🌊", "👩‍🚒", '"quoted"', "back\\slash", "new\nline", "line\u2028sep", "data: [DONE]", "\n\ndata: {}", "é"],
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Spoken:
    """The sound of a choice, kept until `expires_at` (unix seconds)."""

    id: str
    expires_at: int
    data: bytes
    tokens: int


@dataclass(slots=True)
class Choice:
    """One choice: text in pieces of `piece_tokens` tokens each, perhaps spoken, or tool calls."""

    index: int
    pieces: list[str] = field(default_factory=list)
    piece_tokens: int = 1
    tool_calls: list[ToolCall] = field(default_factory=list)
    finish: str = "stop"
    filtered: bool = False
    spoken: Spoken | None = None

    @property
    def audio_tokens(self) -> int:
        return self.spoken.tokens if self.spoken else 0

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def tokens(self) -> int:
        """Completion tokens without reasoning."""
        words = len(self.pieces) * self.piece_tokens + self.audio_tokens
        if not self.tool_calls:
            return words
        return words + sum(text_tokens(call.name) + text_tokens(call.arguments) for call in self.tool_calls)


@dataclass(slots=True)
class Answer:
    """All choices and the reasoning before them."""

    choices: list[Choice]
    reasoning_tokens: int = 0

    @property
    def audio_tokens(self) -> int:
        return sum(choice.audio_tokens for choice in self.choices)

    @property
    def completion_tokens(self) -> int:
        """What is billed as output: text, sound, tool calls and reasoning."""
        return self.reasoning_tokens + sum(choice.tokens for choice in self.choices)


def generate(seed: int, model: Model, body: dict[str, Any], prompt: Prompt, directives: Directives) -> Answer:
    """The answer to a valid request; raises AzureError 400 when a directive asks for too much."""
    tokens_max = body.get("max_completion_tokens") or body.get("max_tokens") or model.output_tokens_max
    reasoning = _reasoning_tokens(model, body, directives)
    answer = Answer([], min(reasoning, tokens_max))
    tokens_left = tokens_max - answer.reasoning_tokens
    for index in range(body.get("n") or 1):
        choice = Choice(index)
        if not prompt.answers_tools:
            choice.tool_calls = tools.calls_for(body, prompt.last, parallel=model.parallel_tools)
        if choice.tool_calls:
            choice.finish = "function_call" if "functions" in body else "tool_calls"
        else:
            _write(choice, Dice(seed, prompt.text, body.get("seed"), index), body, directives)
            _stop(choice, body.get("stop"))
            _limit(choice, tokens_left)
            if directives.filter == "output":
                choice.pieces = choice.pieces[: len(choice.pieces) // 2]
                choice.finish, choice.filtered = "content_filter", True
        answer.choices.append(choice)
    return answer


class Dice:
    """The words of one choice, thrown with bytes of a hash of all that decides them: cheap, and the same everywhere."""

    def __init__(self, seed: int, prompt: str, request_seed: object, index: int) -> None:
        self._hash = hashlib.shake_128(f"{seed}\0{request_seed}\0{index}\0{prompt}".encode("utf-8", "replace"))

    def count(self, least: int, most: int) -> int:
        return least + self._hash.digest(1)[0] % (most - least + 1)

    def words(self, words: list[str], count: int) -> list[str]:
        """`count` of the words; more of them begin with the same."""
        among = len(words)
        return [words[byte % among] for byte in self._hash.digest(1 + count)[1:]]


def _reasoning_tokens(model: Model, body: dict[str, Any], directives: Directives) -> int:
    if not model.reasoning:
        return 0
    if directives.reasoning is not None:
        return directives.reasoning
    return REASONING_TOKENS.get(body.get("reasoning_effort") or "medium", REASONING_TOKENS["medium"])


def _write(choice: Choice, dice: Dice, body: dict[str, Any], directives: Directives) -> None:
    wanted = body.get("response_format") or {}
    if wanted.get("type") in ("json_object", "json_schema"):
        text = orjson.dumps(_json(wanted, dice)).decode()
        choice.pieces = [text[at : at + JSON_PIECE_CHARS] for at in range(0, len(text), JSON_PIECE_CHARS)]
        return
    count = directives.chunks if directives.chunks is not None else dice.count(*WORDS)
    words = _WORDS[directives.lang]
    size = directives.chunk_bytes
    if count > CHUNKS_MAX or count * (size or 1) > ANSWER_BYTES_MAX:
        raise errors.invalid_request("Simulator: the directive asks for too long an answer.", "messages")
    drawn = dice.words(words, count)
    if size is None:
        gap = " " if directives.lang == "en" else ""
        choice.pieces = [gap + word if at else word for at, word in enumerate(drawn)]
        return
    choice.piece_tokens = max(1, size // 4)
    choice.pieces = [_padded(word, size) for word in drawn]


def _padded(word: str, size: int) -> str:
    """`size` bytes of UTF-8 that repeat a word."""
    data = (word + " ").encode() * (size // len(word.encode()) + 1)
    return data[:size].decode("utf-8", "ignore").ljust(1)


def _json(wanted: dict[str, Any], dice: Dice) -> Any:
    text = " ".join(dice.words(ENGLISH, 4))
    if wanted["type"] == "json_object":
        return {"answer": text}
    return tools.example(wanted.get("json_schema", {}).get("schema") or {}, text=text)


def _stop(choice: Choice, stop: str | list[str] | None) -> None:
    """Ends the text before the first stop sequence."""
    sequences = [stop] if isinstance(stop, str) else stop or []
    text = choice.text
    found = [at for at in (text.find(sequence) for sequence in sequences if sequence) if at >= 0]
    if not found:
        return
    left = min(found)
    kept: list[str] = []
    for piece in choice.pieces:
        if left <= 0:
            break
        kept.append(piece[:left])
        left -= len(piece)
    choice.pieces = kept


def _limit(choice: Choice, tokens_max: int) -> None:
    """Ends the text at the token limit."""
    pieces_max = tokens_max // choice.piece_tokens
    if len(choice.pieces) > pieces_max:
        choice.pieces = choice.pieces[:pieces_max]
        choice.finish = "length"
