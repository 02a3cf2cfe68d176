"""The operations on fine-tuning jobs."""

from __future__ import annotations

from shared.operations import fine_tuning
from shared.operations.operation import Operation

FINE_TUNING_JOBS_CREATE = Operation(
    name="fine_tuning_jobs_create",
    method="POST",
    path="fine_tuning/jobs",
    summary="Trains a model with a file of examples, at a resource that can",
    serve=fine_tuning.create,
)
FINE_TUNING_JOBS_LIST = Operation(
    name="fine_tuning_jobs_list",
    method="GET",
    path="fine_tuning/jobs",
    summary="The caller's fine-tuning jobs",
    serve=fine_tuning.list_jobs,
)
FINE_TUNING_JOBS_RETRIEVE = Operation(
    name="fine_tuning_jobs_retrieve",
    method="GET",
    path="fine_tuning/jobs/{id}",
    summary="A fine-tuning job as it is now",
    serve=fine_tuning.retrieve,
)
FINE_TUNING_JOBS_CANCEL = Operation(
    name="fine_tuning_jobs_cancel",
    method="POST",
    path="fine_tuning/jobs/{id}/cancel",
    summary="Cancels a fine-tuning job",
    serve=fine_tuning.cancel,
)
FINE_TUNING_JOBS_PAUSE = Operation(
    name="fine_tuning_jobs_pause",
    method="POST",
    path="fine_tuning/jobs/{id}/pause",
    summary="Pauses a fine-tuning job",
    serve=fine_tuning.pause,
)
FINE_TUNING_JOBS_RESUME = Operation(
    name="fine_tuning_jobs_resume",
    method="POST",
    path="fine_tuning/jobs/{id}/resume",
    summary="Resumes a paused fine-tuning job",
    serve=fine_tuning.resume,
)
FINE_TUNING_JOBS_EVENTS = Operation(
    name="fine_tuning_jobs_events",
    method="GET",
    path="fine_tuning/jobs/{id}/events",
    summary="What happened to a fine-tuning job",
    serve=fine_tuning.events,
)
FINE_TUNING_JOBS_CHECKPOINTS = Operation(
    name="fine_tuning_jobs_checkpoints",
    method="GET",
    path="fine_tuning/jobs/{id}/checkpoints",
    summary="The checkpoints of a fine-tuning job",
    serve=fine_tuning.checkpoints,
)

FINE_TUNING_OPERATIONS = (
    FINE_TUNING_JOBS_CREATE,
    FINE_TUNING_JOBS_LIST,
    FINE_TUNING_JOBS_RETRIEVE,
    FINE_TUNING_JOBS_CANCEL,
    FINE_TUNING_JOBS_PAUSE,
    FINE_TUNING_JOBS_RESUME,
    FINE_TUNING_JOBS_EVENTS,
    FINE_TUNING_JOBS_CHECKPOINTS,
)
