"""Every error that crosses a module boundary, with its HTTP status, OpenAI `type` and `code`, and retry signal.

SpillwayError                      status  type                    code                      should retry
├─ BadRequest                      400     invalid_request_error   (given)                   no
│  ├─ ContentFiltered              400     (Azure's)               content_filter            no
│  └─ ContextLengthExceeded        400     invalid_request_error   context_length_exceeded   no
├─ Unauthorized                    401     invalid_request_error   invalid_api_key           no
├─ BudgetExceeded                  402     insufficient_quota      insufficient_quota        no
├─ Forbidden                       403     permission_error        (given)                   no
├─ NotFound                        404     invalid_request_error   (given)                   no
│  ├─ UnknownPath                  404     invalid_request_error   unknown_url               no
│  ├─ ModelNotFound                404     invalid_request_error   model_not_found           no
│  └─ DeploymentNotFound           404     invalid_request_error   DeploymentNotFound        no
├─ MethodNotAllowed                405     invalid_request_error   method_not_supported      no
├─ Conflict                        409     invalid_request_error   (given)                   no
├─ PayloadTooLarge                 413     invalid_request_error   request_too_large         no
├─ RangeNotSatisfiable             416     invalid_request_error   range_not_satisfiable     no
├─ RateLimited                     429     rate_limit_error        rate_limit_exceeded       yes
├─ ClientClosedRequest             499     invalid_request_error   client_closed_request     no
├─ InternalError                   500     server_error            internal_error            no
├─ UpstreamFailed                  502     upstream_error          upstream_error            yes
│  ├─ UpstreamUnreachable          502     upstream_error          upstream_unreachable      yes
│  ├─ UpstreamNoReply              502     upstream_error          upstream_no_reply         yes
│  ├─ UpstreamMisconfigured        502     upstream_error          upstream_misconfigured    no
│  └─ StreamBroken                 502     upstream_error          stream_broken             no
├─ Unavailable                     503     server_error            service_unavailable       yes
│  └─ StorageFailed                503     server_error            storage_unavailable       yes
└─ UpstreamTimeout                 504     upstream_error          upstream_timeout          no

ConfigError is apart: it stops the start and never reaches a client.
The wire shape is OpenAI's, `{"error": {"message", "type", "param", "code"}}`, with Azure's `innererror` kept when
it sent one. `x-should-retry`, `retry-after-ms` and `retry-after` are what openai-python and openai-node read
(`_base_client._should_retry`). A message never names an upstream host, a key or another caller's id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, ClassVar

import orjson


class Replay(Enum):
    """What a failed attempt allows: may the same call be sent again, to another deployment?"""

    FREELY = "freely"  # nothing was done upstream: not sent, or explicitly refused (429, 503, bad credentials)
    FAILED = "failed"  # upstream said that it failed (5xx); the work may have been begun
    BROKEN = "broken"  # sent, and the connection broke before the answer was here: perhaps done, perhaps billed
    UNKNOWN = "unknown"  # sent, and no answer in time: it is perhaps still being done, and billed
    NEVER = "never"  # the same request gets the same answer everywhere, or the client has seen data


PERHAPS_DONE = frozenset({Replay.BROKEN, Replay.UNKNOWN})


class SpillwayError(Exception):
    """One answer to a client: `status` and an OpenAI error body.

    `retry_after_ms` (milliseconds, None when unknown) becomes `retry-after-ms` and `retry-after` (whole seconds,
    rounded up). `should_retry` becomes `x-should-retry`. `inner` is Azure's `innererror`, passed on as it came.
    """

    status: ClassVar[int] = 500
    type: str | None = "server_error"
    code: str | None = "internal_error"
    should_retry: bool = False
    replay: Replay = Replay.NEVER

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        type: str | None = None,
        inner: Any = None,
        retry_after_ms: int | None = None,
        should_retry: bool | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.inner = inner
        self.retry_after_ms = retry_after_ms
        self.extra_headers = dict(headers or {})
        if code is not None:
            self.code = code
        if type is not None:
            self.type = type
        if should_retry is not None:
            self.should_retry = should_retry

    def body(self) -> bytes:
        """The JSON body, also the payload of an error event in a stream."""
        error: dict[str, Any] = {"message": self.message, "type": self.type, "param": self.param, "code": self.code}
        if self.inner is not None:
            error["innererror"] = self.inner
        return orjson.dumps({"error": error})

    def headers(self) -> dict[str, str]:
        """Retry headers and what the subclass adds; the content type is the answer's own business."""
        headers = {"x-should-retry": "true" if self.should_retry else "false", **self.extra_headers}
        if self.retry_after_ms is not None:
            headers["retry-after-ms"] = str(self.retry_after_ms)
            headers["retry-after"] = str(-(-self.retry_after_ms // 1000))
        return headers


class BadRequest(SpillwayError):
    """The request cannot be served as it is; nothing was sent upstream, or Azure refused it with a 400."""

    status = 400
    type = "invalid_request_error"
    code: str | None = None


class ContentFiltered(BadRequest):
    """Azure's content filter refused the prompt (`code: content_filter`, `innererror` says which category)."""

    code = "content_filter"


class ContextLengthExceeded(BadRequest):
    """The prompt, or prompt plus requested output, does not fit the model's context window."""

    code = "context_length_exceeded"


class Unauthorized(SpillwayError):
    """No key, or a key that is not known here."""

    status = 401
    type = "invalid_request_error"
    code = "invalid_api_key"


class BudgetExceeded(SpillwayError):
    """The key's budget is used up, or set aside for calls under way; the message says what is left, and until when."""

    status = 402
    type = "insufficient_quota"
    code = "insufficient_quota"


class Forbidden(SpillwayError):
    """A known caller asks for what it may not do."""

    status = 403
    type = "permission_error"
    code = "permission_denied"


class NotFound(SpillwayError):
    """The named thing does not exist, or belongs to somebody else (the same answer on purpose)."""

    status = 404
    type = "invalid_request_error"
    code = "not_found"


class UnknownPath(NotFound):
    """No operation has this path."""

    code = "unknown_url"


class ModelNotFound(NotFound):
    """No entry of `model_list` serves this model; the message lists those this caller may use."""

    code = "model_not_found"

    def __init__(self, model: str, available: Sequence[str]) -> None:
        shown = ", ".join(available[:20]) + (f" and {len(available) - 20} more" if len(available) > 20 else "")
        super().__init__(
            f"The model {quoted(model)} does not exist here or you do not have access to it. "
            f"Available models: {shown or 'none'}.",
            param="model",
        )


class DeploymentNotFound(NotFound):
    """Azure does not know the deployment behind this model (`DeploymentNotFound`)."""

    code = "DeploymentNotFound"
    replay = Replay.FREELY


class MethodNotAllowed(SpillwayError):
    """The path exists, the method does not; `allow` lists those that do."""

    status = 405
    type = "invalid_request_error"
    code = "method_not_supported"

    def __init__(self, method: str, path: str, allow: Sequence[str]) -> None:
        allowed = ", ".join(allow)
        super().__init__(f"Not allowed to {method} on {path}. Allowed: {allowed}.", headers={"allow": allowed})


class Conflict(SpillwayError):
    """The thing is in a state that does not allow this."""

    status = 409
    type = "invalid_request_error"
    code: str | None = None


class PayloadTooLarge(SpillwayError):
    """The request body is over the operation's limit."""

    status = 413
    type = "invalid_request_error"
    code = "request_too_large"


class RangeNotSatisfiable(SpillwayError):
    """The bytes that a `Range` header asks for lie outside of what there is; `content-range` says how much that is."""

    status = 416
    type = "invalid_request_error"
    code = "range_not_satisfiable"


class RateLimited(SpillwayError):
    """Every deployment that could serve this is at its limit; `retry_after_ms` is the soonest that frees."""

    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"
    should_retry = True
    replay = Replay.FREELY


class ClientClosedRequest(SpillwayError):
    """The client went away before its answer began (nginx's 499); nobody reads this answer."""

    status = 499
    type = "invalid_request_error"
    code = "client_closed_request"


class InternalError(SpillwayError):
    """A fault of Spillway itself; the log has the stack under the same call id."""


class UpstreamFailed(SpillwayError):
    """Azure answered 5xx, or with something that is no answer, on every attempt."""

    status = 502
    type = "upstream_error"
    code = "upstream_error"
    should_retry = True
    replay = Replay.FAILED


class UpstreamUnreachable(UpstreamFailed):
    """No connection to Azure: nothing was sent."""

    code = "upstream_unreachable"
    replay = Replay.FREELY


class UpstreamNoReply(UpstreamFailed):
    """The connection broke after the request was sent and before an answer came: perhaps done, perhaps billed."""

    code = "upstream_no_reply"
    replay = Replay.BROKEN


class UpstreamMisconfigured(UpstreamFailed):
    """The gateway's own credentials, role or deployment name are refused: the operator must act, not the client."""

    code = "upstream_misconfigured"
    should_retry = False
    replay = Replay.FREELY


class StreamBroken(UpstreamFailed):
    """The upstream ended before its answer did, after the client had seen data; sent as an error event."""

    code = "stream_broken"
    should_retry = False
    replay = Replay.NEVER


class Unavailable(SpillwayError):
    """Spillway, or Azure in so many words (503), cannot take work just now."""

    status = 503
    type = "server_error"
    code = "service_unavailable"
    should_retry = True
    replay = Replay.FREELY


class StorageFailed(Unavailable):
    """The storage account did not answer, or refused; a write has perhaps been done and may be repeated."""

    code = "storage_unavailable"


class UpstreamTimeout(SpillwayError):
    """No answer in time. Retrying would bill the same work again, so `x-should-retry` is false."""

    status = 504
    type = "upstream_error"
    code = "upstream_timeout"
    replay = Replay.UNKNOWN


class ConfigError(Exception):
    """The configuration cannot be used: `path` (`model_list[0].litellm_params.rpm`), what was found and expected.

    `problems` holds every one found. A found value is shown only where it cannot be a secret.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


def quoted(value: str, chars_max: int = 100) -> str:
    """A caller's own word, shown back to it: shortened and without control characters."""
    clean = "".join(c if c.isprintable() else "�" for c in value[:chars_max])
    return f"`{clean}{'…' if len(value) > chars_max else ''}`"
