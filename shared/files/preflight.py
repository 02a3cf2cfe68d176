"""Preflight: what a batch's lines have wrong is told at upload, by line, before anything is billed. Pure.

Codes are those of Azure's "Common errors" of batches, so that a client needs to know one set of them:

    invalid_request         a byte order mark, a missing or wrong field
    invalid_json_line       a line that is no JSON object
    duplicate_custom_id     a custom_id that came before
    url_mismatch            another url than the lines before, or one that batches do not take
    model_mismatch          another model than the lines before
    model_not_found         a model that is not configured here
    too_many_tasks          more lines than a batch may have
    empty_file              no line at all
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import orjson

from shared.catalog.price import UNPRICED, Price
from shared.config.pricing import PICO
from shared.errors import BadRequest, quoted
from shared.files.lines import LINE_BYTES_MAX, Lines, LineSplitter, LineTooLong
from shared.sealed_ids import REQUEST, bound
from shared.shapes import FILE, ID, Shape
from shared.usage.estimate import chat_prompt_tokens, inputs_tokens, response_prompt_tokens

LINES_MAX = 1_000_000
"""Azure takes 100,000 in a file; a batch over that is split, and this is what one instance can check."""
ERRORS_MAX = 20
NAMES_MAX = 100
"""Of models, that are looked up once."""
OUTPUT_TOKENS_DEFAULT = 256
"""The estimate of an answer for which the line sets no maximum."""
BOM = b"\xef\xbb\xbf"
URLS: Mapping[str, Callable[[dict[str, Any]], int]] = {
    "/v1/chat/completions": chat_prompt_tokens,
    "/v1/embeddings": lambda body: inputs_tokens(body.get("input")),
    "/v1/responses": response_prompt_tokens,
}
"""What a batch's lines may ask for, as OpenAI writes it, and how their prompts are estimated."""
_NO_OUTPUT = frozenset({"/v1/embeddings"})
_BOUND: Mapping[str, Shape] = {
    "/v1/chat/completions": {"messages": [{"content": [{"file": {"file_id": FILE}}], "audio": {"id": ID}}]},
    "/v1/embeddings": {},
    "/v1/responses": REQUEST,
}
"""Where a line may name what only one resource has. A batch runs wherever there is room, so its lines may not."""
_MAXIMA = ("max_completion_tokens", "max_tokens", "max_output_tokens")


@dataclass(frozen=True, slots=True)
class Known:
    """A model of the configuration: its public name, and the price of a deployment that serves batches of it."""

    name: str
    price: Price = UNPRICED


Find = Callable[[str], Known | None]
"""The model that a line's word means: a public name or the name of a configured deployment."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """One thing that is wrong; `line` is None for the whole file."""

    code: str
    message: str
    line: int | None = None
    param: str | None = None

    def shown(self) -> dict[str, Any]:
        """As an entry of OpenAI's `errors.data` of a batch."""
        return {"code": self.code, "message": self.message, "line": self.line, "param": self.param}


def url_of(written: object) -> str | None:
    """The url of a line or the endpoint of a batch as OpenAI writes it, None when batches do not take it.

    `/v1/chat/completions`, `/chat/completions` and `/openai/v1/chat/completions` are the same.
    """
    if not isinstance(written, str):
        return None
    url = f"/v1/{written.strip('/').removeprefix('openai/').removeprefix('v1/')}"
    return url if url in URLS else None


@dataclass(slots=True)
class Checked:
    """Checks requests line by line and counts them. `model` is what was said beside the file, "" for nothing.

    `take` is given every line that is not blank, with its number; after ERRORS_MAX things that are wrong it need not
    be called any more (`full`). Whoever reads a file a second time, at the creation of a batch, uses it too.
    """

    find: Find
    model: str = ""
    lines_max: int = LINES_MAX
    url: str | None = None
    known: Known | None = None
    lines: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0
    cost: int | None = 0
    wrong: list[Wrong] = field(default_factory=list)
    _named: dict[str, Known | None] = field(default_factory=dict)
    _seen: set[int] = field(default_factory=set)
    _unnamed: int = 0

    @property
    def full(self) -> bool:
        return len(self.wrong) >= ERRORS_MAX or self.lines > self.lines_max

    def take(self, number: int, raw: bytes) -> None:
        """The next line."""
        self.lines += 1
        if self.lines > self.lines_max:
            self._say("too_many_tasks", f"the file has more than {self.lines_max:,} requests")
            return
        try:
            request = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            self._say("invalid_json_line", f"it is not valid JSON ({error})", number)
            return
        if not isinstance(request, dict):
            self._say("invalid_json_line", "it is not a JSON object", number)
            return
        self._custom_id(number, request.get("custom_id"))
        if request.get("method") != "POST":
            self._say("invalid_request", "`method` must be POST", number, "method")
        url = self._url(number, request.get("url"))
        body = request.get("body")
        if not isinstance(body, dict):
            self._say("invalid_request", "`body` must be an object", number, "body")
            return
        self._model(number, body.get("model"))
        if url is not None:
            path = bound(body, _BOUND[url])
            if path is not None:
                wrong = f"a batch runs at any resource, so its lines cannot name a file or an earlier answer (`{path}`)"
                self._say("invalid_request", wrong, number, f"body.{path}")
            self._count(url, body)

    def end(self) -> None:
        """No line follows."""
        if not self.lines and not self.wrong:
            self._say("empty_file", "the file is empty")
        if self._unnamed and self._named and not self.wrong:
            self._say("model_mismatch", f"{self._unnamed} of {self.lines} lines name no model", param="body.model")

    def notes(self) -> dict[str, Any]:
        """What was found out, as it is kept with a file: counts, and estimates of tokens and cost (null without a
        price). `model` is the public name, null when neither the lines nor the upload say one."""
        cost = None if self.known is None or self.known.price.unpriced else self.cost
        return {
            "requests": self.lines,
            "model": None if self.known is None else self.known.name,
            "url": self.url,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.output_tokens,
            "cost_usd": None if cost is None else float(Decimal(cost) / PICO),
            "estimated": True,
        }

    def _custom_id(self, number: int, custom_id: object) -> None:
        if not isinstance(custom_id, str) or not custom_id:
            self._say("invalid_request", "`custom_id` must be a string that is not empty", number, "custom_id")
            return
        # 64 bits under a key of this process: among a million lines a chance of one in thirty million.
        mark = hash(custom_id)
        if mark in self._seen:
            self._say("duplicate_custom_id", f"its custom_id {quoted(custom_id)} came before", number, "custom_id")
        self._seen.add(mark)

    def _url(self, number: int, written: object) -> str | None:
        url = url_of(written)
        if url is None:
            self._say("url_mismatch", f"`url` must be one of {', '.join(URLS)}", number, "url")
        elif self.url is None:
            self.url = url
        elif url != self.url:
            self._say("url_mismatch", f"its url is not {self.url} as in the lines before", number, "url")
        return url

    def _model(self, number: int, written: object) -> None:
        if written is None or written == "":
            if self.model:
                self._named_model(number, self.model)
            else:
                self._unnamed += 1
        elif isinstance(written, str):
            self._named_model(number, written)
        else:
            self._say("invalid_request", "`body.model` must be a string", number, "body.model")

    def _named_model(self, number: int, name: str) -> None:
        known = self._named[name] if name in self._named else self.find(name)
        if len(self._named) < NAMES_MAX:
            self._named[name] = known
        if known is None:
            self._say("model_not_found", f"the model {quoted(name)} is not configured here", number, "body.model")
        elif self.known is None:
            self.known = known
        elif known.name != self.known.name:
            wrong = f"its model is not {quoted(self.known.name)} as in the lines before"
            self._say("model_mismatch", wrong, number, "body.model")

    def _count(self, url: str, body: dict[str, Any]) -> None:
        prompt = URLS[url](body)
        output = 0 if url in _NO_OUTPUT else _output(body)
        self.prompt_tokens += prompt
        self.output_tokens += output
        if self.known is not None and self.cost is not None and not self.known.price.ptu:
            rates = self.known.price.rates("batch", prompt)
            known = rates.input is not None and (rates.output is not None or not output)
            self.cost = self.cost + prompt * (rates.input or 0) + output * (rates.output or 0) if known else None

    def _say(self, code: str, message: str, line: int | None = None, param: str | None = None) -> None:
        if len(self.wrong) < ERRORS_MAX:
            self.wrong.append(Wrong(code, message, line, param))


class Preflight:
    """Checks the bytes of a file while they arrive (shared.files.checks.Check)."""

    def __init__(self, find: Find, model: str = "", lines_max: int = LINES_MAX) -> None:
        self.checked = Checked(find, model, lines_max)
        self._splitter: LineSplitter | None = LineSplitter()
        self._head = b""

    def feed(self, chunk: bytes) -> bool:
        """The next bytes; False once the file will be refused, after which nothing is looked at."""
        if len(self._head) < len(BOM):
            self._head += chunk[: len(BOM)]
            if self._head.startswith(BOM):
                message = "the file begins with a byte order mark; save it as UTF-8 without one"
                self._stop(Wrong("invalid_request", message, 1))
        if self._splitter is not None:
            try:
                self._take(self._splitter.feed(chunk))
            except LineTooLong as error:
                message = f"it is longer than {LINE_BYTES_MAX:,} bytes"
                self._stop(Wrong("invalid_request", message, error.number))
        return self._splitter is not None

    def finish(self) -> dict[str, Any]:
        """What was found out. Raises BadRequest with the first ERRORS_MAX things that are wrong."""
        if self._splitter is not None:
            self._take(self._splitter.flush())
        if self._splitter is not None:
            self.checked.end()
        if self.checked.wrong:
            raise refusal(self.checked.wrong)
        return self.checked.notes()

    def _take(self, some: Lines) -> None:
        take = self.checked.take
        for number, raw in enumerate(some.lines, some.first):
            if raw and not raw.isspace():
                take(number, raw)
                if self.checked.full:
                    self._splitter = None
                    return

    def _stop(self, wrong: Wrong) -> None:
        self._splitter = None
        self.checked.wrong.append(wrong)


def refusal(wrong: list[Wrong]) -> BadRequest:
    """The 400 of a file that cannot be a batch: said in words, and as data in `innererror`."""
    each = dict.fromkeys(f"line {one.line}: {one.message}" if one.line else one.message for one in wrong)
    shown = [one.shown() for one in dict.fromkeys(wrong)]
    return BadRequest(
        f"The file cannot be a batch: {'; '.join(each)}.",
        param="file",
        code=wrong[0].code,
        inner={"code": wrong[0].code, "object": "list", "data": shown},
    )


def _output(body: dict[str, Any]) -> int:
    """The most tokens that a line's answer may have, an estimate where it sets no maximum."""
    most = next((body[name] for name in _MAXIMA if type(body.get(name)) is int and body[name] > 0), None)
    times = body.get("n")
    return (OUTPUT_TOKENS_DEFAULT if most is None else most) * (times if type(times) is int and times > 0 else 1)
