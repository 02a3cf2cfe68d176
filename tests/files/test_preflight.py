"""The preflight of a batch: every mistake by its line, nothing wrong where nothing is, and what it will take."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.catalog.price import Price, Rates
from shared.errors import BadRequest
from shared.files import preflight
from shared.files.preflight import ERRORS_MAX, OUTPUT_TOKENS_DEFAULT, Checked, Known, Preflight, url_of

PRICE = Price("config", short={"batch": Rates(input=1_000, output=4_000)})
MODELS = {"chat": Known("chat", PRICE), "my-gpt-4o": Known("chat", PRICE), "other": Known("other")}
BODY: dict[str, Any] = {"model": "chat", "messages": [{"role": "user", "content": "Hello."}]}


def line(custom_id: object = "1", **changed: Any) -> bytes:
    request = {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": BODY, **changed}
    return orjson.dumps({name: value for name, value in request.items() if value is not ...}) + b"\n"


def check(data: bytes, model: str = "", step: int = 1_000_000) -> dict[str, Any]:
    checker = Preflight(MODELS.get, model)
    for at in range(0, len(data), step):
        if not checker.feed(data[at : at + step]):
            break
    return checker.finish()


def wrong(data: bytes, model: str = "") -> list[tuple[int | None, str, str | None]]:
    """What is wrong: line, code, param."""
    with pytest.raises(BadRequest) as caught:
        check(data, model)
    assert caught.value.param == "file"
    return [(one["line"], one["code"], one["param"]) for one in caught.value.inner["data"]]


def test_what_a_batch_will_take_is_told() -> None:
    asked = [line(str(number), body={**BODY, "max_tokens": 50, "n": 2}) for number in range(3)]
    found = check(b"".join(asked))
    assert (found["requests"], found["model"], found["url"]) == (3, "chat", "/v1/chat/completions")
    assert found["completion_tokens"] == 3 * 2 * 50
    prompt = found["prompt_tokens"]
    assert prompt > 3
    assert found["cost_usd"] == pytest.approx((prompt * 1_000 + 300 * 4_000) / 10**12)
    assert found["estimated"] is True


def test_without_a_maximum_an_answer_is_estimated() -> None:
    assert check(line())["completion_tokens"] == OUTPUT_TOKENS_DEFAULT


def test_without_a_price_there_is_no_cost() -> None:
    assert check(line(body={**BODY, "model": "other"}))["cost_usd"] is None


def test_embeddings_answer_with_no_tokens() -> None:
    body = {"model": "chat", "input": ["some text", "more"]}
    found = check(line(url="/v1/embeddings", body=body))
    assert (found["completion_tokens"], found["prompt_tokens"] > 0) == (0, True)


@given(st.integers(1, 40))
def test_the_same_is_found_however_the_bytes_arrive(step: int) -> None:
    data = line("1") + b"\r\n\n" + line("2").strip() + b"\r\n" + line("3").strip()
    assert check(data, step=step) == check(data)
    assert check(data)["requests"] == 3


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", [(None, "empty_file", None)]),
        (b"\n \n", [(None, "empty_file", None)]),
        (b"\xef\xbb\xbf" + line(), [(1, "invalid_request", None)]),
        (line() + b"{broken\n", [(2, "invalid_json_line", None)]),
        (line() + b"\n[1]\n", [(3, "invalid_json_line", None)]),
        (line() + b"\xff\xfe\n", [(2, "invalid_json_line", None)]),
        (line(...), [(1, "invalid_request", "custom_id")]),
        (line(""), [(1, "invalid_request", "custom_id")]),
        (line(5), [(1, "invalid_request", "custom_id")]),
        (line("a") + line("b") + line("a"), [(3, "duplicate_custom_id", "custom_id")]),
        (line(method="GET"), [(1, "invalid_request", "method")]),
        (line(method=...), [(1, "invalid_request", "method")]),
        (line(url="/v1/images/generations"), [(1, "url_mismatch", "url")]),
        (line(url=...), [(1, "url_mismatch", "url")]),
        (line("a") + line("b", url="/v1/embeddings"), [(2, "url_mismatch", "url")]),
        (line(body="text"), [(1, "invalid_request", "body")]),
        (line(body={**BODY, "model": "nobody"}), [(1, "model_not_found", "body.model")]),
        (line(body={**BODY, "model": 5}), [(1, "invalid_request", "body.model")]),
        (line("a") + line("b", body={**BODY, "model": "other"}), [(2, "model_mismatch", "body.model")]),
        (line("a") + line("b", body={"messages": []}), [(None, "model_mismatch", "body.model")]),
    ],
)
def test_each_mistake_is_named_by_its_line(data: bytes, expected: list[tuple[int | None, str, str | None]]) -> None:
    assert wrong(data) == expected


def test_lines_may_name_the_model_and_its_deployment() -> None:
    found = check(line("a") + line("b", body={**BODY, "model": "my-gpt-4o"}))
    assert (found["requests"], found["model"]) == (2, "chat")


def test_a_model_may_be_named_beside_the_file() -> None:
    data = line("a", body={"messages": []})
    assert check(data)["model"] is None
    assert check(data, "my-gpt-4o")["model"] == "chat"
    assert wrong(data, "nobody") == [(1, "model_not_found", "body.model")]


@pytest.mark.parametrize(
    "url", ["/v1/chat/completions", "/chat/completions", "chat/completions", "/openai/v1/chat/completions"]
)
def test_a_url_may_be_spelled_in_several_ways(url: str) -> None:
    assert url_of(url) == "/v1/chat/completions"
    assert check(line("a", url=url) + line("b"))["url"] == "/v1/chat/completions"


def test_the_first_mistakes_are_told_and_the_rest_is_not_read() -> None:
    checker = Preflight(MODELS.get)
    assert checker.feed(b"{broken\n" * (ERRORS_MAX - 1))
    assert not checker.feed(b"{broken\n" * 5)
    assert not checker.feed(line())
    with pytest.raises(BadRequest) as caught:
        checker.finish()
    assert [one["line"] for one in caught.value.inner["data"]] == list(range(1, ERRORS_MAX + 1))
    assert checker.checked.lines == ERRORS_MAX


def test_a_line_of_200_mb_is_refused_when_16_are_read() -> None:
    checker = Preflight(MODELS.get)
    fed = 0
    while checker.feed(b"x" * 1024 * 1024):
        fed += 1
    assert fed == 16
    with pytest.raises(BadRequest, match="line 1: it is longer than"):
        checker.finish()


def test_a_batch_has_only_so_many_lines() -> None:
    checked = Checked(MODELS.get, lines_max=3)
    for number in range(4):
        assert not checked.full
        checked.take(number + 1, line(str(number)))
    assert checked.full
    assert [(one.code, one.line) for one in checked.wrong] == [("too_many_tasks", None)]


def test_a_callers_words_are_shown_short() -> None:
    with pytest.raises(BadRequest) as caught:
        check(line("\x07" * 500) + line("\x07" * 500))
    assert len(caught.value.message) < 400
    assert caught.value.message.isprintable()


def test_many_names_of_models_are_no_burden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "NAMES_MAX", 2)
    data = b"".join(line(str(number), body={**BODY, "model": f"chat-{number}"}) for number in range(9))
    checker = Preflight(lambda name: Known("chat", PRICE))
    checker.feed(data)
    assert checker.finish()["requests"] == 9


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*BODY, "custom_id", "url"]), inner),
    max_leaves=8,
)


@given(st.lists(JSON, max_size=5))
def test_any_json_is_judged(values: list[Any]) -> None:
    checker = Preflight(MODELS.get)
    checker.feed(b"".join(json.dumps(value).encode() + b"\n" for value in values))
    with pytest.raises(BadRequest):
        checker.finish()
