"""Batches over sockets: unchanged clients, the host with its timer, Azurite, and the simulator's resources and bill."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import httpx
import orjson
import pytest
from openai import OpenAI

from devtools.storage import AZURITE
from shared.batches.store import OPEN, TABLE
from shared.spend.entry import Entry, fold
from shared.spend.places import LEDGER_TABLE
from shared.spend.records import entries_of
from shared.storage.account import Account
from shared.storage.tables import AzureTable
from tests.conftest import await_true

if TYPE_CHECKING:
    from tests.conftest import Running, Spillway

OPERATIONS = ("batches_create", "batches_list", "batches_retrieve", "batches_cancel")

pytestmark = pytest.mark.skipif(not AZURITE.exists(), reason="Azurite is not installed: run `npm ci`")
Client = Callable[["Running"], OpenAI]
DEADLINE_S = 60.0
MODEL = "batch-gpt-4o-mini"
SWITCH = "\nlitellm_settings:\n  enable_loadbalancing_on_batch_endpoints: true\n"
NAMES = itertools.count()


def config(deployment: str = "gpt-4o-mini-batch", *, split: bool = True) -> str:
    """Two deployments of one model. Their ids are new each time, because what Azure tells of them is kept."""
    number = next(NAMES)
    entries = (
        f"""
  - model_name: {MODEL}
    litellm_params:
      model: azure/{deployment}
      api_base: $SIM/{resource}
      api_key: sim-key-{resource}
      api_version: "2024-10-21"
    model_info: {{id: {resource}-{number}, mode: batch, base_model: azure/gpt-4o-mini-2024-07-18}}
"""
        for resource in ("east", "west")
    )
    return f"model_list:{''.join(entries)}{SWITCH if split else ''}"


def resources(shown: dict[str, Any]) -> Counter[str]:
    """How many shards each resource had."""
    return Counter(one["deployment_id"].partition("-")[0] for one in shown["spillway"]["shards"])


def with_table(connection: str, name: str, work: Callable[[AzureTable], Awaitable[Any]]) -> Any:
    """What `work` gives for a table of the account."""

    async def use() -> Any:
        account = Account.read({"AzureWebJobsStorage": connection})
        assert account is not None
        table = AzureTable(account, name)
        try:
            return await work(table)
        finally:
            await table.close()

    return asyncio.run(use())


@pytest.fixture
def account(azurite: str) -> str:
    """The storage account, in which no batch of an earlier test is open."""

    async def forget(table: AzureTable) -> None:
        await table.remove_all(OPEN, [row.key for row in await table.rows(OPEN, 1000)])

    with_table(azurite, TABLE, forget)
    return azurite


@pytest.fixture
def run(spillway: Spillway, account: str) -> Running:
    return spillway(config(), AzureWebJobsStorage=account, SPILLWAY_ALLOW_ANONYMOUS="true")


def line(custom_id: str, text: str = "hello", url: str = "/chat/completions", model: str = MODEL, **body: Any) -> bytes:
    asked: dict[str, Any] = {"messages": [{"role": "user", "content": text}]} if "chat" in url else {"input": text}
    request = {"custom_id": custom_id, "method": "POST", "url": url, "body": {"model": model, **asked, **body}}
    return orjson.dumps(request) + b"\n"


def lines(count: int, **more: Any) -> bytes:
    return b"".join(line(f"task-{number}", f"number {number}", **more) for number in range(count))


def upload(run: Running, data: bytes, **fields: Any) -> str:
    answer = run.http.post("/v1/files", data={"purpose": "batch", **fields}, files={"file": ("a.jsonl", data)})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def create(run: Running, file_id: str, **more: Any) -> httpx.Response:
    body = {"input_file_id": file_id, "endpoint": "/v1/chat/completions", "completion_window": "24h", **more}
    return run.http.post("/v1/batches", json=body)


def ended(run: Running, batch_id: str) -> dict[str, Any]:
    """The batch when it is over; the simulator's clock jumps meanwhile, and the timer is fired."""
    until = time.monotonic() + DEADLINE_S
    while True:
        shown: dict[str, Any] = run.http.get(f"/v1/batches/{batch_id}").json()
        if shown["status"] in ("completed", "failed", "expired", "cancelled"):
            return shown
        assert time.monotonic() < until, f"waited {DEADLINE_S} s in vain: {shown}"
        run.sim.advance(60)
        assert run.http.post("/admin/functions/batches", json={}).status_code == 202
        time.sleep(0.2)


def await_running(run: Running, batch_id: str) -> None:
    """Waits until the batch's requests are being answered, or were."""

    def runs() -> bool:
        time.sleep(0.2)
        return bool(run.http.get(f"/v1/batches/{batch_id}").json()["status"] != "validating")

    await_true(runs, "a batch that runs")


def results(run: Running, file_id: str | None) -> list[dict[str, Any]]:
    if file_id is None:
        return []
    return [orjson.loads(one) for one in run.http.get(f"/v1/files/{file_id}/content").content.splitlines()]


def batch_lines(run: Running, batch_id: str, connection: str) -> list[Entry]:
    """What the ledger has of a batch."""

    rows = with_table(connection, LEDGER_TABLE, lambda table: table.scan("batch_", "batch_~", 10_000))
    ours = [row for row in rows if batch_id[-32:] in row.partition]
    return list(fold([entry for row in ours for entry in entries_of(row)]).values())


def billed(run: Running) -> list[dict[str, Any]]:
    """The lines of batches in the simulator's bill."""
    return [one for one in run.sim.bill() if one["batch"]]


def cost_of(bill: list[dict[str, Any]]) -> Decimal:
    """What gpt-4o-mini costs for a bill: 0.15 and 0.60 dollars per million tokens, times its factor."""
    return (
        sum(
            (
                (Decimal("0.15") * one["prompt_tokens"] + Decimal("0.60") * one["completion_tokens"])
                * Decimal(str(one["price_factor"]))
                for one in bill
            ),
            Decimal(0),
        )
        / 10**6
    )


def assert_priced(run: Running, shown: dict[str, Any], connection: str) -> None:
    """The ledger has what the simulator billed, line by line, at batch prices."""
    bill, entries = billed(run), batch_lines(run, shown["id"], connection)
    assert len(entries) == len(bill)
    used = [(one.usage["prompt"], one.usage["completion"]) for one in entries]
    assert Counter(used) == Counter((one["prompt_tokens"], one["completion_tokens"]) for one in bill)
    cost = sum(one.cost or 0 for one in entries)
    assert Decimal(cost) / 10**12 == cost_of(bill)
    assert shown["spillway"]["cost_usd"] == pytest.approx(float(cost_of(bill)))


def test_the_steps_of_the_sdk_finish_with_priced_results(run: Running, client: Client, account: str) -> None:
    """LiteLLM's "Azure Batches API" steps 1 to 5, as they stand there."""
    sdk = client(run)
    batch_input_file = sdk.files.create(
        file=("mydata.jsonl", lines(3)), purpose="batch", extra_body={"custom_llm_provider": "azure"}
    )
    batch = sdk.batches.create(
        input_file_id=batch_input_file.id,
        endpoint="/v1/chat/completions",
        completion_window="24h",
        metadata={"description": "My batch job"},
        extra_body={"custom_llm_provider": "azure"},
    )
    retrieved_batch = sdk.batches.retrieve(batch.id, extra_body={"custom_llm_provider": "azure"})
    assert retrieved_batch.metadata == {"description": "My batch job"}
    shown = ended(run, batch.id)
    done = sdk.batches.retrieve(batch.id)
    assert (done.status, done.model, done.errors) == ("completed", MODEL, None)
    assert done.request_counts is not None
    assert done.request_counts.model_dump() == {"total": 3, "completed": 3, "failed": 0}
    assert done.output_file_id is not None
    found = [orjson.loads(one) for one in sdk.files.content(done.output_file_id).text.splitlines()]
    assert [one["custom_id"] for one in found] == ["task-0", "task-1", "task-2"]
    assert {one["response"]["body"]["model"] for one in found} == {MODEL}
    assert len({one["id"] for one in found}) == 3
    assert_priced(run, shown, account)
    another = sdk.batches.create(
        input_file_id=batch_input_file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    cancelled_batch = sdk.batches.cancel(another.id, extra_body={"custom_llm_provider": "azure"})
    assert cancelled_batch.status == "cancelling"
    listed = sdk.batches.list(extra_body={"custom_llm_provider": "azure"})
    assert [one.id for one in listed.data][:2] == [another.id, batch.id]
    assert ended(run, another.id)["status"] == "cancelled"


def test_the_curl_steps_of_load_balancing_finish(run: Running) -> None:
    """The steps of "Load balancing over several Azure deployments", the missing quote of its body put right."""
    answer = run.http.post(
        "/v1/files",
        data={"purpose": "batch", "custom_llm_provider": "azure"},
        files={"file": ("mydata.jsonl", lines(3))},
    )
    body = {
        "input_file_id": answer.json()["id"],
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
        "model": MODEL,
    }
    batch = run.http.post("/v1/batches", json=body).json()
    assert batch["id"].startswith("batch_")
    json_header = {"content-type": "application/json"}
    assert run.http.get(f"/v1/batches/{batch['id']}", headers=json_header).json()["id"] == batch["id"]
    spoken = run.http.request("GET", f"/v1/batches/{batch['id']}", json={"custom_llm_provider": "azure"})
    assert spoken.json()["id"] == batch["id"]
    page = run.http.get("/v1/batches?limit=2", headers=json_header).json()
    assert page["data"][0]["id"] == batch["id"]
    assert ended(run, batch["id"])["status"] == "completed"


def test_eight_batches_over_two_deployments_all_find_their_file(run: Running, account: str) -> None:
    file_id = upload(run, lines(20))
    batches = [create(run, file_id).json()["id"] for _ in range(8)]
    done = [ended(run, one) for one in batches]
    assert [one["status"] for one in done] == ["completed"] * 8
    assert {len(results(run, one["output_file_id"])) for one in done} == {20}
    assert sum((resources(one) for one in done), Counter[str]()) == {"east": 4, "west": 4}
    assert len(billed(run)) == 8 * 20


def test_a_batch_over_the_quotas_is_split_and_comes_back_as_one(run: Running, account: str) -> None:
    for resource, tokens in (("east", 1500), ("west", 700)):
        run.sim.deployment(resource, "gpt-4o-mini-batch", enqueued_tokens=tokens)
    batch_id = create(run, upload(run, lines(60))).json()["id"]
    shown = ended(run, batch_id)
    assert shown["status"] == "completed"
    assert shown["request_counts"] == {"total": 60, "completed": 60, "failed": 0}
    found = results(run, shown["output_file_id"])
    assert [one["custom_id"] for one in found] == [f"task-{number}" for number in range(60)]
    shards = shown["spillway"]["shards"]
    assert len(shards) > 2
    assert set(resources(shown)) == {"east", "west"}
    assert sum(one["request_counts"]["total"] for one in shards) == 60
    assert_priced(run, shown, account)


def test_without_the_switch_a_batch_is_never_split(spillway: Spillway, account: str) -> None:
    run = spillway(config(split=False), AzureWebJobsStorage=account)
    file_id = upload(run, lines(60))
    shown = ended(run, create(run, file_id).json()["id"])
    assert (shown["status"], len(shown["spillway"]["shards"])) == ("completed", 1)
    for resource in ("east", "west"):
        run.sim.deployment(resource, "gpt-4o-mini-batch", enqueued_tokens=500)
        run.sim.resource(resource, authoring={"batch_fails_fast": True})
    shown = ended(run, create(run, file_id).json()["id"])
    assert shown["status"] == "failed"
    assert shown["errors"]["data"][0]["code"] == "token_limit_exceeded"
    assert "enable_loadbalancing_on_batch_endpoints" in shown["errors"]["data"][0]["message"]
    assert (shown["output_file_id"], shown["error_file_id"]) == (None, None)


def test_a_batch_over_a_deployments_quota_waits_until_there_is_room(spillway: Spillway, account: str) -> None:
    run = spillway(config(split=False), AzureWebJobsStorage=account)
    for resource in ("east", "west"):
        run.sim.deployment(resource, "gpt-4o-mini-batch", enqueued_tokens=3000)
    file_id = upload(run, lines(60))
    batches = [create(run, file_id).json()["id"] for _ in range(4)]
    assert [ended(run, one)["status"] for one in batches] == ["completed"] * 4


def test_a_deployment_that_is_down_is_passed_over(run: Running) -> None:
    run.sim.resource("east", local_auth=False)
    shown = ended(run, create(run, upload(run, lines(5))).json()["id"])
    assert shown["status"] == "completed"
    assert resources(shown) == {"west": 1}
    answer = run.http.get(f"/v1/batches/{shown['id']}")
    assert answer.headers["x-spillway-deployment"] == shown["spillway"]["shards"][0]["deployment"]
    run.assert_discreet(orjson.dumps(shown).decode())


def test_a_batch_is_its_owners_and_the_master_keys(run: Running) -> None:
    with httpx.Client(base_url=run.url, timeout=20) as other:
        data = {"purpose": "batch"}
        file_id = other.post("/v1/files", data=data, files={"file": ("a.jsonl", lines(2))}).json()["id"]
        body = {"input_file_id": file_id, "endpoint": "/v1/chat/completions", "completion_window": "24h"}
        theirs = other.post("/v1/batches", json=body).json()["id"]
        ours = create(run, upload(run, lines(2))).json()["id"]
        assert other.get(f"/v1/batches/{ours}").status_code == 404
        assert other.post(f"/v1/batches/{ours}/cancel").status_code == 404
        assert [one["id"] for one in other.get("/v1/batches").json()["data"]] == [theirs]
        assert run.http.get(f"/v1/batches/{theirs}").json()["id"] == theirs
        assert {ours, theirs} <= {one["id"] for one in run.http.get("/v1/batches?limit=100").json()["data"]}
        stolen = other.post("/v1/batches", json={**body, "input_file_id": upload(run, lines(1))})
        assert (stolen.status_code, stolen.json()["error"]["param"]) == (404, "input_file_id")
    for unknown in ("batch_1", "batch_" + "0" * 32, ours + "x", "file-" + ours[6:]):
        assert run.http.get(f"/v1/batches/{unknown}").status_code == 404


def test_batches_are_listed_in_pages(run: Running) -> None:
    file_id = upload(run, lines(1))
    made = [create(run, file_id).json()["id"] for _ in range(5)]
    first = run.http.get(f"/v1/batches?limit=2&after={made[4]}").json()
    assert [one["id"] for one in first["data"]] == [made[3], made[2]]
    assert (first["has_more"], first["first_id"], first["last_id"]) == (True, made[3], made[2])
    second = run.http.get(f"/v1/batches?limit=2&after={first['last_id']}").json()
    assert [one["id"] for one in second["data"]] == [made[1], made[0]]
    for wrong in ("limit=0", "limit=101", "limit=x", "after=batch_1"):
        assert run.http.get(f"/v1/batches?{wrong}").status_code == 400


@pytest.mark.parametrize(
    ("changes", "status", "param"),
    [
        ({"completion_window": "1h"}, 400, "completion_window"),
        ({"completion_window": None}, 400, "completion_window"),
        ({"endpoint": "/v1/images/generations"}, 400, "endpoint"),
        ({"endpoint": "/v1/embeddings"}, 400, "endpoint"),
        ({"endpoint": None}, 400, "endpoint"),
        ({"input_file_id": None}, 400, "input_file_id"),
        ({"input_file_id": "file-1"}, 404, "input_file_id"),
        ({"input_file_id": 7}, 400, "input_file_id"),
        ({"metadata": {"a": 1}}, 400, "metadata"),
        ({"metadata": "a"}, 400, "metadata"),
        ({"metadata": {"a": "b" * 513}}, 400, "metadata"),
        ({"metadata": {"retry_failed": "often"}}, 400, "metadata.retry_failed"),
        ({"output_expires_after": {"anchor": "now", "seconds": 3600}}, 400, "output_expires_after.anchor"),
        ({"model": "unknown"}, 404, "model"),
        ({"model": ["a"]}, 400, "model"),
    ],
)
def test_a_batch_that_cannot_be_is_refused_at_once(
    run: Running, changes: dict[str, Any], status: int, param: str
) -> None:
    answer = create(run, upload(run, lines(1)), **changes)
    assert answer.status_code == status, answer.text
    if "expires" not in param:
        assert answer.json()["error"]["param"] == param


def test_a_file_for_something_else_is_no_batch(run: Running) -> None:
    answer = create(run, upload(run, lines(1), purpose="assistants"))
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "input_file_id")


def test_a_batch_that_has_ended_cannot_be_cancelled(run: Running) -> None:
    batch_id = create(run, upload(run, lines(1))).json()["id"]
    ended(run, batch_id)
    answer = run.http.post(f"/v1/batches/{batch_id}/cancel")
    assert answer.status_code == 409
    assert "'completed'" in answer.json()["error"]["message"]


def test_a_cancelled_batch_keeps_what_was_done(run: Running, account: str) -> None:
    run.sim.resource("east", authoring={"batch_lines_per_s": 1, "batch_stage_s": 0.1})
    run.sim.resource("west", local_auth=False)
    batch_id = create(run, upload(run, lines(200))).json()["id"]
    await_running(run, batch_id)
    run.sim.advance(20)
    for _ in range(2):
        assert run.http.post(f"/v1/batches/{batch_id}/cancel").json()["status"] == "cancelling"
    shown = ended(run, batch_id)
    assert shown["status"] == "cancelled"
    assert 0 < len(results(run, shown["output_file_id"])) < 200
    assert shown["request_counts"]["completed"] == len(results(run, shown["output_file_id"]))
    assert_priced(run, shown, account)


def test_lines_that_failed_for_a_passing_reason_are_sent_again(run: Running, account: str) -> None:
    faults: dict[str, dict[str, Any]] = {
        "task-1": {"status": 429, "times": 1},
        "task-2": {"status": 500, "times": None},
        "task-3": {"status": 400, "times": None},
        "task-4": {"expired": True, "times": 1},
    }
    for custom_id, fault in faults.items():
        run.sim.fault(operation="batches/line", custom_id=custom_id, **fault)
    shown = ended(run, create(run, upload(run, lines(6)), metadata={"retry_failed": "2"}).json()["id"])
    assert shown["request_counts"] == {"total": 6, "completed": 4, "failed": 2}
    found = results(run, shown["output_file_id"])
    assert Counter(one["custom_id"] for one in found) == Counter(f"task-{number}" for number in (0, 1, 4, 5))
    failed = {one["custom_id"]: one["response"]["status_code"] for one in results(run, shown["error_file_id"])}
    assert failed == {"task-2": 500, "task-3": 400}
    assert [one["round"] for one in shown["spillway"]["shards"]] == [0, 1, 2]
    made = [one for one in run.sim.requests() if one["operation"] == "batches" and one["method"] == "POST"]
    assert len(made) == 3


def test_a_batch_without_retries_tells_what_failed(run: Running) -> None:
    run.sim.fault(operation="batches/line", custom_id="task-1", expired=True)
    shown = ended(run, create(run, upload(run, lines(3))).json()["id"])
    assert (shown["status"], shown["request_counts"]["failed"]) == ("expired", 1)
    (failed,) = results(run, shown["error_file_id"])
    assert (failed["custom_id"], failed["error"]["code"]) == ("task-1", "batch_expired")
    assert len(results(run, shown["output_file_id"])) == 2


QUIRKS = [
    ["capital_statuses", "iso_times", "empty_ids", "null_counts", "null_endpoint"],
    ["no_error_file", "duplicate_results", "unknown_status"],
    ["ordered_results", "empty_deletes"],
]


@pytest.mark.parametrize("quirks", QUIRKS, ids=lambda quirks: quirks[0])
def test_quirks_of_resources_are_not_seen(run: Running, quirks: list[str], account: str) -> None:
    for resource in ("east", "west"):
        run.sim.resource(resource, authoring={"quirks": quirks})
    shown = ended(run, create(run, upload(run, lines(25))).json()["id"])
    assert (shown["status"], shown["error_file_id"]) == ("completed", None)
    assert shown["request_counts"] == {"total": 25, "completed": 25, "failed": 0}
    assert [one["custom_id"] for one in results(run, shown["output_file_id"])] == [f"task-{n}" for n in range(25)]
    assert isinstance(shown["completed_at"], int)
    assert_priced(run, shown, account)


def test_results_that_are_missing_are_told(run: Running, account: str) -> None:
    for resource in ("east", "west"):
        run.sim.resource(resource, authoring={"quirks": ["missing_results"]})
    shown = ended(run, create(run, upload(run, lines(25))).json()["id"])
    failed = results(run, shown["error_file_id"])
    assert {one["error"]["code"] for one in failed} == {"no_result"}
    told = [one["custom_id"] for one in (*results(run, shown["output_file_id"]), *failed)]
    assert sorted(told) == sorted(f"task-{number}" for number in range(25))
    statuses = Counter(one.status for one in batch_lines(run, shown["id"], account))
    assert statuses == {"settled": 25 - len(failed), "unknown": len(failed)}


def test_what_is_left_at_resources_is_removed(run: Running) -> None:
    ended(run, create(run, upload(run, lines(3))).json()["id"])
    await_true(lambda: not any(files_at(run, one) for one in ("east", "west")), "no file at a resource")
    assert files_at(run, "east") == []


def files_at(run: Running, resource: str) -> list[Any]:
    answer = httpx.get(f"{run.sim_url}/{resource}/openai/v1/files", headers={"api-key": f"sim-key-{resource}"})
    return list(answer.json()["data"])


def test_an_input_that_is_deleted_while_the_batch_runs_does_no_harm(run: Running) -> None:
    file_id = upload(run, lines(3))
    batch_id = create(run, file_id).json()["id"]
    await_running(run, batch_id)
    assert run.http.delete(f"/v1/files/{file_id}").status_code == 200
    assert ended(run, batch_id)["request_counts"]["completed"] == 3


def test_an_input_that_is_deleted_before_it_was_sent_fails_the_batch(run: Running, account: str) -> None:
    run.sim.fault(operation="files", status=429, times=None, headers={"retry-after-ms": "300"})
    file_id = upload(run, lines(3))
    batch_id = create(run, file_id).json()["id"]
    await_true(lambda: len(run.sim.requests()) >= 2, "two attempts to upload")
    assert run.http.get(f"/v1/batches/{batch_id}").json()["status"] == "validating"
    assert run.http.delete(f"/v1/files/{file_id}").status_code == 200
    shown = ended(run, batch_id)
    message = "The input file was deleted before all of it was sent."
    error = {"code": "file_not_found", "message": message, "param": "input_file_id", "line": None}
    assert (shown["status"], shown["errors"]["data"]) == ("failed", [error])
    assert (shown["output_file_id"], shown["error_file_id"]) == (None, None)
    assert (shown["request_counts"]["completed"], shown["request_counts"]["failed"]) == (0, 0)
    assert isinstance(shown["failed_at"], int)
    assert batch_lines(run, batch_id, account) == []
    assert billed(run) == []
    assert "batches" not in {one["operation"] for one in run.sim.requests()}


@pytest.mark.parametrize("url", ["/v1/chat/completions", "/openai/v1/chat/completions", "/v1/embeddings"])
def test_every_kind_of_line_is_served(spillway: Spillway, account: str, url: str) -> None:
    name = "text-embedding-3-small-batch" if "embed" in url else "gpt-4o-mini-batch"
    run = spillway(config(name), AzureWebJobsStorage=account)
    endpoint = "/v1/embeddings" if "embed" in url else "/v1/chat/completions"
    data = b"".join(line(f"task-{number}", url=url, model=name) for number in range(3))
    shown = ended(run, create(run, upload(run, data), endpoint=endpoint).json()["id"])
    assert shown["status"] == "completed"
    found = results(run, shown["output_file_id"])
    assert {one["response"]["body"]["object"] for one in found} == {"list" if "embed" in url else "chat.completion"}
    assert shown["usage"]["input_tokens"] == sum(one["prompt_tokens"] for one in billed(run))


def test_lines_of_responses_are_served(run: Running) -> None:
    data = b"".join(line(f"task-{number}", url="/v1/responses") for number in range(3))
    shown = ended(run, create(run, upload(run, data), endpoint="/v1/responses").json()["id"])
    assert shown["status"] == "completed"
    found = [one["response"]["body"] for one in results(run, shown["output_file_id"])]
    assert {one["object"] for one in found} == {"response"}
    assert {one["model"] for one in found} == {MODEL}
    for body in found:
        again = run.http.get(f"/v1/responses/{body['id']}")
        assert (again.status_code, again.json()["output"]) == (200, body["output"])


def test_lines_that_name_an_earlier_answer_are_refused_with_their_numbers(run: Running) -> None:
    requests = [orjson.loads(line(f"task-{number}", url="/v1/responses")) for number in range(3)]
    requests[1]["body"]["previous_response_id"] = "resp_" + "0" * 48
    requests[2]["body"]["input"] = [{"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}]
    data = b"".join(orjson.dumps(one) + b"\n" for one in requests)
    refused = run.http.post("/v1/files", data={"purpose": "batch"}, files={"file": ("a.jsonl", data)})
    assert refused.status_code == 400
    told = refused.json()["error"]["innererror"]["data"]
    assert [(one["line"], one["param"]) for one in told] == [
        (2, "body.previous_response_id"),
        (3, "body.input[0].content[0].file_id"),
    ]


def test_the_model_may_be_said_with_the_batch(run: Running) -> None:
    request = orjson.loads(line("task-0"))
    del request["body"]["model"]
    file_id = upload(run, orjson.dumps(request) + b"\n")
    assert create(run, file_id).json()["error"]["param"] == "model"
    assert ended(run, create(run, file_id, model=MODEL).json()["id"])["status"] == "completed"


def test_the_same_request_under_one_idempotency_key_makes_one_batch(run: Running) -> None:
    file_id = upload(run, lines(2))
    body = {"input_file_id": file_id, "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    answers = [run.http.post("/v1/batches", json=body, headers={"idempotency-key": "one"}) for _ in range(3)]
    assert len({one.json()["id"] for one in answers}) == 1
    other = run.http.post("/v1/batches", json={**body, "metadata": {"a": "b"}}, headers={"idempotency-key": "one"})
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_key_reused")
    assert create(run, file_id).json()["id"] != answers[0].json()["id"]


def test_without_a_storage_account_batches_are_refused(spillway: Spillway) -> None:
    run = spillway(config())
    answer = run.http.get("/v1/batches")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "storage_not_configured")


def test_batch_deployments_are_healthy_when_their_list_can_be_read(run: Running) -> None:
    run.sim.resource("west", local_auth=False)
    found = run.http.get(f"/health?model={MODEL}").json()
    assert [one["model_id"][:4] for one in found["healthy_endpoints"]] == ["east"]
    assert [one["model_id"][:4] for one in found["unhealthy_endpoints"]] == ["west"]


def virtual(run: Running, **limits: Any) -> dict[str, Any]:
    made: dict[str, Any] = run.http.post("/key/generate", json=limits).raise_for_status().json()
    return made


def spend(run: Running, key: dict[str, Any]) -> Decimal:
    found = run.http.get("/key/info", params={"key": key["key_id"]}).raise_for_status().json()["info"]
    return Decimal(str(found["spend"]))


def test_a_batch_is_paid_of_its_keys_budget(run: Running, account: str) -> None:
    key = virtual(run, max_budget=1)
    with httpx.Client(base_url=run.url, timeout=30, headers={"authorization": f"Bearer {key['key']}"}) as http:
        file = http.post("/v1/files", data={"purpose": "batch"}, files={"file": ("a.jsonl", lines(20))}).json()
        body = {"input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"}
        batch = http.post("/v1/batches", json=body).raise_for_status().json()
        shown = ended(run, batch["id"])
        entries = batch_lines(run, shown["id"], account)
        cost = sum(one.cost or 0 for one in entries)
        assert {one.key_id for one in entries} == {key["key_id"]}
        assert spend(run, key) == pytest.approx(Decimal(cost) / 10**12)
        assert shown["spillway"]["cost_usd"] == pytest.approx(float(spend(run, key)))
        assert cost > 0


def test_a_batch_that_a_budget_does_not_carry_is_a_402(run: Running) -> None:
    key = virtual(run, max_budget=0.00001)
    with httpx.Client(base_url=run.url, timeout=30, headers={"authorization": f"Bearer {key['key']}"}) as http:
        file = http.post("/v1/files", data={"purpose": "batch"}, files={"file": ("a.jsonl", lines(50))}).json()
        body = {"input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"}
        answer = http.post("/v1/batches", json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (402, "insufficient_quota")
        assert answer.headers["x-should-retry"] == "false"
        assert http.get("/v1/batches").json()["data"] == []
    assert run.sim.requests() == []
    assert spend(run, key) == 0
