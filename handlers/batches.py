"""Batches."""

import azure.functions as func

from handlers.http import answer
from handlers.routes import trigger
from shared.hosting import Request, Response
from shared.operations.table_batches import BATCHES_CANCEL, BATCHES_CREATE, BATCHES_LIST, BATCHES_RETRIEVE

blueprint = func.Blueprint()


@trigger(blueprint, BATCHES_CREATE)
async def batches_create(request: Request) -> Response:
    return await answer(BATCHES_CREATE, request)


@trigger(blueprint, BATCHES_LIST)
async def batches_list(request: Request) -> Response:
    return await answer(BATCHES_LIST, request)


@trigger(blueprint, BATCHES_RETRIEVE)
async def batches_retrieve(request: Request) -> Response:
    return await answer(BATCHES_RETRIEVE, request)


@trigger(blueprint, BATCHES_CANCEL)
async def batches_cancel(request: Request) -> Response:
    return await answer(BATCHES_CANCEL, request)
