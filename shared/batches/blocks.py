"""The files of results as they are staged: blocks in the order of the requests. Pure."""

from __future__ import annotations

from shared.batches.document import Batch, Shard
from shared.files.stored_file import StoredFile


def block_of(shard: Shard, number: int) -> str:
    """The id of a block of results: all of one length, in the order of the lines."""
    return f"{shard.first:08d}{shard.round:02d}{number:06d}"


def file_of(batch: Batch, kind: str) -> tuple[StoredFile, list[str]]:
    """A file of results and its blocks, in the order of the shards."""
    shards = sorted((one for one in batch.shards if not one.stray), key=lambda one: (one.first, one.round))
    blocks: list[str] = []
    size = 0
    for shard in shards:
        count = shard.output_blocks if kind == "output" else shard.error_blocks
        size += shard.output_bytes if kind == "output" else shard.error_bytes
        blocks += [block_of(shard, number) for number in range(count)]
    made = int(batch.times["finalizing_at"])
    file = StoredFile(
        id=batch.output_id if kind == "output" else batch.error_id,
        owner=batch.owner,
        filename=f"{batch.id}_{kind}.jsonl",
        purpose="batch_output",
        bytes_count=size,
        created_at=made,
        expires_at=None if batch.output_expires_s is None else made + batch.output_expires_s,
        content_type="application/jsonl",
    )
    return file, blocks
