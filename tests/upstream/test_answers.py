from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import (
    BadRequest,
    ContentFiltered,
    ContextLengthExceeded,
    DeploymentNotFound,
    NotFound,
    PayloadTooLarge,
    RateLimited,
    Replay,
    SpillwayError,
    Unavailable,
    UpstreamFailed,
    UpstreamMisconfigured,
    UpstreamTimeout,
)
from shared.upstream.answers import error_in_stream, error_of, operator_reason, scrub

NOW = 1_767_225_600.0

# What Azure really sends, by case: status and body.
RATE_LIMIT_CLASSIC = (
    429,
    b'{"error":{"code":"429","message":"Requests to the ChatCompletions_Create Operation under Azure OpenAI API '
    b"version "
    b"2024-08-01-preview have exceeded token rate limit of your current OpenAI S0 pricing tier. Please retry "
    b"after 86400 "
    b"seconds. Please go here: https://aka.ms/oai/quotaincrease if you would like to further increase the default rate "
    b'limit."}}',
)
RATE_LIMIT_NEWER = (
    429,
    b'{"error":{"code":"429","message":"Your requests to gpt-4.1-nano for gpt-4.1-nano in Sweden Central have exceeded '
    b"the token rate limit for your current AIServices S0 pricing tier. This request was for "
    b"ChatCompletions_Create under "
    b'Azure OpenAI API version 2023-05-15. Please retry after 45 seconds."}}',
)
RATE_LIMIT_SHORT = (429, b'{"error":{"code":"429","message":"Rate limit is exceeded. Try again in 2 seconds."}}')
CAPACITY = (
    429,
    b'{"error":{"code":"too_many_requests","message":"The system is currently experiencing high demand and cannot '
    b"process your request. Your request exceeds the maximum usage size allowed during peak load. For improved "
    b"capacity "
    b'reliability, consider switching to Provisioned Throughput."}}',
)
BAD_KEY = (
    401,
    b'{"error":{"code":"401","message":"Access denied due to invalid subscription key or wrong API endpoint. Make sure '
    b'to provide a valid key for an active subscription and use a correct regional API endpoint for your resource."}}',
)
ROLE_MISSING = (
    401,
    b'{"error":{"code":"PermissionDenied","message":"Principal does not have access to API/Operation."}}',
)
ROLE_MISSING_NEWER = (
    401,
    b'{"error":{"code":"PermissionDenied","message":"The principal `2f1c9a1e` lacks the required data action '
    b"`Microsoft.CognitiveServices/accounts/OpenAI/deployments/chat/completions/action` to perform `POST "
    b'/openai/deployments/{deployment-id}/chat/completions` operation."}}',
)
NETWORK_ACL = (
    403,
    b'{"error":{"code":"AccessDenied","message":"Access denied due to Virtual Network/Firewall rules."}}',
)
LOCAL_AUTH_DISABLED = (
    403,
    b'{"error":{"code":"AuthenticationTypeDisabled","message":"Key based authentication is disabled for this '
    b'resource."}}',
)
UNKNOWN_DEPLOYMENT = (
    404,
    b'{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist. If you '
    b'created the deployment within the last 5 minutes, please wait a moment and try again."}}',
)
UNKNOWN_PATH = (404, b'{"error":{"code":"404","message":"Resource not found"}}')
WRONG_MODEL = (
    400,
    b'{"error":{"code":"OperationNotSupported","message":"The chatCompletion operation does not work with the '
    b"specified "
    b"model, text-embedding-3-small. Please choose different model and try again. You can learn more about "
    b"which models "
    b'can be used with each operation here: https://go.microsoft.com/fwlink/?linkid=2197993."}}',
)
UNSUPPORTED_PARAMETER = (
    400,
    b'{"error":{"message":"Unsupported parameter: \'max_tokens\' is not supported with this model. Use '
    b'\'max_completion_tokens\' instead.","type":"invalid_request_error","param":"max_tokens","code":'
    b'"unsupported_parameter"}}',
)
UNSUPPORTED_VALUE = (
    400,
    b'{"error":{"message":"Unsupported value: \'temperature\' does not support 0 with this model. Only the default (1) '
    b'value is supported.","type":"invalid_request_error","param":"temperature","code":"unsupported_value"}}',
)
CONTEXT = (
    400,
    b'{"error":{"message":"This model\'s maximum context length is 8192 tokens. However, you requested 9000 '
    b"tokens (8000 "
    b'in the messages, 1000 in the completion). Please reduce the length of the messages or completion.","type":'
    b'"invalid_request_error","param":"messages","code":"context_length_exceeded"}}',
)
PROMPT_FILTERED = (
    400,
    b'{"error":{"message":"The response was filtered due to the prompt triggering Azure OpenAI\'s content management '
    b"policy. Please modify your prompt and retry. To learn more about our content filtering policies please read our "
    b'documentation: https://go.microsoft.com/fwlink/?linkid=2198766","type":null,"param":"prompt","code":'
    b'"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation","content_filt'
    b'er_result":{"hate":'
    b'{"filtered":false,"severity":"safe"},"jailbreak":{"filtered":true,"detected":true}}}}}',
)
IMAGE_PROMPT_FILTERED = (
    400,
    b'{"created":1698435368,"error":{"code":"contentFilter","message":"Your task failed as a result of our safety '
    b'system."}}',
)
IMAGE_FILTERED = (
    400,
    b'{"error":{"code":"content_policy_violation","message":"Generated image was filtered as a result of our safety '
    b'system."}}',
)
AUDIO_TOO_LARGE = (
    413,
    b'{"error":{"message":"Maximum content size limit (26214400) exceeded (26214401 bytes read)","type":"server_error",'
    b'"param":null,"code":"null"}}',
)
TIMED_OUT = (408, b'{"error":{"code":"Timeout","message":"The operation was timeout."}}')
SERVER_ERROR = (
    500,
    b'{"error":{"message":"The server had an error processing your request. Sorry about that! (Please include the '
    b'request ID 00000000 in your message.)","type":"server_error","param":null,"code":null}}',
)
INTERNAL_SERVER_ERROR = (500, b'{"error":{"code":"InternalServerError","message":"Internal server error"}}')
SERVICE_UNAVAILABLE = (503, b'{"error":{"code":"ServiceUnavailable","message":"The service is overloaded."}}')

BODIES = [
    (RATE_LIMIT_CLASSIC, RateLimited, 429, "rate_limit_exceeded", None),
    (RATE_LIMIT_NEWER, RateLimited, 429, "rate_limit_exceeded", None),
    (RATE_LIMIT_SHORT, RateLimited, 429, "rate_limit_exceeded", None),
    (CAPACITY, RateLimited, 429, "rate_limit_exceeded", None),
    (BAD_KEY, UpstreamMisconfigured, 502, "upstream_misconfigured", None),
    (ROLE_MISSING, UpstreamMisconfigured, 502, "upstream_misconfigured", None),
    (ROLE_MISSING_NEWER, UpstreamMisconfigured, 502, "upstream_misconfigured", None),
    (NETWORK_ACL, UpstreamMisconfigured, 502, "upstream_misconfigured", None),
    (LOCAL_AUTH_DISABLED, UpstreamMisconfigured, 502, "upstream_misconfigured", None),
    (UNKNOWN_DEPLOYMENT, DeploymentNotFound, 404, "DeploymentNotFound", "model"),
    (UNKNOWN_PATH, UpstreamMisconfigured, 502, "upstream_misconfigured", None),
    (WRONG_MODEL, BadRequest, 400, "OperationNotSupported", None),
    (UNSUPPORTED_PARAMETER, BadRequest, 400, "unsupported_parameter", "max_tokens"),
    (UNSUPPORTED_VALUE, BadRequest, 400, "unsupported_value", "temperature"),
    (CONTEXT, ContextLengthExceeded, 400, "context_length_exceeded", "messages"),
    (PROMPT_FILTERED, ContentFiltered, 400, "content_filter", "prompt"),
    (IMAGE_PROMPT_FILTERED, ContentFiltered, 400, "content_filter", "prompt"),
    (IMAGE_FILTERED, ContentFiltered, 400, "content_filter", "prompt"),
    (AUDIO_TOO_LARGE, PayloadTooLarge, 413, "request_too_large", None),
    (TIMED_OUT, UpstreamTimeout, 504, "upstream_timeout", None),
    (SERVER_ERROR, UpstreamFailed, 502, "upstream_error", None),
    (INTERNAL_SERVER_ERROR, UpstreamFailed, 502, "upstream_error", None),
    (SERVICE_UNAVAILABLE, Unavailable, 503, "service_unavailable", None),
]


def read(answer: tuple[int, bytes], headers: dict[str, str] | None = None) -> SpillwayError:
    return error_of(answer[0], headers or {}, answer[1], NOW)


@pytest.mark.parametrize(("answer", "kind", "status", "code", "param"), BODIES)
def test_each_of_azures_bodies_is_understood(
    answer: tuple[int, bytes], kind: type[SpillwayError], status: int, code: str, param: str | None
) -> None:
    error = read(answer)
    assert (type(error), error.status, error.code, error.param) == (kind, status, code, param)


@pytest.mark.parametrize("answer", [WRONG_MODEL, UNSUPPORTED_PARAMETER, UNSUPPORTED_VALUE, CONTEXT, PROMPT_FILTERED])
def test_what_the_client_can_mend_keeps_azures_words(answer: tuple[int, bytes]) -> None:
    assert read(answer).message == orjson.loads(answer[1])["error"]["message"]


@pytest.mark.parametrize("answer", [RATE_LIMIT_CLASSIC, RATE_LIMIT_NEWER, BAD_KEY, ROLE_MISSING_NEWER, NETWORK_ACL])
def test_what_the_client_cannot_mend_does_not_tell_of_the_resource(answer: tuple[int, bytes]) -> None:
    message = read(answer).message
    assert not any(word in message for word in ("S0", "Sweden", "principal", "subscription", "Firewall"))


def test_the_filters_details_are_kept() -> None:
    inner = read(PROMPT_FILTERED).inner
    assert inner == orjson.loads(PROMPT_FILTERED[1])["error"]["innererror"]


@pytest.mark.parametrize("outer", ["innererror", "inner_error"])
@pytest.mark.parametrize("details", ["content_filter_result", "content_filter_results"])
def test_all_four_spellings_of_the_filters_details_are_read(outer: str, details: str) -> None:
    inner = {"code": "ResponsibleAIPolicyViolation", details: {"hate": {"filtered": True, "severity": "high"}}}
    error = read((400, orjson.dumps({"error": {"code": "content_filter", "message": "Filtered.", outer: inner}})))
    assert orjson.loads(error.body())["error"]["innererror"] == inner


def test_a_policy_violation_is_known_by_its_innererror_alone() -> None:
    body = {"error": {"message": "No.", "code": None, "innererror": {"code": "ResponsibleAIPolicyViolation"}}}
    assert isinstance(read((400, orjson.dumps(body))), ContentFiltered)


def test_the_operator_is_told_no_host() -> None:
    body = b'{"error": {"code": "401", "message": "Ask https://secret.openai.azure.com/x again."}}'
    assert "secret" not in operator_reason(401, body)


def test_a_missing_role_is_named_to_the_operator() -> None:
    reason = operator_reason(*ROLE_MISSING)
    assert "'Cognitive Services OpenAI User' (5e0bd9bd-7b93-4f28-af87-19fc36ad61bd)" in reason


@pytest.mark.parametrize(
    ("answer", "hint"),
    [(BAD_KEY, "is not valid for this resource"), (UNKNOWN_PATH, "the api-version is unknown to this resource")],
)
def test_the_operator_gets_a_hint(answer: tuple[int, bytes], hint: str) -> None:
    assert hint in operator_reason(*answer)


def test_the_operator_reads_azures_own_code_and_words() -> None:
    assert operator_reason(*NETWORK_ACL).startswith(
        "403 AccessDenied: Access denied due to Virtual Network/Firewall rules."
    )


def test_the_operators_line_is_bounded() -> None:
    assert len(operator_reason(403, orjson.dumps({"error": {"message": "x" * 100_000}}))) < 1000


def test_an_answer_without_words_still_gives_the_operator_its_status() -> None:
    assert operator_reason(403, b"<html>") == "403 without a code: no message"


@pytest.mark.parametrize(
    "host",
    [
        "my-resource.openai.azure.com",
        "https://my-resource.openai.azure.com/openai/deployments/gpt-4o",
        "MY-RESOURCE.OPENAI.AZURE.COM",
        "my-resource.openai.azure.us",
        "my-resource.openai.azure.cn",
        "my-resource.cognitiveservices.azure.com",
        "my-resource.services.ai.azure.com/api/projects/p",
        "https://eastus2.api.cognitive.microsoft.com/",
        "my-resource.privatelink.openai.azure.com",
        "https://my-resource.openai.azure.com:443/x?key=1",
    ],
)
def test_a_message_never_names_a_host_of_azures(host: str) -> None:
    error = read((400, orjson.dumps({"error": {"code": "x", "message": f"Cannot reach {host} now."}})))
    assert error.message == "Cannot reach the upstream now."


def test_links_to_documentation_stay() -> None:
    text = "See https://go.microsoft.com/fwlink/?linkid=2198766 and https://aka.ms/oai/quotaincrease."
    assert scrub(text) == text


def test_the_wait_comes_from_the_headers() -> None:
    assert read(RATE_LIMIT_NEWER, {"retry-after": "45"}).retry_after_ms == 45_000


def test_a_wait_in_the_prose_is_not_believed() -> None:
    assert read(RATE_LIMIT_CLASSIC).retry_after_ms is None


def test_an_unavailable_model_says_when_to_come_back() -> None:
    assert read(SERVICE_UNAVAILABLE, {"retry-after-ms": "1500"}).retry_after_ms == 1500


@pytest.mark.parametrize("status", [401, 403, 429, 503])
def test_no_code_changes_what_these_statuses_mean(status: int) -> None:
    with_code = read((status, b'{"error":{"code":"content_filter","message":"x"}}'))
    assert type(with_code) is type(read((status, b"")))


@pytest.mark.parametrize(
    "body", [b"", b"<html><body>502 Bad Gateway</body></html>", b'{"error":{"code":"4', b"null", b"[]"]
)
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (302, UpstreamFailed),
        (400, BadRequest),
        (401, UpstreamMisconfigured),
        (404, UpstreamMisconfigured),
        (429, RateLimited),
        (500, UpstreamFailed),
        (502, UpstreamFailed),
        (503, Unavailable),
        (504, UpstreamTimeout),
    ],
)
def test_a_body_that_says_nothing_leaves_it_to_the_status(status: int, kind: type[SpillwayError], body: bytes) -> None:
    assert type(read((status, body))) is kind


def test_a_refusal_without_words_gets_some() -> None:
    assert read((400, b"")).message == "The model's deployment answered 400."


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "code", "message", "type", "param", "innererror", "inner_error", "x"]), inner
        )
    ),
    max_leaves=12,
)


@given(st.integers(300, 599), JSON)
def test_any_json_is_an_error_with_a_body(status: int, payload: Any) -> None:
    assert orjson.loads(read((status, orjson.dumps(payload))).body())["error"]["message"]


@given(st.dictionaries(st.sampled_from(["error", "type", "code", "message"]), JSON))
def test_any_event_is_an_error_or_none(payload: dict[str, Any]) -> None:
    error = error_in_stream(payload)
    assert error is None or orjson.loads(error.body())["error"]["message"]


IN_STREAM = {"message": "Too Many Requests", "code": "rate_limit_exceeded", "param": None}


@pytest.mark.parametrize(
    "payload",
    [
        {"error": IN_STREAM},
        {"type": "error", "error": {"type": "too_many_requests", **IN_STREAM}, "sequence_number": 1},
        {"type": "error", **IN_STREAM},
    ],
)
def test_an_error_in_a_stream_has_three_shapes(payload: dict[str, Any]) -> None:
    assert isinstance(error_in_stream(payload), RateLimited)


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"type": "too_many_requests", "code": None}, RateLimited),
        ({"code": "too_many_requests"}, RateLimited),
        ({"code": 429}, RateLimited),
        ({"code": "content_filter", "message": "No."}, ContentFiltered),
        ({"code": "context_length_exceeded"}, ContextLengthExceeded),
        ({"type": "server_error", "code": None}, UpstreamFailed),
        ({"code": "never_heard_of"}, UpstreamFailed),
        ({}, UpstreamFailed),
    ],
)
def test_an_error_in_a_stream_means_what_its_code_or_type_says(
    fields: dict[str, Any], kind: type[SpillwayError]
) -> None:
    assert type(error_in_stream({"error": fields})) is kind


@pytest.mark.parametrize("payload", [{"id": "1", "choices": []}, {"error": None, "choices": []}, [], None, "error", 7])
def test_an_event_that_is_no_error(payload: Any) -> None:
    assert error_in_stream(payload) is None


def test_a_rate_limit_in_a_stream_may_go_elsewhere() -> None:
    error = error_in_stream({"error": IN_STREAM})
    assert error is not None
    assert error.replay is Replay.FREELY


def test_an_error_in_a_stream_does_not_name_a_host() -> None:
    error = error_in_stream({"error": {"code": "content_filter", "message": "at my.openai.azure.com"}})
    assert error is not None
    assert error.message == "at the upstream"


GONE = b'{"error":{"message":"Response with id \'resp_1\' not found.","type":"invalid_request_error","code":null}}'


def test_a_404_for_a_thing_that_was_named_is_the_clients() -> None:
    error = error_of(404, {}, GONE, NOW, bound=True)
    assert isinstance(error, NotFound)
    assert (error.message, error.replay) == ("Response with id 'resp_1' not found.", Replay.NEVER)


def test_a_404_where_nothing_was_named_is_the_operators() -> None:
    assert isinstance(error_of(404, {}, GONE, NOW), UpstreamMisconfigured)


def test_an_unknown_path_is_the_operators_whatever_was_named() -> None:
    body = b'{"error":{"code":"404","message":"Resource not found"}}'
    assert isinstance(error_of(404, {}, body, NOW, bound=True), UpstreamMisconfigured)


def test_an_unknown_deployment_is_one_whatever_was_named() -> None:
    body = b'{"error":{"code":"DeploymentNotFound","message":"no"}}'
    assert isinstance(error_of(404, {}, body, NOW, bound=True), DeploymentNotFound)


@pytest.mark.parametrize("code", ["invalid_prompt", "image_too_large", "failed_to_download_image"])
def test_a_response_that_failed_for_its_input_is_a_bad_request(code: str) -> None:
    error = error_in_stream({"type": "error", "error": {"code": code, "message": "m"}})
    assert isinstance(error, BadRequest)
    assert (error.code, error.replay) == (code, Replay.NEVER)
