"""Embeddings."""

import azure.functions as func
from azurefunctions.extensions.http.fastapi import Request, Response

from handlers.http import answer
from handlers.routes import trigger
from shared.operations.table import EMBEDDINGS

blueprint = func.Blueprint()


@trigger(blueprint, EMBEDDINGS)
async def embeddings(request: Request) -> Response:
    return await answer(EMBEDDINGS, request)
