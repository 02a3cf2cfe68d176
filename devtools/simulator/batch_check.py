"""Validates the input of a batch as Azure does: line by line, in slices of time, with the errors that it reports.

Codes and their meaning: "Common errors" of Azure's batch page. Texts are Azure's where they are known.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from devtools.simulator.resources import Deployment

LINE_BYTES_MAX = 16 * 1024 * 1024
ERRORS_MAX = 100
BOM = b"\xef\xbb\xbf"
CHAT = frozenset({"chat/completions", "responses"})
"""The endpoint of a batch does not tell these two apart: the service reads the file to decide."""
KINDS: dict[str, tuple[str, ...]] = {
    "chat/completions": ("chat",),
    "responses": ("chat", "responses"),
    "embeddings": ("embeddings",),
}
"""The kinds of model that serve each URL of a batch."""
MESSAGES = {
    "invalid_json_line": "A line in your input file wasn't able to be parsed as valid JSON.",
    "too_many_tasks": "The number of requests in the input file exceeds the maximum allowed value of {}.",
    "url_mismatch": "The URL of this request doesn't match the rest of the file, or the expected endpoint URL.",
    "model_not_found": "The Azure OpenAI model deployment name that was specified in the model property of the input "
    "file wasn't found.",
    "model_mismatch": "The Azure OpenAI model deployment name that was specified in the model property of this request "
    "doesn't match the rest of the file.",
    "duplicate_custom_id": "The custom ID for this request is a duplicate of the custom ID in another request.",
    "empty_file": "The input file is empty.",
    "invalid_request": "The schema of an input line is invalid or the deployment SKU is invalid.",
}
NO_MODEL = (
    "Validation failed: A valid model deployment name couldn't be extracted from the input file. Please ensure that "
    "each row in the input file has a valid deployment name specified in the 'model' field, and that the deployment "
    "name is consistent across all rows."
)


def model_of(path: Path) -> str | None:
    """The deployment that the first line of an input names; None when it names none."""
    with path.open("rb") as file:
        raw = file.readline(LINE_BYTES_MAX)
    try:
        model = orjson.loads(raw)["body"]["model"]
    except (ValueError, KeyError, TypeError):
        return None
    return model if isinstance(model, str) else None


def normal(url: str) -> str:
    """`chat/completions` of `/v1/chat/completions`, `/chat/completions` or `/openai/v1/...`."""
    return url.strip("/").removeprefix("openai/").removeprefix("v1/")


@dataclass(slots=True)
class Check:
    """The validation of one input. `lines` are its requests, `model` the deployment that they name."""

    input: Path
    endpoint: str
    lines_max: int
    deployments: Mapping[str, Deployment]
    errors: list[dict[str, Any]] = field(default_factory=list)
    lines: int = 0
    model: str | None = None
    done: bool = False
    _at: int = 0
    _number: int = 0
    _url: str | None = None
    _seen: set[str] = field(default_factory=set)

    def go_on(self, seconds: float) -> bool:
        """Reads on for about so long; tells whether it came to the end."""
        until = time.perf_counter() + seconds
        with self.input.open("rb") as file:
            file.seek(self._at)
            while not self.done:
                raw = file.readline(LINE_BYTES_MAX + 1)
                if raw:
                    self._take(raw)
                else:
                    self._end()
                if time.perf_counter() >= until:
                    break
            self._at = file.tell()
        return self.done

    def _take(self, raw: bytes) -> None:
        self._number += 1
        if self._number == 1 and raw.startswith(BOM):
            self._error("invalid_request", message=NO_MODEL)
            self.stop()
        elif len(raw) > LINE_BYTES_MAX:
            self._error("invalid_request", self._number, message="The line is too long.")
            self.stop()
        elif raw.strip():
            self._request(raw)

    def _request(self, raw: bytes) -> None:
        self.lines += 1
        number = self._number
        if self.lines > self.lines_max:
            self._error("too_many_tasks", message=MESSAGES["too_many_tasks"].format(f"{self.lines_max:,}"))
            self.stop()
            return
        try:
            request = orjson.loads(raw)
        except ValueError:
            self._error("invalid_json_line", number)
            return
        wrong = _wrong_field(request)
        if wrong is not None:
            self._error("invalid_request", number, wrong)
            return
        custom_id, body = request["custom_id"], request["body"]
        if custom_id in self._seen:
            self._error("duplicate_custom_id", number, "custom_id")
        self._seen.add(custom_id)
        url = normal(request["url"])
        if self._url is None:
            self._url = url
            self._check_url(url, number)
        elif url != self._url:
            self._error("url_mismatch", number, "url")
        model = body.get("model")
        if not isinstance(model, str) or not model:
            self._error("invalid_request", number, "body.model", NO_MODEL)
        elif self.model is None:
            self.model = model
            self._check_model(model, url, number)
        elif model != self.model:
            self._error("model_mismatch", number, "body.model")

    def _check_url(self, url: str, number: int) -> None:
        endpoint = normal(self.endpoint)
        if url not in KINDS or (url != endpoint and not {url, endpoint} <= CHAT):
            self._error("url_mismatch", number, "url")

    def _check_model(self, model: str, url: str, number: int) -> None:
        deployment = self.deployments.get(model)
        if deployment is None:
            self._error("model_not_found", number, "body.model")
        elif not deployment.batch:
            self._error("invalid_request", number, "body.model")
        elif url in KINDS and deployment.base.kind not in KINDS[url]:
            self._error("url_mismatch", number, "url")

    def _error(self, code: str, line: int | None = None, param: str | None = None, message: str = "") -> None:
        if len(self.errors) < ERRORS_MAX:
            self.errors.append({
                "code": code, "message": message or MESSAGES[code], "param": param, "line": line
            })  # fmt: skip

    def _end(self) -> None:
        if self.lines == 0 and not self.errors:
            self._error("empty_file")
        self.stop()

    def stop(self) -> None:
        """Nothing more is read."""
        self.done = True
        self._seen = set()


def _wrong_field(request: object) -> str | None:
    """The field of a request line that is missing or of a wrong type; None when it is one."""
    if not isinstance(request, dict):
        return ""
    for name, kind in (("custom_id", str), ("url", str), ("body", dict)):
        if not isinstance(request.get(name), kind) or not request[name]:
            return name
    return None if request.get("method") == "POST" else "method"
