"""Fine-tuning over sockets: the SDKs, the host, two resources of the simulator, and its bill."""

from __future__ import annotations

import asyncio
import csv
import io
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import openai
import orjson
import pytest
from openai import OpenAI

from tests.conftest import DEADLINE_S, await_true

if TYPE_CHECKING:
    from tests.conftest import Running, Spillway

OPERATIONS = (
    "fine_tuning_jobs_create",
    "fine_tuning_jobs_list",
    "fine_tuning_jobs_retrieve",
    "fine_tuning_jobs_cancel",
    "fine_tuning_jobs_pause",
    "fine_tuning_jobs_resume",
    "fine_tuning_jobs_events",
    "fine_tuning_jobs_checkpoints",
)
CONFIG = """
model_list:
  - model_name: tunable
    litellm_params: {model: azure/gpt-4o-mini, api_base: $SIM/east, api_key: sim-key-east, order: 1,
      api_version: "2024-10-21"}
    model_info: {id: east-mini, base_model: gpt-4o-mini, mode: chat, region: eastus}
  - model_name: tunable
    litellm_params: {model: azure/gpt-4o-mini, api_base: $SIM/west/openai/v1, api_key: sim-key-west, order: 2}
    model_info: {id: west-mini, base_model: gpt-4o-mini, mode: chat, region: westus}
  - model_name: embed
    litellm_params: {model: azure/text-embedding-3-small, api_base: $SIM/east, api_key: sim-key-east}
    model_info: {base_model: text-embedding-3-small, mode: embedding}
  - model_name: untunable
    litellm_params: {model: azure/gpt-4, api_base: $SIM/east, api_key: sim-key-east}
    model_info: {base_model: gpt-4, mode: chat}
"""
EXAMPLE = {"messages": [{"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4"}]}
EXAMPLES = (orjson.dumps(EXAMPLE) + b"\n") * 20
Client = Callable[["Running"], OpenAI]


@pytest.fixture
def run(spillway: Spillway, azurite: str) -> Running:
    return spillway(CONFIG, AzureWebJobsStorage=azurite)


def kept(sdk: OpenAI, data: bytes = EXAMPLES) -> str:
    """A training file of ours."""
    return sdk.files.create(file=("examples.jsonl", data), purpose="fine-tune").id


def timer(run: Running) -> int:
    """One run of the timer, whose end is waited for; how many jobs it looked at."""
    return int(asyncio.run_coroutine_threadsafe(run.gateway.tuning.run(), run.loop).result(30))


def ended(run: Running, sdk: OpenAI, job_id: str) -> Any:
    """The job when nothing more is to be done for it."""
    run.sim.advance(3600)
    job = sdk.fine_tuning.jobs.retrieve(job_id)
    until = time.monotonic() + DEADLINE_S
    while job.status not in ("succeeded", "failed", "cancelled"):
        assert time.monotonic() < until, f"the job is still {job.status}"
        time.sleep(0.2)
        job = sdk.fine_tuning.jobs.retrieve(job_id)
    timer(run)
    return sdk.fine_tuning.jobs.retrieve(job_id)


def place(job: Any) -> str:
    """The deployment whose resource has the job."""
    return str(job.to_dict()["spillway"]["model_id"])


def test_a_job_is_made_followed_and_its_results_are_read(client: Client, run: Running) -> None:
    sdk = client(run)
    training, validation = kept(sdk), kept(sdk)
    job = sdk.fine_tuning.jobs.create(
        model="tunable", training_file=training, validation_file=validation, suffix="mine", metadata={"team": "dam"}
    )
    assert job.id.startswith("ftjob-")
    assert (job.object, job.model, job.training_file, job.validation_file) == (
        "fine_tuning.job", "tunable", training, validation,
    )  # fmt: skip
    assert job.status in ("validating_files", "queued", "running")
    done = ended(run, sdk, job.id)
    assert done.status == "succeeded"
    assert done.trained_tokens
    assert done.fine_tuned_model.startswith("gpt-4o-mini-2024-07-18.ft-")
    assert done.metadata == {"team": "dam"}
    [result] = done.result_files
    rows = list(csv.DictReader(io.StringIO(sdk.files.content(result).text)))
    assert rows[0]["step"] == "1"
    shown = sdk.files.retrieve(result)
    assert (shown.purpose, shown.filename) == ("fine-tune-results", "results.csv")


def test_what_was_trained_is_in_the_ledger_once_and_as_the_simulator_bills_it(client: Client, run: Running) -> None:
    sdk = client(run)
    job = sdk.fine_tuning.jobs.create(model="tunable", training_file=kept(sdk))
    ended(run, sdk, job.id)
    timer(run)
    [line] = run.sim.bill()
    listed = run.http.get("/spend/logs", params={"limit": 1000}).json()["data"]
    [entry] = [one for one in listed if one["call_id"] == job.id]
    assert entry["usage"]["training_tokens"] == line["training_tokens"] > 0
    assert entry["spend"] == pytest.approx(line["training_tokens"] * 3e-6)
    assert (entry["status"], entry["model"], entry["deployment_id"]) == ("settled", "tunable", "east-mini")
    assert entry["price_source"] == "base_model"


def test_the_file_goes_to_the_resource_and_is_removed_there(run: Running, client: Client) -> None:
    sdk = client(run)
    job = sdk.fine_tuning.jobs.create(model="tunable", training_file=kept(sdk))
    sent = [one for one in run.sim.requests() if one["path"].endswith("/files") and one["method"] == "POST"]
    assert len(sent) == 1
    assert f"spillway-{job.id[-32:]}-training.jsonl" in sent[0]["body"]
    ended(run, sdk, job.id)
    gone = [one for one in run.sim.requests() if one["method"] == "DELETE"]
    assert len(gone) == 1


def test_nothing_of_a_resource_is_told(client: Client, run: Running) -> None:
    sdk = client(run)
    job = sdk.fine_tuning.jobs.create(model="tunable", training_file=kept(sdk))
    run.sim.advance(1)
    texts = [
        sdk.fine_tuning.jobs.with_raw_response.retrieve(job.id).text,
        sdk.fine_tuning.jobs.with_raw_response.list_events(job.id).text,
        sdk.fine_tuning.jobs.checkpoints.with_raw_response.list(job.id).text,
    ]
    theirs = {one["path"].rsplit("/", 1)[1] for one in run.sim.requests() if "/fine_tuning/jobs/ftjob-" in one["path"]}
    run.assert_discreet(*texts)
    for text in texts:
        for upstream in theirs:
            assert upstream not in text


def test_events_and_checkpoints_come_page_by_page(client: Client, run: Running) -> None:
    sdk = client(run)
    run.sim.resource("east", authoring={"job_stage_s": 0, "job_train_s": 60})
    job = sdk.fine_tuning.jobs.create(model="tunable", training_file=kept(sdk))
    run.sim.advance(61)
    events = list(sdk.fine_tuning.jobs.list_events(job.id, limit=7))
    assert len({one.id for one in events}) == len(events) > 7
    assert {one.object for one in events} == {"fine_tuning.job.event"}
    checkpoints = list(sdk.fine_tuning.jobs.checkpoints.list(job.id, limit=2))
    assert [one.fine_tuning_job_id for one in checkpoints] == [job.id] * 3


def test_a_job_is_paused_resumed_and_cancelled(client: Client, run: Running) -> None:
    sdk = client(run)
    run.sim.resource("east", authoring={"job_stage_s": 0, "job_train_s": 600})
    job = sdk.fine_tuning.jobs.create(model="tunable", training_file=kept(sdk))
    run.sim.advance(60)
    assert str(sdk.fine_tuning.jobs.pause(job.id).status) == "paused"
    with pytest.raises(openai.BadRequestError):
        sdk.fine_tuning.jobs.pause(job.id)
    assert sdk.fine_tuning.jobs.resume(job.id).status in ("queued", "running")
    run.sim.advance(60)
    assert sdk.fine_tuning.jobs.cancel(job.id).status == "cancelled"
    with pytest.raises(openai.BadRequestError, match="cancelled"):
        sdk.fine_tuning.jobs.cancel(job.id)
    timer(run)
    [line] = run.sim.bill()
    listed = run.http.get("/spend/logs", params={"limit": 1000}).json()["data"]
    [entry] = [one for one in listed if one["call_id"] == job.id]
    assert entry["usage"]["training_tokens"] == line["training_tokens"]


def test_jobs_are_listed_newest_first(client: Client, run: Running) -> None:
    sdk = client(run)
    training = kept(sdk)
    made = [
        sdk.fine_tuning.jobs.create(model="tunable", training_file=training, metadata={"n": str(number % 2)}).id
        for number in range(3)
    ]
    listed = [one.id for one in sdk.fine_tuning.jobs.list(limit=2)]
    assert listed[:3] == made[::-1]
    odd = run.http.get("/v1/fine_tuning/jobs", params={"metadata[n]": "1", "custom_llm_provider": "azure"}).json()
    assert [one["id"] for one in odd["data"]][:1] == [made[1]]


def test_another_resource_takes_what_one_refuses(client: Client, run: Running) -> None:
    sdk = client(run)
    run.sim.resource("east", authoring={"jobs_max": 0})
    job = sdk.fine_tuning.jobs.create(model="tunable", training_file=kept(sdk))
    assert place(job) == "west-mini"
    assert ended(run, sdk, job.id).status == "succeeded"


def test_a_resource_that_is_down_is_passed_over(client: Client, run: Running) -> None:
    sdk = client(run)
    run.sim.fault(resource="east", status=503, times=None)
    job = sdk.fine_tuning.jobs.create(model="tunable", training_file=kept(sdk))
    assert place(job) == "west-mini"


@pytest.mark.parametrize("operation", ["files", "fine_tuning/jobs"])
def test_what_was_done_although_no_answer_came_is_not_done_twice(run: Running, client: Client, operation: str) -> None:
    sdk = client(run)
    run.sim.fault(resource="east", operation=operation, reset=True, billed=True)
    job = sdk.fine_tuning.jobs.create(model="tunable", training_file=kept(sdk))
    assert ended(run, sdk, job.id).status == "succeeded"
    jobs = run.sim.bill()
    assert len(jobs) == 1


def test_what_no_resource_takes_is_refused_with_its_reason_and_leaves_nothing(client: Client, run: Running) -> None:
    sdk = client(run)
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.fine_tuning.jobs.create(model="tunable", training_file=kept(sdk), hyperparameters={"n_epochs": 99})
    assert "n_epochs" in refused.value.message
    shown = run.http.get("/v1/fine_tuning/jobs", params={"limit": 100}).json()["data"]
    assert [one for one in shown if one["hyperparameters"] == {"n_epochs": 99}] == []
    asked = [(one["method"], one["resource"]) for one in run.sim.requests() if "/files" in one["path"]]
    for resource in ("east", "west"):
        assert ("POST", resource) in asked
        assert ("DELETE", resource) in asked


def test_a_base_model_may_be_named_with_its_date(client: Client, run: Running) -> None:
    sdk = client(run)
    job = sdk.fine_tuning.jobs.create(model="gpt-4o-mini-2024-07-18", training_file=kept(sdk))
    assert job.model == "gpt-4o-mini-2024-07-18"
    assert ended(run, sdk, job.id).status == "succeeded"


def test_a_region_is_kept_to(client: Client, run: Running) -> None:
    sdk = client(run)
    body = {"allowed_model_region": "westus"}
    job = sdk.fine_tuning.jobs.create(model="tunable", training_file=kept(sdk), extra_body=body)
    assert place(job) == "west-mini"


def test_a_tuned_model_is_trained_on_at_its_own_resource(client: Client, run: Running) -> None:
    sdk = client(run)
    body = {"allowed_model_region": "westus"}
    first = sdk.fine_tuning.jobs.create(model="tunable", training_file=kept(sdk), extra_body=body)
    tuned = ended(run, sdk, first.id).fine_tuned_model
    with pytest.raises(openai.BadRequestError):  # the simulator's resources train no model twice
        sdk.fine_tuning.jobs.create(model=tuned, training_file=kept(sdk))
    posted = [
        one for one in run.sim.requests() if one["path"].endswith("/fine_tuning/jobs") and one["method"] == "POST"
    ]
    assert [(one["resource"], orjson.loads(one["body"])["model"]) for one in posted][1:] == [("west", tuned)]


def test_an_invalid_file_fails_the_job_and_says_why(client: Client, run: Running) -> None:
    sdk = client(run)
    job = sdk.fine_tuning.jobs.create(model="tunable", training_file=kept(sdk, EXAMPLES[: len(EXAMPLES) // 5]))
    failed = ended(run, sdk, job.id)
    assert failed.status == "failed"
    assert "at least 10 examples" in failed.error.message


@pytest.mark.parametrize(
    ("body", "param", "status"),
    [
        ({"training_file": "file-x"}, "model", 400),
        ({"model": "tunable"}, "training_file", 400),
        ({"model": "tunable", "training_file": 7}, "training_file", 400),
        ({"model": "tunable", "training_file": "file-" + "0" * 32}, "training_file", 404),
        ({"model": "nothing-like-it", "training_file": "file-x"}, "model", 404),
        ({"model": "embed", "training_file": "file-x"}, "model", 400),
        ({"model": "tunable", "training_file": "f", "suffix": ""}, "suffix", 400),
        ({"model": "tunable", "training_file": "f", "hyperparameters": 3}, "hyperparameters", 400),
    ],
)
def test_bad_requests_are_refused_before_anything_is_sent(
    run: Running, body: dict[str, Any], param: str, status: int
) -> None:
    refused = run.http.post("/v1/fine_tuning/jobs", json=body)
    assert (refused.status_code, refused.json()["error"]["param"]) == (status, param), refused.text
    assert run.sim.requests() == []


def test_a_file_of_another_purpose_is_refused(client: Client, run: Running) -> None:
    sdk = client(run)
    other = sdk.files.create(file=("a.txt", b"text"), purpose="assistants").id
    with pytest.raises(openai.BadRequestError, match="purpose must be fine-tune"):
        sdk.fine_tuning.jobs.create(model="tunable", training_file=other)


@pytest.mark.parametrize("tail", ["", "/events", "/checkpoints"])
@pytest.mark.parametrize("job_id", ["ftjob-" + "0" * 32, "ftjob-x", "file-" + "0" * 32])
def test_a_job_that_is_none_is_not_found(run: Running, job_id: str, tail: str) -> None:
    assert run.http.get(f"/v1/fine_tuning/jobs/{job_id}{tail}").status_code == 404


def test_another_keys_job_and_file_are_not_there(client: Client, run: Running) -> None:
    sdk = client(run)
    keys = [run.http.post("/key/generate", json={}).raise_for_status().json()["key"] for _ in range(2)]
    mine, other = (sdk.with_options(api_key=key) for key in keys)
    training = kept(mine)
    job = mine.fine_tuning.jobs.create(model="tunable", training_file=training)
    for act in (
        other.fine_tuning.jobs.retrieve,
        other.fine_tuning.jobs.cancel,
        other.fine_tuning.jobs.pause,
        other.fine_tuning.jobs.resume,
        other.fine_tuning.jobs.list_events,
        other.fine_tuning.jobs.checkpoints.list,
    ):
        with pytest.raises(openai.NotFoundError):
            act(job.id)
    with pytest.raises(openai.NotFoundError):
        other.fine_tuning.jobs.create(model="tunable", training_file=training)
    assert list(other.fine_tuning.jobs.list()) == []
    assert [one.id for one in mine.fine_tuning.jobs.list()] == [job.id]
    assert job.id in [one.id for one in sdk.fine_tuning.jobs.list()]


def test_a_key_trains_only_its_own_models(client: Client, run: Running) -> None:
    sdk = client(run)
    key = run.http.post("/key/generate", json={"models": ["embed"]}).raise_for_status().json()["key"]
    mine = sdk.with_options(api_key=key)
    for model in ("tunable", "gpt-4o-mini-2024-07-18"):
        with pytest.raises(openai.NotFoundError):
            mine.fine_tuning.jobs.create(model=model, training_file=kept(mine))


def test_training_is_paid_of_its_keys_budget(client: Client, run: Running) -> None:
    key = run.http.post("/key/generate", json={"max_budget": 1}).json()
    poor = run.http.post("/key/generate", json={"max_budget": 0.0001}).json()

    def spend(one: dict[str, Any]) -> float:
        return float(run.http.get("/key/info", params={"key": one["key_id"]}).json()["info"]["spend"])

    sdk = client(run).copy(api_key=key["key"])
    job = sdk.fine_tuning.jobs.create(model="tunable", training_file=kept(sdk))
    ended(run, sdk, job.id)
    timer(run)
    [line] = run.sim.bill()
    assert spend(key) == pytest.approx(line["training_tokens"] * 3e-6)
    sdk = client(run).copy(api_key=poor["key"])
    training = kept(sdk)
    with pytest.raises(openai.APIStatusError) as raised:
        sdk.fine_tuning.jobs.create(model="tunable", training_file=training)
    assert (raised.value.status_code, raised.value.code) == (402, "insufficient_quota")
    assert (sdk.fine_tuning.jobs.list().data, spend(poor), len(run.sim.bill())) == ([], 0, 1)


def test_every_spelling_means_the_same(client: Client, run: Running) -> None:
    job = client(run).fine_tuning.jobs.create(model="tunable", training_file=kept(client(run)))
    for path in ("/v1", "", "/openai/v1", "/openai"):
        shown = run.http.get(f"{path}/fine_tuning/jobs/{job.id}", params={"api-version": "2024-10-21"})
        assert (shown.status_code, shown.json()["id"]) == (200, job.id)


def test_without_storage_it_says_so(spillway: Spillway) -> None:
    answer = spillway(CONFIG).http.post("/v1/fine_tuning/jobs", json={"model": "tunable", "training_file": "f"})
    assert (answer.status_code, answer.headers["x-should-retry"]) == (503, "false")


def test_the_hosts_timer_moves_jobs_on(client: Client, run: Running) -> None:
    sdk = client(run)
    job = sdk.fine_tuning.jobs.create(model="tunable", training_file=kept(sdk))
    run.sim.advance(3600)
    assert run.http.post("/admin/functions/fine_tuning", json={}).status_code == 202
    await_true(lambda: status_of(run, job.id) == "succeeded", "the job to have succeeded")


def status_of(run: Running, job_id: str) -> str:
    """Its status in the list, which asks nobody."""
    jobs = run.http.get("/v1/fine_tuning/jobs", params={"limit": 100}).json()["data"]
    return str(next(one["status"] for one in jobs if one["id"] == job_id))
