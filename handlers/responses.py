"""Responses."""

import azure.functions as func

from handlers.http import answer
from handlers.routes import trigger
from shared.hosting import Request, Response
from shared.operations.table import (
    RESPONSES_CANCEL,
    RESPONSES_COMPACT,
    RESPONSES_CREATE,
    RESPONSES_DELETE,
    RESPONSES_INPUT_ITEMS,
    RESPONSES_INPUT_TOKENS,
    RESPONSES_RETRIEVE,
)

blueprint = func.Blueprint()


@trigger(blueprint, RESPONSES_CREATE)
async def responses_create(request: Request) -> Response:
    return await answer(RESPONSES_CREATE, request)


@trigger(blueprint, RESPONSES_COMPACT)
async def responses_compact(request: Request) -> Response:
    return await answer(RESPONSES_COMPACT, request)


@trigger(blueprint, RESPONSES_INPUT_TOKENS)
async def responses_input_tokens(request: Request) -> Response:
    return await answer(RESPONSES_INPUT_TOKENS, request)


@trigger(blueprint, RESPONSES_RETRIEVE)
async def responses_retrieve(request: Request) -> Response:
    return await answer(RESPONSES_RETRIEVE, request)


@trigger(blueprint, RESPONSES_DELETE)
async def responses_delete(request: Request) -> Response:
    return await answer(RESPONSES_DELETE, request)


@trigger(blueprint, RESPONSES_CANCEL)
async def responses_cancel(request: Request) -> Response:
    return await answer(RESPONSES_CANCEL, request)


@trigger(blueprint, RESPONSES_INPUT_ITEMS)
async def responses_input_items(request: Request) -> Response:
    return await answer(RESPONSES_INPUT_ITEMS, request)
