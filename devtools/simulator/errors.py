"""Azure OpenAI's error answers, word for word where a capture exists.

Bodies that no capture confirms are marked "inferred" beside them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class AzureError(Exception):
    """An answer that is an error: `status`, the JSON `body`, and headers beyond the usual ones."""

    def __init__(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body
        self.headers = headers or {}


def coded(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> AzureError:
    """The shape of Azure's front end: `{"error": {"code", "message"}}`."""
    return AzureError(status, {"error": {"code": code, "message": message}}, headers)


def invalid_request(message: str, param: str | None = None, code: str | None = None) -> AzureError:
    """The shape of the model's own 400: `{"error": {"message", "type", "param", "code"}}`."""
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    headers = {"ms-azureml-model-error-reason": "model_error", "ms-azureml-model-error-statuscode": "400"}
    return AzureError(400, {"error": error}, headers)


def resource_not_found() -> AzureError:
    """Unknown path or api-version."""
    return coded(404, "404", "Resource not found")


def api_version_not_supported() -> AzureError:
    """A dated api-version on the v1 surface, whose spec allows `v1` and `preview` (inferred)."""
    return coded(400, "BadRequest", "API version not supported")


def deployment_not_found() -> AzureError:
    return coded(
        404,
        "DeploymentNotFound",
        "The API deployment for this resource does not exist. If you created the deployment within the last 5 "
        "minutes, please wait a moment and try again.",
    )


def operation_not_supported(operation: str, model: str) -> AzureError:
    """The deployment's model cannot do this; `operation` is Azure's word, such as `chatCompletion`."""
    return coded(
        400,
        "OperationNotSupported",
        f"The {operation} operation does not work with the specified model, {model}. Please choose different model "
        "and try again. You can learn more about which models can be used with each operation here: "
        "https://go.microsoft.com/fwlink/?linkid=2197993.",
    )


def invalid_key() -> AzureError:
    return coded(
        401,
        "401",
        "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for "
        "an active subscription and use a correct regional API endpoint for your resource.",
    )


def invalid_token() -> AzureError:
    """A missing, expired, revoked or foreign Entra token."""
    return coded(
        401,
        "401",
        "Unauthorized. Access token is missing, invalid, audience is incorrect "
        "(https://cognitiveservices.azure.com), or have expired.",
    )


def permission_denied() -> AzureError:
    """The principal's role does not allow the call."""
    return coded(401, "PermissionDenied", "Principal does not have access to API/Operation.")


def local_auth_disabled() -> AzureError:
    """A key on a resource with `disableLocalAuth` (inferred)."""
    return coded(403, "AuthenticationTypeDisabled", "Key based authentication is disabled for this resource.")


def too_many_headers() -> AzureError:
    """More than ten custom request headers; the status is documented, the body inferred."""
    return coded(431, "431", "Request Header Fields Too Large")


def body_too_large(limit: int, size: int) -> AzureError:
    """A request body over the simulator's own limit, in the words of Azure's audio endpoints."""
    return coded(413, "413", f"Maximum content size limit ({limit}) exceeded ({size} bytes read)")


def not_json() -> AzureError:
    return invalid_request(
        "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP "
        "library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON. If you have "
        "trouble figuring out how to fix this, please contact us through our help center at help.openai.com.)"
    )


def not_multipart() -> AzureError:
    """A body that is not well-formed multipart/form-data, where that is asked for (inferred)."""
    return invalid_request("Could not parse multipart form")


def unknown_parameter(name: str) -> AzureError:
    """A body field that v1 does not know, or no Responses call."""
    return invalid_request(f"Unknown parameter: '{name}'.", name, "unknown_parameter")


def invalid_value(value: object, supported: Iterable[str], param: str) -> AzureError:
    """A value that is none of a list."""
    *most, last = (f"'{name}'" for name in supported)
    listed = f"{', '.join(most)}, and {last}" if len(most) > 1 else " and ".join((*most, last))
    return invalid_request(f"Invalid value: '{value}'. Supported values are: {listed}.", param, "invalid_value")


def unrecognized_arguments(names: list[str]) -> AzureError:
    """A body field that this api-version or model does not know."""
    plural = "s" if len(names) > 1 else ""
    return invalid_request(f"Unrecognized request argument{plural} supplied: {', '.join(names)}")


def unsupported_parameter(name: str) -> AzureError:
    hint = " Use 'max_completion_tokens' instead." if name == "max_tokens" else ""
    return invalid_request(
        f"Unsupported parameter: '{name}' is not supported with this model.{hint}", name, "unsupported_parameter"
    )


def unsupported_value(name: str, value: object, default: object) -> AzureError:
    shown, usual = (str(v).lower() if isinstance(v, bool) else v for v in (value, default))
    return invalid_request(
        f"Unsupported value: '{name}' does not support {shown} with this model. Only the default ({usual}) value is "
        "supported.",
        name,
        "unsupported_value",
    )


def missing_parameter(name: str) -> AzureError:
    return invalid_request(f"Missing required parameter: '{name}'.", name, "missing_required_parameter")


def prompt_too_long(window: int, prompt: int, completion: int) -> AzureError:
    """The same for completions and embeddings, in their older words."""
    return invalid_request(
        f"This model's maximum context length is {window} tokens, however you requested {prompt + completion} tokens "
        f"({prompt} in your prompt; {completion} for the completion). Please reduce your prompt; or completion length."
    )


def context_length_exceeded(window: int, prompt: int, completion: int) -> AzureError:
    return invalid_request(
        f"This model's maximum context length is {window} tokens. However, you requested {prompt + completion} tokens "
        f"({prompt} in the messages, {completion} in the completion). Please reduce the length of the messages or "
        "completion.",
        "messages",
        "context_length_exceeded",
    )


def prompt_filtered(results: dict[str, Any]) -> AzureError:
    """The prompt triggered the content filter; `results` is the `content_filter_result` map of all categories."""
    return AzureError(400, {
        "error": {
            "message": "The response was filtered due to the prompt triggering Azure OpenAI's content management "
            "policy. Please modify your prompt and retry. To learn more about our content filtering policies please "
            "read our documentation: https://go.microsoft.com/fwlink/?linkid=2198766",
            "type": None,
            "param": "prompt",
            "code": "content_filter",
            "status": 400,
            "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": results},
        }
    })  # fmt: skip


def image_filtered(created: int, *, generated: bool) -> AzureError:
    """The content filter took an image, or the prompt for one."""
    what = "Generated image was filtered" if generated else "Your task failed"
    message = f"{what} as a result of our safety system."
    return AzureError(400, {"created": created, "error": {"code": "contentFilter", "message": message}})


def rate_limited(kind: str, operation: str, api_version: str, retry_after_s: int) -> AzureError:
    """A standard deployment is over its `token` or `call` rate limit (classic wording)."""
    return coded(
        429,
        "429",
        f"Requests to the {operation} Operation under Azure OpenAI API version {api_version} have exceeded {kind} rate "
        f"limit of your current OpenAI S0 pricing tier. Please retry after {retry_after_s} seconds. Please go here: "
        "https://aka.ms/oai/quotaincrease if you would like to further increase the default rate limit.",
    )


def provisioned_full(retry_after_s: int) -> AzureError:
    """A provisioned deployment is at 100 % (the short form)."""
    return coded(429, "429", f"Rate limit is exceeded. Try again in {retry_after_s} seconds.")


def stream_error(deployment: str, region: str) -> dict[str, Any]:
    """The error event that Azure sends inside a 200 stream when the limit strikes after the headers."""
    where = region.replace(" ", "").lower()
    return {"error": {
        "type": "too_many_requests",
        "code": "rate_limit_exceeded",
        "message": f"Your requests to {deployment} for {deployment} in {where} have exceeded token rate limit.",
        "param": None,
    }}  # fmt: skip


_SERVER_ERROR = {
    "message": "The server had an error processing your request. Sorry about that! You can retry your request, or "
    "contact us through an Azure support request at: https://go.microsoft.com/fwlink/?linkid=2213926 if you continue "
    "seeing this error. (Please include the request ID 00000000-0000-0000-0000-000000000000 in your email.)",
    "type": "server_error",
    "param": None,
    "code": None,
}
_BY_STATUS: dict[int, dict[str, Any]] = {
    401: invalid_key().body,
    404: deployment_not_found().body,
    408: {"error": {"code": "Timeout", "message": "The operation was timeout."}},
    429: provisioned_full(2).body,
    500: {"error": _SERVER_ERROR},
    503: {"error": {"code": "ServiceUnavailable", "message": "The service is temporarily unable to process your "
                                                             "request. Please try again later."}},
}  # fmt: skip


def body_for(status: int) -> dict[str, Any]:
    """What Azure says with this status when nothing more is known: for faults on request."""
    return _BY_STATUS.get(status, {"error": {"code": str(status), "message": f"Simulated status {status}."}})
