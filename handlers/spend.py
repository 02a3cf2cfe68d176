"""Reports of what was spent."""

import azure.functions as func

from handlers.http import answer
from handlers.routes import trigger
from shared.hosting import Request, Response
from shared.operations.table_spend import (
    GLOBAL_ACTIVITY,
    GLOBAL_SPEND,
    GLOBAL_SPEND_KEYS,
    GLOBAL_SPEND_MODELS,
    SPEND_CALCULATE,
    SPEND_LOGS,
    USER_DAILY_ACTIVITY,
)

blueprint = func.Blueprint()


@trigger(blueprint, SPEND_LOGS)
async def spend_logs(request: Request) -> Response:
    return await answer(SPEND_LOGS, request)


@trigger(blueprint, SPEND_CALCULATE)
async def spend_calculate(request: Request) -> Response:
    return await answer(SPEND_CALCULATE, request)


@trigger(blueprint, GLOBAL_SPEND)
async def global_spend(request: Request) -> Response:
    return await answer(GLOBAL_SPEND, request)


@trigger(blueprint, GLOBAL_SPEND_KEYS)
async def global_spend_keys(request: Request) -> Response:
    return await answer(GLOBAL_SPEND_KEYS, request)


@trigger(blueprint, GLOBAL_SPEND_MODELS)
async def global_spend_models(request: Request) -> Response:
    return await answer(GLOBAL_SPEND_MODELS, request)


@trigger(blueprint, GLOBAL_ACTIVITY)
async def global_activity(request: Request) -> Response:
    return await answer(GLOBAL_ACTIVITY, request)


@trigger(blueprint, USER_DAILY_ACTIVITY)
async def user_daily_activity(request: Request) -> Response:
    return await answer(USER_DAILY_ACTIVITY, request)
