"""Batches: one of the caller's, run as shards at the deployments that have room, its results merged back and priced.

document    a batch and its shards: all that is known of it, one row (`packed`), one ETag
machine     what is to be done next, and what follows by itself; `sending` and `watching`: what becomes of a batch
            by what was seen. Pure.
placing     which deployment takes a shard, and how much of it. Pure.
lines       requests on their way to a deployment (`inputs`), results on their way back (`results`, `reading`)
upstream    files and batches of a resource; `seen` straightens its quirks
store       the rows: batches, which of them are open, what is known of quotas
budget      what a batch may cost and did, in its key's budget
keyed       Idempotency-Keys; `retention`: how long batches that are over are kept
driver      does one thing after the other (`sender`, `collector`); two may be at it, and any may be killed between
            any two awaits
"""
