"""Text completions."""

import azure.functions as func

from handlers.http import answer
from handlers.routes import trigger
from shared.hosting import Request, Response
from shared.operations.table import COMPLETIONS

blueprint = func.Blueprint()


@trigger(blueprint, COMPLETIONS)
async def completions(request: Request) -> Response:
    return await answer(COMPLETIONS, request)
