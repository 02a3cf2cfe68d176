"""The operations of batches."""

from __future__ import annotations

from shared.operations import batches
from shared.operations.operation import Operation

BATCHES_CREATE = Operation(
    name="batches_create",
    method="POST",
    path="batches",
    summary="Runs the requests of a file, at the deployments that have room",
    serve=batches.create,
)
BATCHES_LIST = Operation(
    name="batches_list", method="GET", path="batches", summary="Batches, by page", serve=batches.list_batches
)
BATCHES_RETRIEVE = Operation(
    name="batches_retrieve",
    method="GET",
    path="batches/{id}",
    summary="How far a batch is, shard by shard, and what it cost",
    serve=batches.retrieve,
)
BATCHES_CANCEL = Operation(
    name="batches_cancel",
    method="POST",
    path="batches/{id}/cancel",
    summary="Ends a batch; what is done by then is kept",
    serve=batches.cancel,
)

BATCH_OPERATIONS = (BATCHES_CREATE, BATCHES_LIST, BATCHES_RETRIEVE, BATCHES_CANCEL)
