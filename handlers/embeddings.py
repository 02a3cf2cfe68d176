"""Embeddings."""

import azure.functions as func

from handlers.http import answer
from handlers.routes import trigger
from shared.hosting import Request, Response
from shared.operations.table import EMBEDDINGS

blueprint = func.Blueprint()


@trigger(blueprint, EMBEDDINGS)
async def embeddings(request: Request) -> Response:
    return await answer(EMBEDDINGS, request)
