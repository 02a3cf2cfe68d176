"""The operations of files and uploads."""

from __future__ import annotations

from shared.operations import files, uploads
from shared.operations.operation import Operation

FILES_CREATE = Operation(
    name="files_create",
    method="POST",
    path="files",
    summary="Uploads a file of up to 200 MB; one for a batch is checked line by line",
    serve=files.create,
)
FILES_LIST = Operation(
    name="files_list", method="GET", path="files", summary="Files, by page and purpose", serve=files.list_files
)
FILES_RETRIEVE = Operation(
    name="files_retrieve", method="GET", path="files/{id}", summary="One file", serve=files.retrieve
)
FILES_DELETE = Operation(
    name="files_delete", method="DELETE", path="files/{id}", summary="Deletes a file", serve=files.delete
)
FILES_CONTENT = Operation(
    name="files_content",
    method="GET",
    path="files/{id}/content",
    summary="The bytes of a file, or a range of them",
    serve=files.content,
)
UPLOADS_CREATE = Operation(
    name="uploads_create",
    method="POST",
    path="uploads",
    summary="Begins a file of up to 8 GB that comes in parts",
    serve=uploads.create,
)
UPLOADS_PART = Operation(
    name="uploads_part",
    method="POST",
    path="uploads/{id}/parts",
    summary="Uploads a part of up to 64 MB",
    serve=uploads.add_part,
)
UPLOADS_COMPLETE = Operation(
    name="uploads_complete",
    method="POST",
    path="uploads/{id}/complete",
    summary="Makes a file of its parts",
    serve=uploads.complete,
)
UPLOADS_CANCEL = Operation(
    name="uploads_cancel",
    method="POST",
    path="uploads/{id}/cancel",
    summary="Ends an upload of which no file comes",
    serve=uploads.cancel,
)

FILE_OPERATIONS = (
    FILES_CREATE,
    FILES_LIST,
    FILES_RETRIEVE,
    FILES_DELETE,
    FILES_CONTENT,
    UPLOADS_CREATE,
    UPLOADS_PART,
    UPLOADS_COMPLETE,
    UPLOADS_CANCEL,
)
