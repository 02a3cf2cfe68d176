"""Chat completions."""

import azure.functions as func

from handlers.http import answer
from handlers.routes import trigger
from shared.hosting import Request, Response
from shared.operations.table import CHAT_COMPLETIONS

blueprint = func.Blueprint()


@trigger(blueprint, CHAT_COMPLETIONS)
async def chat_completions(request: Request) -> Response:
    return await answer(CHAT_COMPLETIONS, request)
