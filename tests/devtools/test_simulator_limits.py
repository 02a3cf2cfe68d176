from __future__ import annotations

from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devtools.simulator import ControlClient
from devtools.simulator.limits import ProvisionedLimit, Refusal, StandardLimit
from devtools.simulator.resources import Deployment

PATH = "/east/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"
PTU = "/east/openai/deployments/gpt-4o-ptu/chat/completions?api-version=2024-10-21"


def body(max_tokens: int = 16, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "hello"}], "max_tokens": max_tokens, **more}


def standard(tpm: int | None = None, rpm: int | None = None, **more: Any) -> StandardLimit:
    return StandardLimit(Deployment("gpt-4o", tpm=tpm, rpm=rpm, **more))


def test_tokens_are_counted_until_the_minute_is_over() -> None:
    limit = standard(tpm=100)
    assert limit.admit(60, 1000.0) is None
    assert limit.admit(40, 1030.0) is None
    refused = limit.admit(1, 1045.0)
    assert refused == Refusal("token", 15_000)
    assert limit.admit(100, 1060.0) is None


def test_a_request_larger_than_the_limit_is_told_to_wait_a_day() -> None:
    refused = standard(tpm=100).admit(101, 0.0)
    assert refused is not None
    assert refused.retry_after_s == 86_400


def test_requests_are_counted_in_windows_of_ten_seconds() -> None:
    limit = standard(rpm=13)
    assert [limit.admit(1, 5.0 + step) for step in range(3)] == [None, None, None]
    assert limit.admit(1, 9.5) == Refusal("call", 5_500)
    assert limit.admit(1, 15.0) is None


def test_the_request_window_can_be_a_second() -> None:
    limit = standard(rpm=60, rpm_window_s=1.0)
    assert limit.admit(1, 0.0) is None
    assert limit.admit(1, 0.5) == Refusal("call", 500)
    assert limit.admit(1, 1.0) is None


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(1, 60)), max_size=60))
def test_no_minute_that_starts_with_an_admission_holds_more_than_the_limit(steps: list[tuple[float, int]]) -> None:
    limit, now = standard(tpm=100), 0.0
    start, used = -60.0, 0
    for pause, tokens in steps:
        now += pause
        if limit.admit(tokens, now) is None:
            if now - start >= 60:
                start, used = now, 0
            used += tokens
            assert used <= 100


def test_a_provisioned_bucket_admits_below_full_and_drains() -> None:
    limit = ProvisionedLimit(Deployment("gpt-4o", sku="ProvisionedManaged", tpm=6000))
    assert limit.admit(5999, 0.0) is None
    assert limit.admit(501, 0.0) is None
    assert limit.headers(0.0) == {"azure-openai-deployment-utilization": "108.3%"}
    assert limit.admit(1, 0.0) == Refusal("provisioned", 5_001)
    assert limit.admit(1, 5.001) is None


def test_a_provisioned_bucket_is_corrected_when_the_usage_is_known() -> None:
    limit = ProvisionedLimit(Deployment("gpt-4o", sku="ProvisionedManaged", tpm=1000))
    limit.admit(900, 0.0)
    limit.correct(900, 100)
    assert limit.headers(0.0) == {"azure-openai-deployment-utilization": "10.0%"}


def test_over_the_token_limit_azure_says_so_in_its_own_words(http: httpx.Client, sim: ControlClient) -> None:
    sim.deployment("east", "gpt-4o", tpm=100)
    assert http.post(PATH, json=body(60)).status_code == 200
    response = http.post(PATH, json=body(60))
    assert response.status_code == 429
    wait = response.headers["retry-after"]
    assert response.json() == {"error": {"code": "429", "message": (
        "Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2024-10-21 have exceeded "
        f"token rate limit of your current OpenAI S0 pricing tier. Please retry after {wait} seconds. Please go here: "
        "https://aka.ms/oai/quotaincrease if you would like to further increase the default rate limit."
    )}}  # fmt: skip
    assert 59_000 < int(response.headers["retry-after-ms"]) <= 60_000
    assert response.headers["x-ratelimit-reset-tokens"] == wait == "60"


def test_over_the_request_limit_the_message_speaks_of_calls(http: httpx.Client, sim: ControlClient) -> None:
    sim.deployment("east", "gpt-4o", rpm=6)
    assert http.post(PATH, json=body()).status_code == 200
    response = http.post(PATH, json=body())
    assert response.status_code == 429
    assert "exceeded call rate limit" in response.json()["error"]["message"]
    sim.advance(10)
    assert http.post(PATH, json=body()).status_code == 200


def test_every_call_tells_what_remains(http: httpx.Client, sim: ControlClient) -> None:
    sim.deployment("east", "gpt-4o", tpm=1000, rpm=60)
    headers = http.post(PATH, json=body(100)).headers
    assert headers["x-ratelimit-limit-tokens"] == "1000"
    assert 850 <= int(headers["x-ratelimit-remaining-tokens"]) < 900
    assert headers["x-ratelimit-limit-requests"] == "60"
    assert headers["x-ratelimit-remaining-requests"] == "59"


def test_failed_requests_count_and_refused_ones_do_not(http: httpx.Client, sim: ControlClient) -> None:
    sim.deployment("east", "gpt-4o", rpm=12)
    failed = http.post(PATH, json={"messages": []})
    assert (failed.status_code, failed.headers["x-ratelimit-remaining-requests"]) == (400, "11")
    assert http.post(PATH, json=body()).headers["x-ratelimit-remaining-requests"] == "10"
    assert http.post(PATH, json=body()).headers["x-ratelimit-remaining-requests"] == "10"


def test_each_deployment_and_resource_has_its_own_window(http: httpx.Client, sim: ControlClient) -> None:
    for resource in ("east", "west"):
        sim.deployment(resource, "gpt-4o", rpm=6)
    assert http.post(PATH, json=body()).status_code == 200
    assert http.post(PATH.replace("east", "west"), json=body(), headers={"api-key": "sim-key-west"}).status_code == 200
    assert http.post(PATH, json=body()).status_code == 429


@pytest.mark.parametrize(("quirk", "shown"), [("minus_one", "-1"), ("none", None)])
def test_the_headers_can_be_as_odd_as_azures(
    http: httpx.Client, sim: ControlClient, quirk: str, shown: str | None
) -> None:
    sim.deployment("east", "gpt-4o", rpm=6, ratelimit_headers=quirk)
    accepted, refused = http.post(PATH, json=body()), http.post(PATH, json=body())
    assert (accepted.status_code, refused.status_code) == (200, 429)
    for response in (accepted, refused):
        assert response.headers.get("x-ratelimit-remaining-tokens") == shown
        assert "retry-after" not in response.headers


def test_a_provisioned_deployment_tells_its_utilisation_instead(http: httpx.Client, sim: ControlClient) -> None:
    sim.deployment("east", "gpt-4o-ptu", tpm=1000)
    response = http.post(PTU, json=body(1200))
    assert response.headers["azure-openai-deployment-utilization"].endswith("%")
    assert not [name for name in response.headers if name.startswith("x-ratelimit")]
    used = response.json()["usage"]["total_tokens"]
    utilisation = http.post(PTU, json=body(1)).headers["azure-openai-deployment-utilization"]
    assert used / 10 - 1 < float(utilisation.rstrip("%")) < used / 10 + 3


def test_a_full_provisioned_deployment_refuses_until_it_has_drained(http: httpx.Client, sim: ControlClient) -> None:
    sim.deployment("east", "gpt-4o-ptu", tpm=100)
    assert http.post(PTU, json=body(500, messages=[{"role": "user", "content": "[[sim chunks=110]]"}])).is_success
    response = http.post(PTU, json=body())
    assert response.status_code == 429
    assert response.json()["error"]["message"].startswith("Rate limit is exceeded. Try again in ")
    sim.advance(int(response.headers["retry-after-ms"]) / 1000)
    assert http.post(PTU, json=body()).status_code == 200


def test_a_failed_request_leaves_no_tokens_in_a_provisioned_bucket(http: httpx.Client, sim: ControlClient) -> None:
    assert http.post(PTU, json=body(200_000)).status_code == 400
    utilisation = http.post(PTU, json=body(1)).headers["azure-openai-deployment-utilization"]
    assert float(utilisation.rstrip("%")) < 1


def test_the_limit_can_be_told_inside_a_stream(http: httpx.Client, sim: ControlClient) -> None:
    sim.deployment("east", "gpt-4o", rpm=6, ratelimit_in_stream=True)
    http.post(PATH, json=body())
    response = http.post(PATH, json=body(stream=True))
    first, error = [orjson.loads(event.removeprefix(b"data: ")) for event in response.content.strip().split(b"\n\n")]
    assert response.status_code == 200
    assert first["prompt_filter_results"]
    assert error["error"]["code"] == "rate_limit_exceeded"
    assert http.post(PATH, json=body()).status_code == 429
    assert len(sim.bill()) == 1
