"""The results of the simulator's batches, lines that fail, their bill, and batches of many lines."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devtools.serving import serving
from devtools.simulator import ControlClient, batch_run, chat, chat_plain, create_app
from devtools.simulator import batches as batches_operation
from devtools.simulator.exchange import Batched, Call, Request
from devtools.simulator.files_store import StoredFile
from devtools.simulator.resources import Deployment
from tests.devtools.batch_requests import CHAT, DEPLOYMENT, LONG_S, V1, Batches, ids, jsonl, request, requests

# Results and their bill


def test_each_line_has_a_result_as_azure_writes_it(batches: Batches) -> None:
    batch = batches.ended(requests(20))
    output = batches.output(batch)
    assert sorted(ids(output)) == sorted(f"id-{at}" for at in range(20))
    assert ids(output) != [f"id-{at}" for at in range(20)]
    for line in output:
        assert set(line) == {"custom_id", "response", "error"}
        assert (line["error"], line["response"]["status_code"]) == (None, 200)
        assert line["response"]["request_id"].count("-") == 4
        body = line["response"]["body"]
        assert (body["object"], body["model"]) == ("chat.completion", "gpt-4o-mini-2024-07-18")
        assert body["usage"]["total_tokens"] > body["usage"]["prompt_tokens"] > 0
    assert batches.failures(batch) == []
    error = batches.http.get(f"{V1}/files/{batch['error_file_id']}").json()
    assert (error["bytes"], error["purpose"]) == (0, "batch_output")


def test_the_answers_are_those_that_the_deployment_would_have_given(batches: Batches) -> None:
    [line] = batches.output(batches.ended([request("a", "What is a weir?")]))
    asked = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "What is a weir?"}]}
    answer = batches.http.post(V1 + "/chat/completions", json=asked).json()
    assert line["response"]["body"]["choices"] == answer["choices"]


@pytest.mark.parametrize(("path", "model", "kind"), [
    ("/responses", "gpt-4o-batch", "response"), ("/chat/completions", "gpt-4o-batch", "chat.completion"),
    ("/embeddings", "text-embedding-3-small-batch", "list"),
])  # fmt: skip
@pytest.mark.parametrize("prefix", ["", "/v1"])
def test_urls_come_with_and_without_v1(batches: Batches, prefix: str, path: str, model: str, kind: str) -> None:
    endpoint = "/embeddings" if path == "/embeddings" else "/chat/completions"
    [line] = batches.output(batches.ended([request("a", url=prefix + path, model=model)], endpoint=endpoint))
    assert line["response"]["body"]["object"] == kind


def test_every_line_is_one_line_in_the_bill_at_half_the_price(batches: Batches) -> None:
    lines = [*requests(5), request("tools", "with a tool", tools=[{"type": "function", "function": {"name": "f"}}])]
    batch = batches.ended(lines)
    bill = {line["custom_id"]: line for line in batches.sim.bill_of(batch["id"])}
    for result in batches.output(batch):
        line, usage = bill.pop(result["custom_id"]), result["response"]["body"]["usage"]
        assert (line["prompt_tokens"], line["completion_tokens"]) == (
            usage["prompt_tokens"],
            usage["completion_tokens"],
        )
        assert (line["batch"], line["price_factor"], line["finished"]) == (batch["id"], 0.5, True)
        assert (line["resource"], line["deployment"], line["model"]) == ("east", DEPLOYMENT, "gpt-4o-mini")
    assert bill == {}


def test_the_bill_can_be_summed_up(batches: Batches) -> None:
    batch = batches.ended(requests(50))
    batches.http.post(
        V1 + "/chat/completions", json={"model": "gpt-4o", "messages": [{"role": "user", "content": "a"}]}
    )
    lines = batches.sim.bill()
    of_batch, of_chat = batches.sim.bill_totals()
    assert (of_batch["batch"], of_batch["price_factor"], of_batch["count"]) == (batch["id"], 0.5, 50)
    assert (of_chat["batch"], of_chat["price_factor"], of_chat["count"]) == ("", 1.0, 1)
    assert of_batch["completion_tokens"] == sum(line["completion_tokens"] for line in lines if line["batch"])


def test_the_same_seed_gives_the_same_results_in_the_same_order() -> None:
    contents = []
    for _ in range(2):
        with (
            serving(create_app(seed=5)) as url,
            ControlClient(url) as sim,
            httpx.Client(base_url=url, headers={"api-key": "sim-key-east"}) as http,
        ):
            batches = Batches(http, sim)
            output = batches.output(batches.ended(requests(30)))
            contents.append([(line["custom_id"], line["response"]["body"]["choices"]) for line in output])
    assert contents[0] == contents[1]


def test_results_may_expire(batches: Batches) -> None:
    expiry = {"anchor": "created_at", "seconds": 1_209_600}
    batch = batches.ended(requests(1), output_expires_after=expiry)
    file = batches.http.get(f"{V1}/files/{batch['output_file_id']}").json()
    assert file["expires_at"] == file["created_at"] + 1_209_600
    batches.sim.advance(1_209_600)
    assert batches.http.get(f"{V1}/files/{batch['output_file_id']}").status_code == 404


def test_results_do_not_count_as_files_of_the_quota(batches: Batches) -> None:
    batches.sim.resource("east", authoring={"files_max": 2})
    batches.ended(requests(1))
    assert batches.file(b"{}").startswith("file-")


# Lines that fail


def test_lines_fail_on_request_and_are_not_billed(batches: Batches) -> None:
    batches.sim.fault(operation="batches/line", custom_id="id-1", status=429)
    batches.sim.fault(operation="batches/line", custom_id="id-2", status=500)
    batches.sim.fault(operation="batches/line", custom_id="id-3", expired=True)
    batches.sim.fault(operation="batches/line", custom_id="id-4", status=500, billed=True)
    batches.sim.fault(operation="batches/line", custom_id="id-6", status=400)
    batch = batches.ended(requests(7))
    failures = {line["custom_id"]: line for line in batches.failures(batch)}
    assert batch["request_counts"] == {"total": 7, "completed": 2, "failed": 5}
    assert sorted(ids(batches.output(batch))) == ["id-0", "id-5"]
    codes = [failures[name]["response"]["status_code"] for name in ("id-1", "id-2", "id-4")]
    assert codes == [429, 500, 500]
    assert failures["id-3"]["error"]["code"] == "batch_expired"
    assert failures["id-6"]["response"]["body"]["error"]["code"] == "content_filter"
    assert sorted(line["custom_id"] for line in batches.sim.bill_of(batch["id"])) == ["id-0", "id-4", "id-5"]


def test_a_share_of_the_lines_fails_on_request(batches: Batches) -> None:
    batches.sim.fault(operation="batches/line", probability=0.3, times=None, status=500)
    batch = batches.ended(requests(200))
    assert 30 <= batch["request_counts"]["failed"] <= 90


def test_a_failed_line_may_succeed_when_it_is_sent_again(batches: Batches) -> None:
    batches.sim.fault(operation="batches/line", custom_id="id-1", status=429)
    counts = [batches.ended(requests(2))["request_counts"]["failed"] for _ in range(2)]
    assert counts == [1, 0]


def test_a_line_may_have_no_result_at_all(batches: Batches) -> None:
    batches.sim.fault(operation="batches/line", custom_id="id-1", reset=True)
    batch = batches.ended(requests(3))
    assert sorted(ids(batches.output(batch) + batches.failures(batch))) == ["id-0", "id-2"]


def test_a_fault_for_all_operations_leaves_the_lines_alone(batches: Batches) -> None:
    batch_id = batches.create(requests(3))
    batches.sim.fault(times=None, status=500)
    batches.sim.advance(LONG_S)
    assert batches.http.get(f"{V1}/batches/{batch_id}").status_code == 500
    batches.sim.call("DELETE", "/faults")
    assert batches.get(batch_id)["request_counts"]["completed"] == 3


@pytest.mark.parametrize(("body", "code"), [
    ({"text": "violence-trigger"}, "content_filter"),
    ({"temperature": "hot", "max_tokens": 0}, "integer_below_min_value"),
    ({"stream": True}, None),
])  # fmt: skip
def test_what_the_model_refuses_is_a_line_in_the_error_file(
    batches: Batches, body: dict[str, Any], code: str | None
) -> None:
    batch = batches.ended([request("good"), request("bad", **body)])
    [line] = batches.failures(batch)
    assert (line["custom_id"], line["response"]["status_code"]) == ("bad", 400)
    assert line["response"]["body"]["error"]["code"] == code
    assert ids(batches.output(batch)) == ["good"]


def test_a_batch_of_failures_alone_has_no_output_file(batches: Batches) -> None:
    batches.sim.fault(operation="batches/line", times=None, status=500)
    batch = batches.ended(requests(2))
    assert (batch["status"], batch["output_file_id"]) == ("completed", None)


def test_a_deployment_may_vanish_while_its_batch_runs(batches: Batches) -> None:
    batch_id = batches.create(requests(2))
    batches.sim.batch(batch_id, held=True)
    batches.sim.batch(batch_id, held=False)
    batches.sim.resource("east", authoring={"batch_stage_s": 100})
    batches.sim.advance(101)
    batches.sim.call("DELETE", f"/resources/east/deployments/{DEPLOYMENT}")
    batches.sim.advance(LONG_S)
    codes = [line["response"]["body"]["error"]["code"] for line in batches.failures(batches.get(batch_id))]
    assert codes == ["DeploymentNotFound"] * 2


def test_a_batch_deployment_serves_nothing_else(batches: Batches) -> None:
    asked = {"model": DEPLOYMENT, "messages": [{"role": "user", "content": "hi"}]}
    response = batches.http.post(V1 + "/chat/completions", json=asked)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "OperationNotSupported")


# Large batches


def test_a_large_batch_leaves_the_event_loop_to_others() -> None:
    clock = [0.0]
    app = create_app(monotonic=lambda: clock[0])
    world = app.world
    path = world.scratch.new()
    count = 30_000
    path.write_bytes(jsonl(requests(count)))
    world.files.put("east", StoredFile("file-1", "in.jsonl", "batch", path.stat().st_size, 0, path))
    gaps: list[float] = []

    async def watch() -> None:
        last = time.thread_time()  # of this thread alone: other work on the machine is no work of the batch's
        while world.batches.open():
            await asyncio.sleep(0)
            now = time.thread_time()
            gaps.append(now - last)
            last = now

    async def main() -> None:
        asked = {"input_file_id": "file-1", "endpoint": CHAT, "completion_window": "24h"}
        call = Call(world, Request("POST", "", {}, {}, orjson.dumps(asked)), "batches", "v1", "v1",
                    world.resources["east"])  # fmt: skip
        await batches_operation.serve_create(call)
        clock[0] += LONG_S
        await asyncio.gather(watch(), batch_run.catch_up(world))

    asyncio.run(main())
    [batch] = world.batches.all("east")
    assert (batch.status, batch.completed) == ("completed", count)
    gaps.sort()
    assert len(gaps) > 10
    assert gaps[len(gaps) * 9 // 10] < 0.05  # the odd one out is the machine's


WORLD = create_app(seed=3, wall=lambda: 1.7e9).world
TEXT = st.text(max_size=30).filter(lambda text: "[[sim" not in text)
MESSAGE = st.fixed_dictionaries({"role": st.sampled_from(sorted(chat_plain.ROLES)), "content": TEXT})
MESSAGES = st.lists(MESSAGE, max_size=3)
BODIES = st.fixed_dictionaries(
    {"model": st.just("m"), "messages": MESSAGES},
    optional={
        "max_tokens": st.sampled_from([None, 1, 5, 30, 16_384, 16_385, 0, "x", True]),
        "max_completion_tokens": st.sampled_from([None, 2, 40, 200_000]),
        "temperature": st.just(0.5),
        "seed": st.just(1),
    },
)


@given(BODIES)
@settings(max_examples=200, deadline=None)
def test_the_short_way_to_an_answer_gives_what_the_long_one_does(body: dict[str, Any]) -> None:
    world = WORLD
    world.bill.clear()
    model = world.resources["east"].deployments[DEPLOYMENT].base
    plain = chat_plain.answer(world.seed, model, body)
    if plain is None:
        return
    call = Call(
        world, Request("POST", "", {}, {}, b""), "chat/completions", "v1", "v1", world.resources["east"], DEPLOYMENT,
        world.resources["east"].deployments[DEPLOYMENT], body=body, batched=Batched("b", "c"),
    )  # fmt: skip
    reply = asyncio.run(_served(call))
    answer_id = orjson.loads(reply)["id"]
    assert plain.body(world.seed, model, answer_id, 1.7e9) == reply
    [line] = world.bill.to_json()["lines"]
    assert (line.prompt_tokens, line.completion_tokens) == (plain.prompt_tokens, plain.completion_tokens)


async def _served(call: Call) -> bytes:
    return (await chat.serve(call)).body


@pytest.mark.parametrize("body", [
    {"messages": [{"role": "user", "content": "hi"}], "tools": []},
    {"messages": [{"role": "user", "content": "[[sim chunks=3]]"}]},
    {"messages": [{"role": "user", "content": "hate-trigger"}]},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]},
    {"messages": [{"role": "tool", "content": "hi"}]}, {"messages": [{"role": "user", "content": "hi", "name": "n"}]},
    {"messages": []}, {"messages": "hi"}, {}, {"messages": [{"role": "user", "content": "a " * 300_000}]},
])  # fmt: skip
def test_what_is_not_plain_goes_the_long_way(body: dict[str, Any]) -> None:
    model = Deployment("gpt-4o").base
    assert chat_plain.answer(0, model, body) is None
    plain = {"messages": [{"role": "user", "content": "hi"}]}
    assert chat_plain.answer(0, model, plain) is not None
    assert chat_plain.answer(0, Deployment("o4-mini").base, plain) is None
