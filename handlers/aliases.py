"""Every other spelling of an operation's path, and every path that is none.

The host tries functions in the order of their names and takes the first that matches, so this one must sort last;
it lists every method, because the host never answers 405 and the worker's server hangs on a method it does not know.
"""

import azure.functions as func

from handlers.http import answer_path
from shared.hosting import Request, Response

blueprint = func.Blueprint()


@blueprint.function_name("zz_aliases")
@blueprint.route(
    route="{*path}",
    methods=["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"],
    auth_level=func.AuthLevel.ANONYMOUS,
    trigger_arg_name="request",
)
async def zz_aliases(request: Request) -> Response:
    return await answer_path(request)
