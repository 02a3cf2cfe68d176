"""The router, asked about itself."""

import azure.functions as func

from handlers.http import answer
from handlers.routes import trigger
from shared.hosting import Request, Response
from shared.operations.table import ROUTER_EXPLAIN

blueprint = func.Blueprint()


@trigger(blueprint, ROUTER_EXPLAIN)
async def router_explain(request: Request) -> Response:
    return await answer(ROUTER_EXPLAIN, request)
