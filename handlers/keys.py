"""Virtual keys."""

import azure.functions as func

from handlers.http import answer
from handlers.routes import trigger
from shared.hosting import Request, Response
from shared.operations import key_routes as routes

blueprint = func.Blueprint()


@trigger(blueprint, routes.KEY_GENERATE)
async def key_generate(request: Request) -> Response:
    return await answer(routes.KEY_GENERATE, request)


@trigger(blueprint, routes.KEY_UPDATE)
async def key_update(request: Request) -> Response:
    return await answer(routes.KEY_UPDATE, request)


@trigger(blueprint, routes.KEY_DELETE)
async def key_delete(request: Request) -> Response:
    return await answer(routes.KEY_DELETE, request)


@trigger(blueprint, routes.KEY_BLOCK)
async def key_block(request: Request) -> Response:
    return await answer(routes.KEY_BLOCK, request)


@trigger(blueprint, routes.KEY_UNBLOCK)
async def key_unblock(request: Request) -> Response:
    return await answer(routes.KEY_UNBLOCK, request)


@trigger(blueprint, routes.KEY_REGENERATE)
async def key_regenerate(request: Request) -> Response:
    return await answer(routes.KEY_REGENERATE, request)


@trigger(blueprint, routes.KEY_INFO)
async def key_info(request: Request) -> Response:
    return await answer(routes.KEY_INFO, request)


@trigger(blueprint, routes.KEY_LIST)
async def key_list(request: Request) -> Response:
    return await answer(routes.KEY_LIST, request)
