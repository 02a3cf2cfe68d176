"""Models."""

import azure.functions as func

from handlers.http import answer
from handlers.routes import trigger
from shared.hosting import Request, Response
from shared.operations.table import MODELS_LIST, MODELS_RETRIEVE

blueprint = func.Blueprint()


@trigger(blueprint, MODELS_LIST)
async def models_list(request: Request) -> Response:
    return await answer(MODELS_LIST, request)


@trigger(blueprint, MODELS_RETRIEVE)
async def models_retrieve(request: Request) -> Response:
    return await answer(MODELS_RETRIEVE, request)
