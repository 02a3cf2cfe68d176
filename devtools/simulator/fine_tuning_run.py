"""Brings fine-tuning jobs to where the clock has them: their ends, their results files, their lines in the bill."""

from __future__ import annotations

from devtools.simulator import fine_tuning_shapes
from devtools.simulator.files_store import StoredFile
from devtools.simulator.fine_tuning_store import Job
from devtools.simulator.world import World

RESULTS_PURPOSE = "fine-tune-results"


def settle(world: World, name: str) -> None:
    """Makes every change of the jobs of one resource that was due by now."""
    resource = world.resources.get(name)
    if resource is None:
        return

    def on_end(job: Job) -> None:
        charge(world, name, job)
        if job.status == "succeeded":
            job.result_files = [_keep_results(world, name, job)]

    world.jobs.move_on(name, resource.authoring, world.now(), on_end)


def settle_all(world: World) -> None:
    """The same for every resource."""
    for name in list(world.resources):
        settle(world, name)


def charge(world: World, resource: str, job: Job) -> None:
    """One line in the bill for the tokens that an ended job has trained."""
    finished = job.finished or 0.0
    tokens = job.trained_tokens(finished)
    if tokens:
        world.bill.open(
            time=finished + job.epoch, resource=resource, deployment="", model=job.base, operation="fine_tuning/jobs",
            api_version=job.api_version, surface=job.surface, stream=False, status=200, training_tokens=tokens,
            job=job.id, finished=job.status == "succeeded",
        )  # fmt: skip


def _keep_results(world: World, resource: str, job: Job) -> str:
    data = fine_tuning_shapes.results(job)
    path = world.scratch.new()
    path.write_bytes(data)
    finished = job.epoch + (job.finished or 0.0)
    file = StoredFile(world.hex_id("file-", 32), "results.csv", RESULTS_PURPOSE, len(data), finished, path)
    world.files.put(resource, file)
    return file.id
