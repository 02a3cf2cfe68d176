"""Health and metrics."""

import azure.functions as func

from handlers.http import answer
from handlers.routes import trigger
from shared.hosting import Request, Response
from shared.operations.table import HEALTH, HEALTH_DOCTOR, HEALTH_LIVELINESS, HEALTH_READINESS, METRICS

blueprint = func.Blueprint()


@trigger(blueprint, HEALTH)
async def health(request: Request) -> Response:
    return await answer(HEALTH, request)


@trigger(blueprint, HEALTH_DOCTOR)
async def health_doctor(request: Request) -> Response:
    return await answer(HEALTH_DOCTOR, request)


@trigger(blueprint, HEALTH_LIVELINESS)
async def health_liveliness(request: Request) -> Response:
    return await answer(HEALTH_LIVELINESS, request)


@trigger(blueprint, HEALTH_READINESS)
async def health_readiness(request: Request) -> Response:
    return await answer(HEALTH_READINESS, request)


@trigger(blueprint, METRICS)
async def metrics(request: Request) -> Response:
    return await answer(METRICS, request)
