"""Files, and uploads of them in parts."""

import azure.functions as func

from handlers.http import answer
from handlers.routes import trigger
from shared.hosting import Request, Response
from shared.operations.table_files import (
    FILES_CONTENT,
    FILES_CREATE,
    FILES_DELETE,
    FILES_LIST,
    FILES_RETRIEVE,
    UPLOADS_CANCEL,
    UPLOADS_COMPLETE,
    UPLOADS_CREATE,
    UPLOADS_PART,
)

blueprint = func.Blueprint()


@trigger(blueprint, FILES_CREATE)
async def files_create(request: Request) -> Response:
    return await answer(FILES_CREATE, request)


@trigger(blueprint, FILES_LIST)
async def files_list(request: Request) -> Response:
    return await answer(FILES_LIST, request)


@trigger(blueprint, FILES_RETRIEVE)
async def files_retrieve(request: Request) -> Response:
    return await answer(FILES_RETRIEVE, request)


@trigger(blueprint, FILES_DELETE)
async def files_delete(request: Request) -> Response:
    return await answer(FILES_DELETE, request)


@trigger(blueprint, FILES_CONTENT)
async def files_content(request: Request) -> Response:
    return await answer(FILES_CONTENT, request)


@trigger(blueprint, UPLOADS_CREATE)
async def uploads_create(request: Request) -> Response:
    return await answer(UPLOADS_CREATE, request)


@trigger(blueprint, UPLOADS_PART)
async def uploads_part(request: Request) -> Response:
    return await answer(UPLOADS_PART, request)


@trigger(blueprint, UPLOADS_COMPLETE)
async def uploads_complete(request: Request) -> Response:
    return await answer(UPLOADS_COMPLETE, request)


@trigger(blueprint, UPLOADS_CANCEL)
async def uploads_cancel(request: Request) -> Response:
    return await answer(UPLOADS_CANCEL, request)
