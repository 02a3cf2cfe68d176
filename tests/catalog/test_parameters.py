"""shared/catalog/parameters.py: what becomes of a request's parameters, model by model."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.catalog.capabilities import UNKNOWN, Capability, resolve, rows
from shared.catalog.parameters import Applied, apply
from shared.catalog.paths import is_path, without
from shared.catalog.policy import PATHS_MAX, ParameterPolicy, requested
from shared.errors import BadRequest

STRICT = ParameterPolicy()
DROP = ParameterPolicy(drop=True)
CHAT, RESPONSES, IMAGES, SPEECH = "chat_completions", "responses", "images_generations", "audio_speech"
OPERATIONS = (CHAT, RESPONSES, "completions", "embeddings", IMAGES, "images_edits", SPEECH, "audio_transcriptions")
O_SERIES = ("o1", "o3", "o3-mini", "o4-mini")
GPT_5_UP = (
    "gpt-5",
    "gpt-5-mini",
    "gpt-5.1",
    "gpt-5.1-chat",
    "gpt-5.2",
    "gpt-5.4",
    "gpt-5.5",
    "gpt-6-sol",
    "gpt-6.1-sol",
)
ORDINARY = ("gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4", "gpt-35-turbo", "gpt-5-chat", "gpt-audio")


def model(name: str) -> Capability:
    found = resolve(name, "any", None)
    assert found.how == "base_model"
    return found.capability


def sent(name: str, operation: str, body: dict[str, Any], policy: ParameterPolicy = STRICT) -> Applied:
    return apply(body, operation, model(name), policy, f"my-{name}")


def refused(name: str, operation: str, body: dict[str, Any], policy: ParameterPolicy = STRICT) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        sent(name, operation, body, policy)
    return caught.value


# --- the bound of the answer


@pytest.mark.parametrize("name", [*O_SERIES, *GPT_5_UP, "o1-mini", "o1-preview"])
def test_reasoning_chats_get_max_completion_tokens(name: str) -> None:
    applied = sent(name, CHAT, {"max_tokens": 5})
    assert applied.body == {"max_completion_tokens": 5}
    assert applied.renamed == (("max_tokens", "max_completion_tokens"),)


@pytest.mark.parametrize("name", ORDINARY)
def test_other_chats_keep_max_tokens(name: str) -> None:
    assert sent(name, CHAT, {"max_tokens": 5}).body == {"max_tokens": 5}


def test_responses_get_max_output_tokens() -> None:
    assert sent("gpt-4o", RESPONSES, {"max_tokens": 5}).body == {"max_output_tokens": 5}
    assert sent("o3", RESPONSES, {"max_completion_tokens": 5}).body == {"max_output_tokens": 5}
    assert sent("o3", RESPONSES, {"max_output_tokens": 5}).renamed == ()


def test_both_bounds_alike_are_one() -> None:
    applied = sent("o3", CHAT, {"max_tokens": 5, "max_completion_tokens": 5})
    assert (applied.body, applied.omitted) == ({"max_completion_tokens": 5}, ("max_tokens",))


def test_both_bounds_apart_are_refused_unless_dropping() -> None:
    both = {"max_tokens": 5, "max_completion_tokens": 6}
    error = refused("o3", CHAT, both)
    assert (error.param, error.code) == ("max_tokens", "invalid_value")
    applied = sent("o3", CHAT, both, DROP)
    assert (applied.body, applied.dropped) == ({"max_completion_tokens": 6}, ("max_tokens",))


def test_a_null_bound_is_no_bound() -> None:
    assert sent("o3", CHAT, {"max_tokens": None, "max_completion_tokens": 6}).body == {"max_completion_tokens": 6}
    assert sent("o3", CHAT, {"max_tokens": 6, "max_completion_tokens": None}).body == {"max_completion_tokens": 6}


def test_an_allowed_max_tokens_keeps_its_name() -> None:
    assert sent("o3", CHAT, {"max_tokens": 5}, ParameterPolicy(allowed=frozenset({"max_tokens"}))).body == {
        "max_tokens": 5
    }


# --- sampling


@pytest.mark.parametrize("name", [*O_SERIES, *GPT_5_UP])
@pytest.mark.parametrize(
    ("parameter", "value"), [("presence_penalty", 0.5), ("frequency_penalty", -1), ("logit_bias", {"50256": -100})]
)
def test_reasoning_models_refuse_what_microsoft_lists(name: str, parameter: str, value: Any) -> None:
    error = refused(name, CHAT, {parameter: value})
    assert (error.status, error.code, error.param) == (400, "unsupported_parameter", parameter)
    for said in (f"`{parameter}`", f"`my-{name}`", "`drop_params: true`", f"`allowed_openai_params: [{parameter}]`"):
        assert said in error.message
    dropped = sent(name, CHAT, {parameter: value, "seed": 1}, DROP)
    assert (dropped.body, dropped.dropped) == ({"seed": 1}, (parameter,))
    allowed = ParameterPolicy(allowed=frozenset({parameter}))
    assert sent(name, CHAT, {parameter: value}, allowed).body == {parameter: value}


@pytest.mark.parametrize("name", [*O_SERIES, "gpt-5", "gpt-5.1-chat", "gpt-5.5", "gpt-6-astra", "gpt-6.1-sol"])
@pytest.mark.parametrize(
    ("parameter", "value"), [("temperature", 0), ("top_p", 0.5), ("logprobs", True), ("top_logprobs", 2)]
)
def test_sampling_is_refused_while_the_model_reasons(name: str, parameter: str, value: Any) -> None:
    assert refused(name, CHAT, {parameter: value}).param == parameter


def test_a_value_out_of_a_known_list_names_the_list() -> None:
    error = refused("gpt-5", CHAT, {"temperature": 0.2})
    assert error.code == "unsupported_value"
    assert "only `1`" in error.message


@pytest.mark.parametrize("name", ["gpt-5.1", "gpt-5.2", "gpt-5.4", "gpt-5.4-mini"])
def test_sampling_passes_where_no_effort_is_the_default(name: str) -> None:
    body = {"temperature": 0, "top_p": 0.5, "logprobs": True, "top_logprobs": 2}
    assert sent(name, CHAT, body).body == body
    assert refused(name, CHAT, {**body, "reasoning_effort": "low"}).param == "temperature"


def test_sampling_passes_with_effort_none_in_responses_too() -> None:
    body = {"temperature": 0, "reasoning": {"effort": "none"}}
    assert sent("gpt-5.5", RESPONSES, body).body == body
    assert refused("gpt-5.5", RESPONSES, {"temperature": 0}).param == "temperature"


@pytest.mark.parametrize("name", [*O_SERIES, *GPT_5_UP])
def test_values_that_the_model_has_anyhow_are_never_refused(name: str) -> None:
    body = {
        "temperature": 1,
        "top_p": 1,
        "presence_penalty": 0,
        "frequency_penalty": 0.0,
        "logit_bias": {},
        "logprobs": False,
    }
    applied = sent(name, CHAT, body)
    assert applied.dropped == ()
    assert set(applied.omitted) >= {"presence_penalty", "frequency_penalty", "logit_bias"}


@pytest.mark.parametrize("name", ["o1", "o4-mini", "gpt-5", "gpt-5.2-chat"])
def test_temperature_1_is_sent_as_it_is(name: str) -> None:
    assert sent(name, CHAT, {"temperature": 1}).body == {"temperature": 1}


def test_o3_mini_is_sent_no_temperature_at_all() -> None:
    assert sent("o3-mini", CHAT, {"temperature": 1.0}).body == {}


def test_true_is_not_1() -> None:
    assert refused("gpt-5", CHAT, {"temperature": True}).param == "temperature"


def test_null_is_never_refused() -> None:
    assert sent("o3", CHAT, {"logit_bias": None, "temperature": None}).body == {}


@pytest.mark.parametrize(
    ("name", "known"), [("o1", True), ("o3-mini", True), ("o3", False), ("o4-mini", False), ("gpt-5", False)]
)
def test_stop_is_known_up_to_o3_mini(name: str, known: bool) -> None:
    if known:
        assert sent(name, CHAT, {"stop": "x"}).body == {"stop": "x"}
    else:
        assert refused(name, CHAT, {"stop": "x"}).param == "stop"


# --- reasoning effort


@pytest.mark.parametrize("name", [name for name, found in rows().items() if found.efforts and found.serves(CHAT)])
def test_efforts_are_those_of_the_row(name: str) -> None:
    for effort in ("none", "minimal", "low", "medium", "high", "xhigh", "max"):
        body = {"reasoning_effort": effort}
        if effort in (rows()[name].efforts or ()):
            assert sent(name, CHAT, body).body == body
        else:
            error = refused(name, CHAT, body)
            assert (error.code, error.param) == ("unsupported_value", "reasoning_effort")
            assert sent(name, CHAT, body, DROP).body == {}


def test_an_effort_of_responses_lies_in_reasoning() -> None:
    body = {"reasoning": {"effort": "minimal", "summary": "auto"}}
    assert refused("gpt-5-pro", RESPONSES, body).param == "reasoning.effort"
    dropped = sent("gpt-5-pro", RESPONSES, body, DROP)
    assert (dropped.body, dropped.dropped) == ({"reasoning": {"summary": "auto"}}, ("reasoning.effort",))
    assert sent("gpt-5-pro", RESPONSES, body, ParameterPolicy(allowed=frozenset({"reasoning_effort"}))).body == body


def test_an_effort_is_read_in_any_case_and_sent_as_it_is() -> None:
    body = {"reasoning_effort": "None", "temperature": 0}
    assert sent("gpt-5.1", CHAT, body).body == body


def test_efforts_that_no_source_states_pass() -> None:
    assert sent("gpt-5.3-codex", RESPONSES, {"reasoning": {"effort": "max"}}).dropped == ()


@pytest.mark.parametrize("name", ORDINARY)
def test_a_model_that_does_not_reason_takes_no_effort(name: str) -> None:
    assert refused(name, CHAT, {"reasoning_effort": "low"}).param == "reasoning_effort"


def test_parallel_tools_and_minimal_effort_exclude_each_other() -> None:
    assert sent("gpt-5", CHAT, {"parallel_tool_calls": True}).dropped == ()
    assert (
        refused("gpt-5", CHAT, {"parallel_tool_calls": True, "reasoning_effort": "minimal"}).param
        == "parallel_tool_calls"
    )


@pytest.mark.parametrize("name", O_SERIES)
def test_o_series_is_not_told_that_it_makes_one_tool_call_at_a_time(name: str) -> None:
    assert sent(name, CHAT, {"parallel_tool_calls": False}).omitted == ("parallel_tool_calls",)
    assert refused(name, CHAT, {"parallel_tool_calls": True}).code == "unsupported_parameter"


# --- roles


SYSTEM, DEVELOPER, USER = ({"role": role, "content": role} for role in ("system", "developer", "user"))


def roles(name: str, *messages: dict[str, Any], operation: str = CHAT) -> list[str]:
    field = "messages" if operation == CHAT else "input"
    return [message["role"] for message in sent(name, operation, {field: list(messages)}).body[field]]


@pytest.mark.parametrize("name", [*O_SERIES, *GPT_5_UP])
def test_system_stays_system_on_reasoning_models(name: str) -> None:
    assert roles(name, SYSTEM, USER) == ["system", "user"]
    assert roles(name, DEVELOPER, USER) == ["developer", "user"]


@pytest.mark.parametrize("name", [*O_SERIES, *GPT_5_UP])
def test_system_and_developer_together_become_developer(name: str) -> None:
    assert roles(name, SYSTEM, DEVELOPER, USER) == ["developer", "developer", "user"]
    assert roles(name, SYSTEM, DEVELOPER, operation=RESPONSES) == ["developer", "developer"]


@pytest.mark.parametrize("name", ["o1-mini", "o1-preview"])
def test_the_first_o1_models_know_neither(name: str) -> None:
    assert roles(name, SYSTEM, DEVELOPER, USER) == ["user", "user", "user"]


@pytest.mark.parametrize("name", ["gpt-4o", "gpt-35-turbo", "gpt-5-chat"])
def test_developer_is_system_on_older_models(name: str) -> None:
    assert roles(name, SYSTEM, DEVELOPER, USER) == ["system", "system", "user"]


def test_input_and_messages_of_another_shape_pass() -> None:
    odd: list[Any] = ["text", {"type": "function_call_output"}, {"role": ["system"]}]
    assert sent("o3", RESPONSES, {"input": odd}).body == {"input": odd}
    assert sent("o3", RESPONSES, {"input": "text"}).body == {"input": "text"}


def test_allowed_messages_keep_their_roles() -> None:
    body = {"messages": [SYSTEM, DEVELOPER]}
    assert sent("o3", CHAT, body, ParameterPolicy(allowed=frozenset({"messages"}))).body == body


# --- streams


def test_o1_is_asked_for_a_whole_answer() -> None:
    applied = sent("o1", CHAT, {"stream": True, "stream_options": {"include_usage": True}, "user": "u"})
    assert (applied.body, applied.simulate_stream) == ({"user": "u"}, True)


@pytest.mark.parametrize(
    ("name", "operation"), [("o1-mini", CHAT), ("o1", RESPONSES), ("gpt-5-pro", RESPONSES), ("o3-pro", RESPONSES)]
)
def test_the_other_models_that_cannot_stream(name: str, operation: str) -> None:
    assert sent(name, operation, {"stream": True}).simulate_stream


def test_a_whole_answer_stays_one() -> None:
    assert sent("o1", CHAT, {"stream": False}) == Applied({"stream": False})


def test_an_allowed_stream_is_sent() -> None:
    applied = sent("o1", CHAT, {"stream": True}, ParameterPolicy(allowed=frozenset({"stream"})))
    assert (applied.body, applied.simulate_stream) == ({"stream": True}, False)


# --- what LiteLLM gets wrong


def test_o4_mini_streams_natively() -> None:
    body = {"stream": True, "stream_options": {"include_usage": True}}
    assert sent("o4-mini", CHAT, body) == Applied(body)


def test_demo1_gpt4o_is_no_o_series_model() -> None:
    body = {"temperature": 0.2, "max_tokens": 5, "stream": True, "messages": [SYSTEM, USER]}
    assert apply(body, CHAT, resolve(None, "demo1-gpt4o", None).capability, STRICT, "m") == Applied(body)


def test_my_gpt5_with_a_base_model_is_a_gpt_5() -> None:
    found = resolve("gpt-5", "my-gpt5", None).capability
    assert apply({"max_tokens": 5}, CHAT, found, STRICT, "my-gpt5").body == {"max_completion_tokens": 5}


@pytest.mark.parametrize("name", [*ORDINARY, *O_SERIES, *GPT_5_UP, "o1-mini"])
@pytest.mark.parametrize("policy", [STRICT, DROP])
def test_json_object_is_never_dropped(name: str, policy: ParameterPolicy) -> None:
    body = {"response_format": {"type": "json_object"}}
    assert sent(name, CHAT, body, policy) == Applied(body)


@pytest.mark.parametrize("name", ["gpt-4o", "o3", "gpt-5"])
def test_parameters_that_litellm_refuses_pass(name: str) -> None:
    body = {
        "service_tier": "flex",
        "verbosity": "medium",
        "safety_identifier": "s",
        "metadata": {"a": "b"},
        "prompt_cache_retention": "24h",
        "store": True,
        "seed": 1,
        "n": 2,
    }
    assert sent(name, CHAT, body) == Applied(body)


@pytest.mark.parametrize("name", ["gpt-4o", "o3", "gpt-5", "gpt-4.1"])
def test_azure_extras_pass(name: str) -> None:
    body = {
        "data_sources": [{"type": "azure_search"}],
        "dataSources": [],
        "enhancements": {"ocr": {"enabled": True}},
        "user_security_context": {"end_user_id": "u"},
    }
    assert sent(name, CHAT, body) == Applied(body)


def test_gpt_5_chat_takes_temperature_and_max_tokens() -> None:
    body = {"temperature": 0.3, "max_tokens": 5, "stop": ["x"]}
    assert sent("gpt-5-chat", CHAT, body) == Applied(body)


# --- the other operations


@pytest.mark.parametrize("name", ["o1-mini", "o1-preview"])
@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("tools", [{"type": "function"}]),
        ("tool_choice", "auto"),
        ("functions", [{}]),
        ("n", 2),
        ("reasoning_effort", "low"),
    ],
)
def test_the_first_o1_models_take_no_tools_and_no_effort(name: str, parameter: str, value: Any) -> None:
    assert refused(name, CHAT, {parameter: value}).param == parameter


def test_reasoning_is_refused_by_gpt_4o_responses() -> None:
    assert refused("gpt-4o", RESPONSES, {"reasoning": {"effort": "low"}}).param == "reasoning"
    assert sent("gpt-4o", RESPONSES, {"reasoning": {}}).body == {}


@pytest.mark.parametrize(
    "name", ["gpt-image-1", "gpt-image-1-mini", "gpt-image-1.5", "gpt-image-2", "gpt-image-2.5-flare"]
)
@pytest.mark.parametrize("operation", [IMAGES, "images_edits"])
def test_gpt_image_is_not_asked_for_a_format_of_response(name: str, operation: str) -> None:
    assert sent(name, operation, {"response_format": "b64_json"}).omitted == ("response_format",)
    assert refused(name, operation, {"response_format": "url"}).param == "response_format"


def test_gpt_image_has_its_own_parameters() -> None:
    body = {
        "background": "transparent",
        "output_format": "jpeg",
        "partial_images": 2,
        "stream": True,
        "moderation": "low",
    }
    assert sent("gpt-image-1", IMAGES, body) == Applied(body)
    assert refused("gpt-image-1", IMAGES, {"style": "vivid"}).param == "style"
    assert refused("gpt-image-1-mini", "images_edits", {"input_fidelity": "high"}).param == "input_fidelity"
    assert sent("gpt-image-1", "images_edits", {"input_fidelity": "high"}).dropped == ()


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("background", "opaque"),
        ("output_format", "jpeg"),
        ("output_compression", 50),
        ("partial_images", 1),
        ("stream", True),
        ("n", 2),
    ],
)
def test_dall_e_3_has_none_of_gpt_image(parameter: str, value: Any) -> None:
    assert refused("dall-e-3", IMAGES, {parameter: value}).param == parameter


def test_dall_e_3_has_style_quality_and_links() -> None:
    body = {"style": "vivid", "quality": "hd", "response_format": "url", "n": 1}
    assert sent("dall-e-3", IMAGES, body) == Applied(body)
    assert refused("dall-e-2", IMAGES, {"style": "vivid"}).param == "style"


def test_instructions_are_for_the_newer_speech_model() -> None:
    body = {"instructions": "whisper", "stream_format": "sse"}
    assert sent("gpt-4o-mini-tts", SPEECH, body) == Applied(body)
    for name in ("tts", "tts-hd", "tts-1", "tts-1-hd"):
        assert refused(name, SPEECH, {"instructions": "whisper"}).param == "instructions"
        assert refused(name, SPEECH, {"stream_format": "sse"}).param == "stream_format"
        assert sent(name, SPEECH, {"stream_format": "audio", "speed": 2}).body == {"speed": 2}


@pytest.mark.parametrize("form", ["srt", "verbose_json", "vtt"])
def test_subtitles_are_whispers(form: str) -> None:
    assert sent("whisper", "audio_transcriptions", {"response_format": form}).dropped == ()
    assert refused("gpt-4o-transcribe", "audio_transcriptions", {"response_format": form}).code == "unsupported_value"


def test_a_list_in_a_form_has_the_same_rule() -> None:
    error = refused("gpt-4o-transcribe", "audio_transcriptions", {"timestamp_granularities[]": ["word"]})
    assert error.param == "timestamp_granularities"
    allowed = ParameterPolicy(allowed=frozenset({"timestamp_granularities"}))
    form = {"timestamp_granularities[]": ["word"]}
    assert sent("gpt-4o-transcribe", "audio_transcriptions", form, allowed).body == form
    assert sent("gpt-4o-transcribe", "audio_transcriptions", form, DROP).body == {}


def test_diarisation_has_its_own_format_and_no_prompt() -> None:
    assert sent("gpt-4o-transcribe-diarize", "audio_transcriptions", {"response_format": "diarized_json"}).dropped == ()
    for form in ({"prompt": "p"}, {"include[]": ["logprobs"]}):
        assert refused("gpt-4o-transcribe-diarize", "audio_transcriptions", form).code == "unsupported_parameter"


def test_dimensions_are_for_the_third_generation() -> None:
    assert sent("text-embedding-3-large", "embeddings", {"dimensions": 256}).body == {"dimensions": 256}
    assert refused("text-embedding-ada-002", "embeddings", {"dimensions": 256}).param == "dimensions"
    assert sent("text-embedding-ada-002", "embeddings", {"dimensions": 1536}).body == {}


def test_legacy_completions_pass_whole() -> None:
    body = {"prompt": "p", "best_of": 2, "echo": True, "suffix": "s", "logprobs": 3, "max_tokens": 5}
    assert sent("gpt-35-turbo-instruct", "completions", body) == Applied(body)


# --- additional_drop_params


def dropped(body: dict[str, Any], *paths: str) -> Applied:
    return apply(body, CHAT, UNKNOWN, ParameterPolicy(additional_drop=frozenset(paths)), "m")


def test_additional_params_are_dropped_from_any_model() -> None:
    assert dropped({"seed": 1, "user": "u"}, "seed", "absent") == Applied({"user": "u"}, dropped=("seed",))


def test_nested_paths_reach_every_tool() -> None:
    body = {"tools": [{"function": {"name": "a", "strict": True}}, {"type": "custom"}, {"function": {"strict": False}}]}
    before = copy.deepcopy(body)
    assert dropped(body, "tools[*].function.strict").body == {
        "tools": [{"function": {"name": "a"}}, {"type": "custom"}, {"function": {}}]
    }
    assert body == before


def test_indexes_are_those_of_the_request() -> None:
    assert dropped({"tools": ["a", "b", "c"]}, "tools[0]", "tools[1]").body == {"tools": ["c"]}


def test_a_dropped_name_is_not_brought_back_by_a_rename() -> None:
    policy = ParameterPolicy(additional_drop=frozenset({"max_completion_tokens"}))
    assert sent("o3", CHAT, {"max_tokens": 5}, policy) == Applied({}, dropped=("max_tokens",))


def test_model_and_stream_are_never_dropped() -> None:
    body = {"model": "m", "stream": True}
    assert dropped(body, "model", "stream") == Applied(body)


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("a.b", {"a": {"b": 1, "c": 2}}, {"a": {"c": 2}}),
        ("a.b", {"a": 1}, None),
        ("a[1]", {"a": [1, 2]}, {"a": [1]}),
        ("a[5]", {"a": [1]}, None),
        ("a[*]", {"a": [1, 2]}, {"a": []}),
        ("a[*]", {"a": []}, None),
        ("a[*]", {"a": {"b": 1}}, None),
        ("a[*].b", {"a": [1]}, None),
        ("a[0][1].c", {"a": [[0, {"c": 1}]]}, {"a": [[0, {}]]}),
        ("a[", {"a[": 1}, {}),
        ("", {"a": 1}, None),
    ],
)
def test_what_a_path_takes_away(path: str, body: dict[str, Any], expected: dict[str, Any] | None) -> None:
    assert without(body, path) == expected


def test_what_a_path_is() -> None:
    assert all(map(is_path, ("user", "a.b", "tools[*].function.strict", "a[0][1].c")))
    assert not any(map(is_path, ("", "a.", ".a", "a[", "a[x]", "[0]", "a[*]b")))


# --- policies


def test_a_nearer_policy_wins_and_names_add_up() -> None:
    far = ParameterPolicy(True, frozenset({"a"}), frozenset({"b"}))
    assert far.narrowed(None, ["c"]) == ParameterPolicy(True, frozenset({"a", "c"}), frozenset({"b"}))
    assert far.narrowed(False, allowed=["d"]) == ParameterPolicy(False, frozenset({"a"}), frozenset({"b", "d"}))


def test_a_request_may_bring_its_policy() -> None:
    body = {"user": "u", "drop_params": True, "additional_drop_params": ["seed"], "allowed_openai_params": ["stop"]}
    rest, policy = requested(body, STRICT)
    assert rest == {"user": "u"}
    assert policy == ParameterPolicy(True, frozenset({"seed"}), frozenset({"stop"}))
    assert requested({"drop_params": None}, DROP) == ({}, DROP)


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("drop_params", "yes", "invalid_type"),
        ("additional_drop_params", "seed", "invalid_type"),
        ("allowed_openai_params", [1], "invalid_type"),
        ("allowed_openai_params", [""], "invalid_type"),
        ("additional_drop_params", ["a"] * (PATHS_MAX + 1), "invalid_value"),
    ],
)
def test_a_policy_of_the_wrong_type_is_refused(field: str, value: Any, code: str) -> None:
    with pytest.raises(BadRequest) as caught:
        requested({field: value}, STRICT)
    assert (caught.value.param, caught.value.code) == (field, code)


# --- for every body

PARAMETERS = sorted(
    {
        name
        for found in rows().values()
        for by_name in (*found.rules.values(), *found.renames.values())
        for name in by_name
    }
    | {
        "max_completion_tokens",
        "messages",
        "input",
        "reasoning",
        "stream",
        "stream_options",
        "data_sources",
        "tools",
        "model",
    }
)
SCALARS = (
    st.none() | st.booleans() | st.integers(-2, 3) | st.sampled_from(["none", "low", "high", "url", "b64_json", "json"])
)
MESSAGES = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["system", "developer", "user"])}) | SCALARS, max_size=4
)
VALUES = SCALARS | MESSAGES | st.dictionaries(st.sampled_from(["effort", "a"]), SCALARS, max_size=2)
BODIES = st.dictionaries(st.sampled_from(PARAMETERS), VALUES, max_size=6)
NAMES = st.frozensets(st.sampled_from([*PARAMETERS, "reasoning.effort", "messages[*].role", "tools[*]"]), max_size=3)
POLICIES = st.builds(ParameterPolicy, st.booleans(), NAMES, NAMES)
CAPABILITIES = st.sampled_from([*rows().values(), UNKNOWN])


@given(BODIES, st.sampled_from(OPERATIONS), CAPABILITIES, POLICIES)
def test_the_request_is_never_changed_and_once_is_enough(
    body: dict[str, Any], operation: str, capability: Capability, policy: ParameterPolicy
) -> None:
    before, refused = json.dumps(body), None
    try:
        once = apply(body, operation, capability, policy, "m")
    except BadRequest as error:
        refused = error
    else:
        assert once.body is not body
        assert apply(once.body, operation, capability, policy, "m") == Applied(once.body)
    assert json.dumps(body) == before
    if refused is not None and policy.drop:  # values that a model does not take are never dropped
        assert refused.message.startswith("Invalid '")


@given(BODIES, st.sampled_from(OPERATIONS), st.booleans(), NAMES)
def test_a_model_that_is_not_known_gets_what_was_sent(
    body: dict[str, Any], operation: str, drop: bool, allowed: frozenset[str]
) -> None:
    assert apply(body, operation, UNKNOWN, ParameterPolicy(drop, frozenset(), allowed), "m") == Applied(body)


@given(BODIES, CAPABILITIES)
def test_what_is_allowed_is_never_refused(body: dict[str, Any], capability: Capability) -> None:
    policy = ParameterPolicy(allowed=frozenset(body))
    assert apply(body, CHAT, capability, policy, "m") == Applied(body)
