"""The headers of Azure's answers, as captures show them, and its limit on the request's."""

from __future__ import annotations

from devtools.simulator import errors
from devtools.simulator.exchange import Call
from devtools.simulator.limits import Limit, Refusal

CUSTOM_HEADERS_MAX = 10
STANDARD_PREFIXES = ("x-ms-", "x-stainless-", "x-forwarded-", "x-azure-")
STANDARD_HEADERS = frozenset({"x-request-id", "x-correlation-id", "x-real-ip", "x-requested-with"})

_COMMON = {
    "cache-control": "no-cache, must-revalidate",
    "access-control-allow-origin": "*",
    "strict-transport-security": "max-age=31536000; includeSubDomains; preload",
    "x-content-type-options": "nosniff",
}


def check_request(headers: dict[str, str]) -> None:
    """Raises AzureError 431 when a request has more than ten headers of its own making."""
    custom = [
        name
        for name in headers
        if name.startswith("x-") and name not in STANDARD_HEADERS and not name.startswith(STANDARD_PREFIXES)
    ]
    if len(custom) > CUSTOM_HEADERS_MAX:
        raise errors.too_many_headers()


def of_resource(region: str, request_id: str, client_request_id: str | None) -> dict[str, str]:
    """What every answer of a resource has; `request_id` is the service's own (a uuid)."""
    return {
        **_COMMON,
        "apim-request-id": request_id,
        "x-ms-client-request-id": client_request_id or request_id,
        "x-ms-region": region,
    }


def of_model(call: Call, *, stream: bool) -> dict[str, str]:
    """What an answer of a deployment has besides."""
    return {
        "content-type": "text/event-stream; charset=utf-8" if stream else "application/json",
        "x-accel-buffering": "no",
        "x-ms-rai-invoked": "true",
        "x-request-id": call.world.uuid(),
        "azureml-model-session": "d008-20240215231538",
        "x-ms-deployment-name": call.deployment_name,
    }


def of_limit(limit: Limit, quirk: str, now: float) -> dict[str, str]:
    """The rate limit headers; `quirk` is the deployment's `ratelimit_headers`."""
    if quirk == "none":
        return {}
    values = limit.headers(now)
    if quirk == "minus_one":
        return {name: "-1" if name.startswith("x-ratelimit-") else value for name, value in values.items()}
    return values


def of_refusal(refusal: Refusal, quirk: str) -> dict[str, str]:
    """When to come back, unless the quirk leaves it out."""
    if quirk != "standard":
        return {}
    return {"retry-after": str(refusal.retry_after_s), "retry-after-ms": str(refusal.retry_after_ms)}
