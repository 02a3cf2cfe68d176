"""Fine-tuning jobs."""

import azure.functions as func

from handlers.http import answer
from handlers.routes import trigger
from shared.hosting import Request, Response
from shared.operations.table_fine_tuning import (
    FINE_TUNING_JOBS_CANCEL,
    FINE_TUNING_JOBS_CHECKPOINTS,
    FINE_TUNING_JOBS_CREATE,
    FINE_TUNING_JOBS_EVENTS,
    FINE_TUNING_JOBS_LIST,
    FINE_TUNING_JOBS_PAUSE,
    FINE_TUNING_JOBS_RESUME,
    FINE_TUNING_JOBS_RETRIEVE,
)

blueprint = func.Blueprint()


@trigger(blueprint, FINE_TUNING_JOBS_CREATE)
async def fine_tuning_jobs_create(request: Request) -> Response:
    return await answer(FINE_TUNING_JOBS_CREATE, request)


@trigger(blueprint, FINE_TUNING_JOBS_LIST)
async def fine_tuning_jobs_list(request: Request) -> Response:
    return await answer(FINE_TUNING_JOBS_LIST, request)


@trigger(blueprint, FINE_TUNING_JOBS_RETRIEVE)
async def fine_tuning_jobs_retrieve(request: Request) -> Response:
    return await answer(FINE_TUNING_JOBS_RETRIEVE, request)


@trigger(blueprint, FINE_TUNING_JOBS_CANCEL)
async def fine_tuning_jobs_cancel(request: Request) -> Response:
    return await answer(FINE_TUNING_JOBS_CANCEL, request)


@trigger(blueprint, FINE_TUNING_JOBS_PAUSE)
async def fine_tuning_jobs_pause(request: Request) -> Response:
    return await answer(FINE_TUNING_JOBS_PAUSE, request)


@trigger(blueprint, FINE_TUNING_JOBS_RESUME)
async def fine_tuning_jobs_resume(request: Request) -> Response:
    return await answer(FINE_TUNING_JOBS_RESUME, request)


@trigger(blueprint, FINE_TUNING_JOBS_EVENTS)
async def fine_tuning_jobs_events(request: Request) -> Response:
    return await answer(FINE_TUNING_JOBS_EVENTS, request)


@trigger(blueprint, FINE_TUNING_JOBS_CHECKPOINTS)
async def fine_tuning_jobs_checkpoints(request: Request) -> Response:
    return await answer(FINE_TUNING_JOBS_CHECKPOINTS, request)
