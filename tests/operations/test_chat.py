from __future__ import annotations

import copy
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import config
from shared.callers.caller import MASTER
from shared.errors import BadRequest
from shared.operations import chat
from shared.operations.chat import CHAT, encode
from shared.operations.operation import Call, Incoming
from shared.operations.parsing import wants_usage
from shared.seal import Seal, Sealer, tag
from shared.upstream.credentials import api_key
from shared.upstream.deployment import Deployment, deployment_of
from shared.upstream.endpoint import of_entry

MESSAGES = [{"role": "user", "content": "hi"}]
BODY = {"model": "gpt-4o", "messages": MESSAGES}


SEAL = Seal(Sealer(["secret"]), tag(MASTER.key_id))


def parse(path_model: str | None, body: dict[str, Any]) -> Call:
    return chat.parse(Incoming("call_1", MASTER, path_model, body, SEAL))


def call(path_model: str | None = None, **body: Any) -> Call:
    return parse(path_model, {**BODY, **body})


def refused(body: dict[str, Any], path_model: str | None = None) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        parse(path_model, body)
    return caught.value


def deployment(version: str = "2024-10-21", policy: str = "upgrade") -> Deployment:
    text = (
        "model_list:\n  - model_name: gpt-4o\n    litellm_params: {model: azure/my-gpt-4o, api_key: k, "
        f"api_base: 'https://r.openai.azure.com', api_version: '{version}', api_version_policy: {policy}}}\n"
    )
    match = config.parse(text, {}).matches("gpt-4o")[0]
    return deployment_of(match, of_entry(match.entry)[0], api_key("k", bearer=False))


def sent(one: Call, to: Deployment | None = None) -> dict[str, Any]:
    body: dict[str, Any] = orjson.loads(encode(one, to or deployment()))
    return body


def test_the_least_that_is_needed_is_a_model_and_a_message() -> None:
    found = call()
    assert (found.model, found.stream, found.timeout_s, found.body) == ("gpt-4o", False, None, BODY)


@pytest.mark.parametrize(
    ("wrong", "param", "code"),
    [
        ({"model": None}, "model", "missing_required_parameter"),
        ({"model": ""}, "model", "invalid_type"),
        ({"model": 7}, "model", "invalid_type"),
        ({"model": ["gpt-4o"]}, "model", "invalid_type"),
        ({"messages": None}, "messages", "missing_required_parameter"),
        ({"messages": []}, "messages", "empty_array"),
        ({"messages": "hi"}, "messages", "invalid_type"),
        ({"messages": {"role": "user"}}, "messages", "invalid_type"),
        ({"stream": "yes"}, "stream", "invalid_type"),
        ({"stream": 1}, "stream", "invalid_type"),
        ({"stream": True, "stream_options": []}, "stream_options", "invalid_type"),
        ({"stream": True, "stream_options": True}, "stream_options", "invalid_type"),
        ({"stream_options": {"include_usage": True}}, "stream_options", "invalid_value"),
        ({"stream": False, "stream_options": {}}, "stream_options", "invalid_value"),
        ({"timeout": "10"}, "timeout", "invalid_type"),
        ({"timeout": True}, "timeout", "invalid_type"),
        ({"timeout": 0}, "timeout", "invalid_value"),
        ({"timeout": -1.5}, "timeout", "invalid_value"),
        ({"api_key": "sk"}, "api_key", "unsupported_parameter"),
        ({"api_base": "https://evil.test"}, "api_base", "unsupported_parameter"),
        ({"base_url": "https://evil.test"}, "base_url", "unsupported_parameter"),
        ({"api_version": "v1"}, "api_version", "unsupported_parameter"),
        ({"azure_ad_token": "t"}, "azure_ad_token", "unsupported_parameter"),
        ({"api_key": None}, "api_key", "unsupported_parameter"),
    ],
)
def test_a_wrong_request_names_its_parameter(wrong: dict[str, Any], param: str, code: str) -> None:
    error = refused({**BODY, **wrong})
    assert (error.param, error.code) == (param, code)


@pytest.mark.parametrize("absent", ["model", "messages"])
def test_what_is_required_may_not_be_absent(absent: str) -> None:
    error = refused({name: value for name, value in BODY.items() if name != absent})
    assert error.message == f"Missing required parameter: '{absent}'."


@pytest.mark.parametrize(
    ("value", "kind"),
    [(True, "a boolean"), ("x", "a string"), (1, "an integer"), (1.5, "a number"), ({}, "an object")],
)
def test_a_wrong_type_is_named_as_openai_does(value: Any, kind: str) -> None:
    assert refused({**BODY, "messages": value}).message == (
        f"Invalid type for 'messages': expected an array, but got {kind} instead."
    )


def test_a_refusal_does_not_repeat_a_credential() -> None:
    assert "sk-secret" not in refused({**BODY, "api_key": "sk-secret"}).message


@pytest.mark.parametrize("nothing", ["stream", "stream_options", "timeout"])
def test_null_is_as_good_as_absent(nothing: str) -> None:
    assert call(**{nothing: None}).stream is False


def test_the_deployment_of_an_azure_style_path_wins() -> None:
    assert call("from-path").model == "from-path"


def test_an_azure_style_path_needs_no_model_in_the_body() -> None:
    assert parse("from-path", {"messages": MESSAGES}).model == "from-path"


@pytest.mark.parametrize("seconds", [10, 0.5])
def test_a_timeout_is_for_the_gateway_and_not_sent_on(seconds: float) -> None:
    found = call(timeout=seconds)
    assert (found.timeout_s, "timeout" in sent(found)) == (seconds, False)


def test_what_the_gateway_does_not_know_is_the_models_affair() -> None:
    assert sent(call(logit_bias={"1": 2}, never_heard_of=[1]))["never_heard_of"] == [1]


def test_the_deployments_own_name_is_sent_as_model() -> None:
    assert sent(call())["model"] == "my-gpt-4o"


def test_a_path_without_model_in_the_body_sends_one_too() -> None:
    assert sent(parse("from-path", {"messages": MESSAGES}))["model"] == "my-gpt-4o"


def test_usage_is_asked_for_in_every_stream() -> None:
    assert sent(call(stream=True))["stream_options"] == {"include_usage": True}


def test_usage_is_asked_for_beside_the_clients_own_options() -> None:
    options = {"include_usage": False, "include_obfuscation": False}
    assert sent(call(stream=True, stream_options=options))["stream_options"] == {
        "include_usage": True,
        "include_obfuscation": False,
    }


def test_a_buffered_call_is_sent_without_stream_options() -> None:
    assert "stream_options" not in sent(call())


def test_a_version_without_it_is_not_asked_for_usage() -> None:
    assert "stream_options" not in sent(call(stream=True), deployment("2023-05-15", "exact"))


def test_a_version_without_it_still_gets_what_the_client_wrote() -> None:
    options = {"include_usage": True}
    assert (
        sent(call(stream=True, stream_options=options), deployment("2023-05-15", "exact"))["stream_options"] == options
    )


@pytest.mark.parametrize("options", [None, {"include_usage": False}, {"include_obfuscation": False}])
def test_encoding_never_changes_the_clients_body(options: dict[str, Any] | None) -> None:
    found = call(stream=True, stream_options=options)
    before = copy.deepcopy(found.body)
    encode(found, deployment())
    assert found.body == before


def test_the_same_call_can_be_encoded_for_two_deployments() -> None:
    found = call(stream=True)
    encode(found, deployment())
    assert "stream_options" not in sent(found, deployment("2023-05-15", "exact"))


def test_json_that_cannot_be_written_again_is_the_clients_mistake() -> None:
    deep: Any = []
    for _ in range(300):
        deep = [deep]
    with pytest.raises(BadRequest, match="nested too deeply"):
        encode(call(tools=deep), deployment())


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (None, False),
        ({}, False),
        ({"include_usage": False}, False),
        ({"include_usage": 1}, False),
        ({"include_usage": True}, True),
    ],
)
def test_whether_the_client_asked_for_usage(options: Any, wanted: bool) -> None:
    assert wants_usage(call(stream=True, stream_options=options)) is wanted


def test_the_translator_shows_usage_to_whom_asked() -> None:
    usage = b'data: {"id":"1","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\n'
    assert CHAT.translator is not None
    asked = CHAT.translator(call(stream=True, stream_options={"include_usage": True}))
    not_asked = CHAT.translator(call(stream=True))
    assert (asked.feed(usage), not_asked.feed(usage)) == (usage, b"")


VALUES: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers(-10, 10) | st.text(max_size=3) | st.sampled_from([[], {}])
)


@given(st.dictionaries(st.sampled_from(["messages", "stream", "stream_options", "timeout", "n"]), VALUES))
def test_any_body_without_a_model_is_a_bad_request(body: dict[str, Any]) -> None:
    assert refused(body).param == "model"


@given(st.dictionaries(st.sampled_from(["n", "tools", "seed", "stop", "user", "temperature"]), VALUES))
def test_any_field_that_is_not_the_gateways_is_sent_as_it_came(fields: dict[str, Any]) -> None:
    assert sent(call(**fields)) == {**BODY, **fields, "model": "my-gpt-4o"}
