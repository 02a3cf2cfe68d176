"""What an upstream's refusal means: Azure's and OpenAI's error bodies, mapped by status and code, never by prose.

Bodies as Azure sends them: `{"error": {"code", "message", "type"?, "param"?, "innererror"?}}`. Azure spells the
filter's details `innererror.content_filter_result` on the wire and `inner_error.content_filter_results` in its
specification; both are read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from shared.errors import (
    BadRequest,
    ContentFiltered,
    ContextLengthExceeded,
    DeploymentNotFound,
    NotFound,
    PayloadTooLarge,
    RateLimited,
    SpillwayError,
    Unavailable,
    UpstreamFailed,
    UpstreamMisconfigured,
    UpstreamTimeout,
)
from shared.upstream.ratelimit import retry_after_ms

ErrorFields = Mapping[str, Any]
_Build = Callable[[ErrorFields, str], SpillwayError]

_HOSTS = re.compile(
    r"(?:https?://)?[A-Za-z0-9.-]+\.(?:openai\.azure\.(?:com|us|cn)|cognitiveservices\.azure\.(?:com|us|cn)"
    r"|services\.ai\.azure\.com|api\.cognitive\.microsoft\.com)[^\s\"'<>]*",
    re.IGNORECASE,
)


def _details(error: ErrorFields) -> dict[str, Any]:
    return {"param": _text(error.get("param")), "code": _text(error.get("code")), "type": _text(error.get("type"))}


def _filtered(error: ErrorFields, message: str) -> SpillwayError:
    inner = error.get("innererror") or error.get("inner_error")
    kind = _text(error.get("type")) or "invalid_request_error"
    return ContentFiltered(message, param=_text(error.get("param")) or "prompt", type=kind, inner=inner)


def _too_long(error: ErrorFields, message: str) -> SpillwayError:
    return ContextLengthExceeded(message, param=_text(error.get("param")) or "messages")


def _unknown_deployment(error: ErrorFields, message: str) -> SpillwayError:
    return DeploymentNotFound("The deployment behind this model does not exist at its Azure resource.", param="model")


def _refused(error: ErrorFields, message: str) -> SpillwayError:
    return UpstreamMisconfigured("Azure refuses the gateway's own credentials or settings; its log names the reason.")


def _throttled(error: ErrorFields, message: str) -> SpillwayError:
    return RateLimited("The model is at its rate limit. Try again later.")


def _unavailable(error: ErrorFields, message: str) -> SpillwayError:
    return Unavailable("The model is unavailable for the moment. Try again later.")


def _late(error: ErrorFields, message: str) -> SpillwayError:
    return UpstreamTimeout("The model's deployment gave up before it had an answer.")


def _too_large(error: ErrorFields, message: str) -> SpillwayError:
    return PayloadTooLarge(message)


def _bad_request(error: ErrorFields, message: str) -> SpillwayError:
    return BadRequest(message, **_details(error))


def _gone(error: ErrorFields, message: str) -> SpillwayError:
    return NotFound(message, param=_text(error.get("param")))


def _failed(error: ErrorFields, message: str) -> SpillwayError:
    return UpstreamFailed("The model's deployment failed.")


# Codes that mean the same under any status, also inside a stream that began with 200.
_BY_CODE: dict[str, _Build] = {
    "content_filter": _filtered,
    "contentFilter": _filtered,
    "content_policy_violation": _filtered,
    "ResponsibleAIPolicyViolation": _filtered,
    "context_length_exceeded": _too_long,
    "DeploymentNotFound": _unknown_deployment,
    "PermissionDenied": _refused,
    "AccessDenied": _refused,
    "AuthenticationTypeDisabled": _refused,
    "rate_limit_exceeded": _throttled,
    "too_many_requests": _throttled,
    "429": _throttled,
    "insufficient_quota": _throttled,
    "server_error": _failed,
    "InternalServerError": _failed,
    "ServiceUnavailable": _unavailable,
    "Timeout": _late,
    # Of a response that failed (openai-python types/responses/response_error.py): the input is to blame.
    "invalid_prompt": _bad_request,
    "invalid_image": _bad_request,
    "invalid_image_format": _bad_request,
    "invalid_base64_image": _bad_request,
    "invalid_image_url": _bad_request,
    "image_too_large": _bad_request,
    "image_too_small": _bad_request,
    "image_parse_error": _bad_request,
    "image_content_policy_violation": _filtered,
    "invalid_image_mode": _bad_request,
    "image_file_too_large": _bad_request,
    "unsupported_image_media_type": _bad_request,
    "empty_image_file": _bad_request,
    "failed_to_download_image": _bad_request,
    "image_file_not_found": _bad_request,
    "invalid_request_error": _bad_request,
}

_BY_STATUS: dict[int, _Build] = {
    400: _bad_request,
    401: _refused,
    403: _refused,
    404: _refused,
    408: _late,
    409: _bad_request,
    413: _too_large,
    415: _bad_request,
    422: _bad_request,
    429: _throttled,
    503: _unavailable,
    504: _late,
}

# Statuses whose meaning no code may change: a 429 is a 429 whatever its body says.
_STATUS_FIRST = frozenset({401, 403, 429, 503})


def error_of(status: int, headers: Mapping[str, str], body: bytes, now: float, *, bound: bool = False) -> SpillwayError:
    """The error that an upstream answer other than 2xx stands for; `now` in Unix seconds.

    `bound`: the request named a thing of the resource, so a 404 may say that it is gone. One for an unknown path or
    api-version has the code 404.
    """
    fields = _fields(body)
    code = _code(fields)
    build = _BY_STATUS[status] if status in _STATUS_FIRST else _BY_CODE.get(code) or _BY_STATUS.get(status, _failed)
    if bound and status == 404 and code not in _BY_CODE and code != "404":
        build = _gone
    error = build(fields, scrub(_text(fields.get("message")) or f"The model's deployment answered {status}."))
    error.retry_after_ms = retry_after_ms(headers, now)
    return error


def error_in_stream(payload: Any) -> SpillwayError | None:
    """The error an event stands for, None when it is no error.

    Shapes: `{"error": {...}}`, `{"type": "error", "error": {...}}`, `{"type": "error", "code", "message"}`.
    """
    if not isinstance(payload, dict):
        return None
    fields = payload.get("error")
    if not isinstance(fields, dict):
        if payload.get("type") != "error":
            return None
        fields = payload
    build = _BY_CODE.get(_code(fields)) or _BY_CODE.get(_text(fields.get("type")) or "", _failed)
    return build(fields, scrub(_text(fields.get("message")) or "The model's deployment failed."))


def operator_reason(status: int, body: bytes) -> str:
    """Why Azure refused, for the log alone: its code and message, and the role that is probably missing."""
    fields = _fields(body)
    code, message = _code(fields), _text(fields.get("message")) or "no message"
    reason = f"{status} {code or 'without a code'}: {scrub(message[:500])}"
    if code == "PermissionDenied":
        reason += (
            " Grant the gateway's identity the role 'Cognitive Services OpenAI User' "
            "(5e0bd9bd-7b93-4f28-af87-19fc36ad61bd) on the resource; files, batches and fine-tuning need "
            "'Cognitive Services OpenAI Contributor' (a001fd3d-188f-4b5d-821b-7da978bf7442)."
        )
    elif status == 401:
        reason += " The key or token is not valid for this resource, or belongs to another region's endpoint."
    elif status == 404:
        reason += " The deployment, the path or the api-version is unknown to this resource."
    return reason


def scrub(message: str) -> str:
    """The message without the names of Azure's hosts."""
    return _HOSTS.sub("the upstream", message)


def _fields(body: bytes) -> ErrorFields:
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    fields = payload.get("error") if isinstance(payload, dict) else None
    return fields if isinstance(fields, dict) else {}


def _code(fields: ErrorFields) -> str:
    inner = fields.get("innererror") or fields.get("inner_error")
    if isinstance(inner, dict) and inner.get("code") == "ResponsibleAIPolicyViolation":
        return "content_filter"
    code = fields.get("code")
    return "" if code is None else str(code)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
