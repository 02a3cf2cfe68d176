"""Chat completions."""

import azure.functions as func
from azurefunctions.extensions.http.fastapi import Request, Response

from handlers.http import answer
from handlers.routes import trigger
from shared.operations.table import CHAT_COMPLETIONS

blueprint = func.Blueprint()


@trigger(blueprint, CHAT_COMPLETIONS)
async def chat_completions(request: Request) -> Response:
    return await answer(CHAT_COMPLETIONS, request)
