"""The simulator's fine-tuning jobs: their life by the clock, their limits, results and bill."""

from __future__ import annotations

from typing import Any

import httpx
import openai
import orjson
import pytest
from openai import AzureOpenAI, OpenAI

from devtools.simulator import ControlClient

V1 = "/east/openai/v1"
JOBS = V1 + "/fine_tuning/jobs"
CLASSIC = "/east/openai/fine_tuning/jobs"
VERSION = "?api-version=2025-04-01-preview"
MODEL = "gpt-4.1-2025-04-14"
LONG_S = 3600.0
EXAMPLE = {"messages": [{"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4"}]}
EXAMPLES = (orjson.dumps(EXAMPLE) + b"\n") * 20


class Jobs:
    """The fine-tuning jobs of the resource east, over HTTP."""

    def __init__(self, http: httpx.Client, sim: ControlClient) -> None:
        self.http, self.sim = http, sim

    def file(self, data: bytes = EXAMPLES, purpose: str = "fine-tune") -> str:
        response = self.http.post(V1 + "/files", files={"file": ("t.jsonl", data)}, data={"purpose": purpose})
        return str(response.json()["id"])

    def post(self, data: bytes = EXAMPLES, **body: Any) -> httpx.Response:
        asked = {"model": MODEL, "training_file": self.file(data), **body}
        return self.http.post(JOBS, json={name: value for name, value in asked.items() if value is not None})

    def create(self, data: bytes = EXAMPLES, **body: Any) -> str:
        response = self.post(data, **body)
        assert response.status_code == 200, response.text
        return str(response.json()["id"])

    def get(self, job_id: str) -> dict[str, Any]:
        shown: dict[str, Any] = self.http.get(f"{JOBS}/{job_id}").json()
        return shown

    def act(self, job_id: str, action: str) -> httpx.Response:
        return self.http.post(f"{JOBS}/{job_id}/{action}")

    def listed(self, job_id: str, what: str, **query: Any) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self.http.get(f"{JOBS}/{job_id}/{what}", params=query).json()["data"]
        return entries


@pytest.fixture
def jobs(http: httpx.Client, sim: ControlClient) -> Jobs:
    sim.resource("east", authoring={"job_stage_s": 10, "job_train_s": 600})
    return Jobs(http, sim)


def code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def test_a_job_is_created_as_azure_shows_it(jobs: Jobs) -> None:
    job = jobs.post(suffix="mine", metadata={"a": "b"}).json()
    assert job["id"].startswith("ftjob-")
    assert len(job["id"]) == len("ftjob-") + 32
    assert (job["object"], job["model"], job["status"]) == ("fine_tuning.job", MODEL, "validating_files")
    assert (job["fine_tuned_model"], job["finished_at"], job["trained_tokens"], job["error"]) == (None,) * 4
    assert job["hyperparameters"] == {"n_epochs": 3, "batch_size": 1, "learning_rate_multiplier": 1.0}
    assert (job["method"]["type"], job["metadata"], job["result_files"]) == ("supervised", {"a": "b"}, [])


def test_a_job_goes_through_its_stages_by_the_clock(jobs: Jobs) -> None:
    job_id = jobs.create()
    created = jobs.get(job_id)["created_at"]
    seen = []
    for seconds in (5, 6, 600):
        seen.append(jobs.get(job_id)["status"])
        jobs.sim.advance(seconds)
    assert seen == ["validating_files", "validating_files", "running"]
    job = jobs.get(job_id)
    assert job["status"] == "succeeded"
    assert job["finished_at"] - created == pytest.approx(610, abs=1)
    assert job["fine_tuned_model"].startswith(MODEL + ".ft-")
    assert len(job["fine_tuned_model"]) == len(MODEL + ".ft-") + 32
    assert job["trained_tokens"] == len(EXAMPLES) // 4 * 3


def test_a_job_ends_by_itself_in_two_seconds(http: httpx.Client, sim: ControlClient) -> None:
    settings = sim.call("GET", "/resources")["east"]["authoring"]
    assert settings["job_stage_s"] + settings["job_train_s"] <= 2
    jobs = Jobs(http, sim)
    job_id = jobs.create()
    sim.advance(settings["job_stage_s"] + settings["job_train_s"])
    assert jobs.get(job_id)["status"] == "succeeded"


def test_the_surfaces_speak_of_statuses_in_their_own_words(jobs: Jobs) -> None:
    jobs.sim.resource("east", authoring={"jobs_running_max": 0})
    job_id = jobs.create()
    seen = []
    for _ in range(2):
        seen.append((jobs.get(job_id)["status"], jobs.http.get(f"{CLASSIC}/{job_id}{VERSION}").json()["status"]))
        jobs.sim.advance(11)
    jobs.act(job_id, "cancel")
    seen.append((jobs.get(job_id)["status"], jobs.http.get(f"{CLASSIC}/{job_id}{VERSION}").json()["status"]))
    assert seen == [("validating_files", "pending"), ("queued", "notRunning"), ("cancelled", "canceled")]
    jobs.sim.resource("east", authoring={"job_statuses": "azure"})
    assert jobs.get(job_id)["status"] == "canceled"


def test_a_job_goes_round_with_the_sdk_on_both_surfaces(azure: AzureOpenAI, v1: OpenAI, sim: ControlClient) -> None:
    for client in (azure, v1):
        file = client.files.create(file=("t.jsonl", EXAMPLES), purpose="fine-tune")
        job = client.fine_tuning.jobs.create(model=MODEL, training_file=file.id, suffix="x")
        sim.advance(LONG_S)
        job = client.fine_tuning.jobs.retrieve(job.id)
        assert (job.status, str(job.fine_tuned_model).endswith("-x")) == ("succeeded", True)
        assert client.fine_tuning.jobs.list(limit=1).data == [job]
        assert client.fine_tuning.jobs.list_events(job.id).data[0].message == "Job succeeded."
        assert len(client.fine_tuning.jobs.checkpoints.list(job.id).data) == 3
        assert client.files.content(job.result_files[0]).text.startswith("step,train_loss,train_mean_token_accuracy")
        with pytest.raises(openai.ConflictError):
            client.fine_tuning.jobs.cancel(job.id)


def test_the_classic_surface_answers_201_and_says_where_the_job_is(jobs: Jobs) -> None:
    response = jobs.http.post(CLASSIC + VERSION, json={"model": MODEL, "training_file": jobs.file()})
    assert response.status_code == 201
    assert response.json()["id"] in response.headers["location"]


def test_results_are_a_file_of_a_row_a_step(jobs: Jobs) -> None:
    job_id = jobs.create(validation_file=jobs.file())
    jobs.sim.advance(LONG_S)
    [file_id] = jobs.get(job_id)["result_files"]
    file = jobs.http.get(f"{V1}/files/{file_id}").json()
    assert (file["filename"], file["purpose"]) == ("results.csv", "fine-tune-results")
    rows = jobs.http.get(f"{V1}/files/{file_id}/content").text.splitlines()
    assert len(rows) == 1 + 20 * 3
    assert rows[1].count(",") == 6
    assert "" not in rows[-1].split(",")


def test_events_tell_what_happened_newest_first_and_in_pages(jobs: Jobs) -> None:
    job_id = jobs.create()
    jobs.sim.advance(311)
    messages = [event["message"] for event in jobs.listed(job_id, "events", limit=100)]
    assert messages[-2:] == ["Job started.", "Job enqueued. Waiting for jobs ahead to complete."]
    assert messages[0].startswith("Step 30: training loss=")
    first, second = (event["id"] for event in jobs.listed(job_id, "events", limit=2))
    assert jobs.listed(job_id, "events", after=first, limit=1)[0]["id"] == second
    assert jobs.http.post(f"{JOBS}/{job_id}/events").json()["data"] == jobs.listed(job_id, "events")


def test_the_last_three_epochs_are_checkpoints(jobs: Jobs) -> None:
    job_id = jobs.create(hyperparameters={"n_epochs": 5})
    assert jobs.listed(job_id, "checkpoints") == []
    jobs.sim.advance(10 + 600 * 3 / 5 + 1)
    assert [one["step_number"] for one in jobs.listed(job_id, "checkpoints")] == [60, 40, 20]
    jobs.sim.advance(LONG_S)
    steps = jobs.listed(job_id, "checkpoints")
    assert [one["step_number"] for one in steps] == [100, 80, 60]
    model = jobs.get(job_id)["fine_tuned_model"]
    assert steps[0]["fine_tuned_model_checkpoint"] == f"{model}:ckpt-step-100"
    assert steps[0]["id"].startswith("ftchkpt-")


def test_a_running_job_can_be_paused_and_resumed(jobs: Jobs) -> None:
    job_id = jobs.create()
    assert code(jobs.act(job_id, "pause")) == (409, "conflict")
    jobs.sim.advance(10 + 300)
    assert jobs.act(job_id, "pause").json()["status"] == "paused"
    jobs.sim.advance(LONG_S)
    assert jobs.get(job_id)["status"] == "paused"
    assert jobs.act(job_id, "resume").json()["status"] == "running"
    assert code(jobs.act(job_id, "resume")) == (409, "conflict")
    jobs.sim.advance(290)
    assert jobs.get(job_id)["status"] == "running"
    jobs.sim.advance(20)
    assert jobs.get(job_id)["status"] == "succeeded"


def test_a_cancelled_job_is_charged_for_what_it_trained(jobs: Jobs) -> None:
    job_id = jobs.create()
    jobs.sim.advance(10 + 301)
    job = jobs.act(job_id, "cancel").json()
    assert (job["status"], job["fine_tuned_model"], job["result_files"]) == ("cancelled", None, [])
    [line] = jobs.sim.bill()
    assert line["training_tokens"] == job["trained_tokens"] == len(EXAMPLES) // 4 * 3 // 2
    assert (line["job"], line["model"], line["finished"]) == (job_id, "gpt-4.1", False)
    assert code(jobs.act(job_id, "cancel")) == (409, "conflict")


def test_a_finished_job_is_one_line_in_the_bill(jobs: Jobs) -> None:
    job_id = jobs.create()
    jobs.sim.advance(LONG_S)
    [line] = jobs.sim.bill()
    assert (line["job"], line["operation"], line["finished"]) == (job_id, "fine_tuning/jobs", True)
    assert line["training_tokens"] == jobs.get(job_id)["trained_tokens"]
    assert (line["prompt_tokens"], line["completion_tokens"]) == (0, 0)
    [total] = jobs.sim.bill_totals()
    assert total["training_tokens"] == line["training_tokens"]


def test_three_jobs_run_and_the_others_wait_their_turn(jobs: Jobs) -> None:
    ids = [jobs.create() for _ in range(5)]
    jobs.sim.advance(11)
    assert [jobs.get(one)["status"] for one in ids] == ["running"] * 3 + ["queued"] * 2
    jobs.sim.advance(100)
    jobs.act(ids[0], "cancel")
    assert [jobs.get(one)["status"] for one in ids] == ["cancelled", "running", "running", "running", "queued"]
    jobs.sim.advance(550)
    assert [jobs.get(one)["status"] for one in ids[1:]] == ["succeeded", "succeeded", "running", "running"]
    jobs.sim.advance(LONG_S)
    started = jobs.get(ids[3])["created_at"] + 111
    assert jobs.get(ids[3])["finished_at"] == pytest.approx(started + 600, abs=2)


def test_no_more_jobs_queue_or_exist_than_the_limits_allow(jobs: Jobs) -> None:
    jobs.sim.resource("east", authoring={"jobs_running_max": 1, "jobs_queued_max": 2, "jobs_max": 3})
    first = jobs.create()
    jobs.sim.advance(11)
    jobs.create()
    jobs.create()
    assert code(jobs.post()) == (400, "quotaExceeded")
    jobs.sim.advance(LONG_S)
    assert code(jobs.post()) == (400, "quotaExceeded")
    assert jobs.http.delete(f"{CLASSIC}/{first}{VERSION}").status_code == 204
    assert jobs.post().status_code == 200


def test_a_job_is_deleted_on_the_classic_surface_when_it_has_ended(jobs: Jobs) -> None:
    job_id = jobs.create()
    path = f"{CLASSIC}/{job_id}{VERSION}"
    assert code(jobs.http.delete(path)) == (409, "conflict")
    jobs.sim.advance(LONG_S)
    assert jobs.http.delete(f"{JOBS}/{job_id}").status_code == 404
    response = jobs.http.delete(path)
    assert (response.status_code, response.content) == (204, b"")
    assert code(jobs.http.get(f"{JOBS}/{job_id}")) == (404, "notFound")


@pytest.mark.parametrize("body", [
    {"model": "gpt-4"}, {"model": None}, {"model": "gpt-4.1-2024-01-01"}, {"suffix": "a b"}, {"suffix": 5},
    {"method": {"type": "magic"}}, {"method": "supervised"}, {"hyperparameters": {"n_epochs": 0}},
    {"hyperparameters": {"batch_size": 257}}, {"hyperparameters": {"n_epochs": "many"}}, {"hyperparameters": 5},
    {"metadata": {"a": 1}},
])  # fmt: skip
def test_a_job_that_is_asked_for_wrongly_is_a_400(jobs: Jobs, body: dict[str, Any]) -> None:
    response = jobs.http.post(JOBS, json={"model": MODEL, "training_file": jobs.file(), **body})
    assert code(response) == (400, "invalidPayload")


def test_hyperparameters_may_be_set_at_the_method(jobs: Jobs) -> None:
    method = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2, "batch_size": "auto"}}}
    job = jobs.post(method=method, hyperparameters={"n_epochs": 9}, trainingType="developerTier").json()
    assert (job["hyperparameters"]["n_epochs"], job["trainingType"]) == (2, "developerTier")


def test_a_job_of_too_many_steps_is_refused(jobs: Jobs) -> None:
    data = (orjson.dumps(EXAMPLE) + b"\n") * 401
    response = jobs.post(data, hyperparameters={"n_epochs": 25, "batch_size": 1})
    assert code(response) == (400, "invalidPayload")


def test_the_files_must_be_here_and_for_fine_tuning(jobs: Jobs) -> None:
    assert code(jobs.http.post(JOBS, json={"model": MODEL})) == (400, "missing_required_parameter")
    assert code(jobs.http.post(JOBS, json={"model": MODEL, "training_file": "file-x"})) == (404, "notFound")
    batch = jobs.file(purpose="batch")
    assert code(jobs.http.post(JOBS, json={"model": MODEL, "training_file": batch})) == (400, "invalidPayload")
    assert code(jobs.post(validation_file=batch)) == (400, "invalidPayload")
    asked = {"model": MODEL, "training_file": jobs.file()}
    response = jobs.http.post("/west/openai/v1/fine_tuning/jobs", json=asked, headers={"api-key": "sim-key-west"})
    assert code(response) == (404, "notFound")
    jobs.sim.resource("east", authoring={"file_pending_s": 5})
    assert code(jobs.post()) == (400, "invalidPayload")


@pytest.mark.parametrize(("data", "message"), [
    (EXAMPLES[: len(EXAMPLES) // 20 * 9], "at least 10 examples"), (b"", "at least 10 examples"),
    (EXAMPLES + b"nonsense\n", "Line 21"), (EXAMPLES + b"[]\n", "Line 21"), (EXAMPLES + b'{"a": 1}\n', "Line 21"),
])  # fmt: skip
def test_a_training_file_that_cannot_be_used_fails_the_job(jobs: Jobs, data: bytes, message: str) -> None:
    job_id = jobs.create(data)
    jobs.sim.advance(LONG_S)
    job = jobs.get(job_id)
    assert (job["status"], message in job["error"]["message"]) == ("failed", True)
    assert jobs.listed(job_id, "events")[0]["level"] == "error"
    assert jobs.sim.bill() == []


def test_a_training_file_may_begin_with_a_bom(jobs: Jobs) -> None:
    job_id = jobs.create(b"\xef\xbb\xbf" + EXAMPLES)
    jobs.sim.advance(LONG_S)
    assert jobs.get(job_id)["status"] == "succeeded"


def test_a_job_belongs_to_its_resource_alone(jobs: Jobs) -> None:
    job_id = jobs.create()
    west = {"api-key": "sim-key-west"}
    for method, tail in (("GET", ""), ("POST", "/cancel"), ("GET", "/events")):
        path = f"/west/openai/v1/fine_tuning/jobs/{job_id}{tail}"
        assert code(jobs.http.request(method, path, headers=west)) == (404, "notFound")


def test_pausing_needs_a_new_api_version_on_the_classic_surface(jobs: Jobs) -> None:
    job_id = jobs.create()
    assert jobs.http.post(f"{CLASSIC}/{job_id}/pause?api-version=2024-10-21").status_code == 404
    assert jobs.http.post(f"{CLASSIC}/{job_id}/pause{VERSION}").status_code == 409


def test_fine_tuning_needs_the_contributors_role(http: httpx.Client, url: str, sim: ControlClient) -> None:
    query = {"resource": "https://ai.azure.com", "api-version": "2019-08-01"}
    token = http.get("/_sim/identity/token", params=query, headers={"x-identity-header": "sim-identity-header"})
    headers = {"authorization": f"Bearer {token.json()['access_token']}"}
    sim.resource("east", role="Cognitive Services OpenAI User")
    with httpx.Client(base_url=url, headers=headers) as entra:
        assert code(entra.get(JOBS)) == (401, "PermissionDenied")


def test_a_job_can_be_created_without_telling(jobs: Jobs) -> None:
    file_id = jobs.file()
    jobs.sim.fault(operation="fine_tuning/jobs", cut_after_bytes=0)
    with pytest.raises(httpx.TransportError):
        jobs.http.post(JOBS, json={"model": MODEL, "training_file": file_id})
    [job] = jobs.http.get(JOBS).json()["data"]
    assert job["training_file"] == file_id
