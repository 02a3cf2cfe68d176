"""Images."""

import azure.functions as func

from handlers.http import answer
from handlers.routes import trigger
from shared.hosting import Request, Response
from shared.operations.table import IMAGES_EDITS, IMAGES_GENERATIONS

blueprint = func.Blueprint()


@trigger(blueprint, IMAGES_EDITS)
async def images_edits(request: Request) -> Response:
    return await answer(IMAGES_EDITS, request)


@trigger(blueprint, IMAGES_GENERATIONS)
async def images_generations(request: Request) -> Response:
    return await answer(IMAGES_GENERATIONS, request)
