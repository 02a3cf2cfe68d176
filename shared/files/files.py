"""Files, uploads, copies at resources and their sweep, as one part of the gateway.

Interfaces for what is built on files (batches, jobs):

    store.find(owner, id) · store.whole(file) · store.open(file, start) + store.chunks(blob)    read a file
    store.begin(owner) → write · finish                                                         write one in one go
    store.new_id(owner) → store.stage(id, block_id, data) … → store.keep(file, block_ids)       write one in slices
    preflight.Checked                                                                           check lines again
    copies.at(file, deployment)                                       its id at a resource, for models to read
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Sequence

from shared.errors import SpillwayError
from shared.files.agenda import Entry
from shared.files.copies import COPY, Copies
from shared.files.identity import FILE, UPLOAD
from shared.files.resource_files import AzureFiles, ResourceFiles
from shared.files.store import FileStore, Storage
from shared.files.uploads import Uploads
from shared.storage.account import Account
from shared.supervisor import Supervisor
from shared.upstream.client import UpstreamClient
from shared.upstream.deployment import Deployment

log = logging.getLogger("spillway")

SWEEP_S = 15.0
SWEEP_ENTRIES = 50
AGAIN_S = 600.0
"""What could not be looked at is looked at again after so long."""
Review = Callable[[str], Awaitable[None]]


class Files:
    """Everything that is kept of files. Belongs to the running event loop.

    `reviews` look at what is due, by its kind; others that keep something for a time add theirs. Each raises
    SpillwayError, and may be repeated.
    """

    def __init__(
        self, store: FileStore, resources: ResourceFiles, deployments: Callable[[], Sequence[Deployment]]
    ) -> None:
        self.store = store
        self.uploads = Uploads(store)
        self.copies = Copies(store, resources, deployments)
        self.reviews: dict[str, Review] = {
            FILE: lambda subject: self.store.review(subject, self.copies.drop_all),
            UPLOAD: self.uploads.review,
            COPY: self.copies.review,
        }

    async def sweep(self, seconds: float = SWEEP_S) -> int:
        """Looks at what is due, for about so long; tells how much that was. With nothing due it costs one request.

        For the timer; may run twice at once, late, or be killed at any await. Raises StorageFailed when the agenda
        cannot be read.
        """
        if not self.store.is_kept:
            return 0
        until, count, agenda = time.monotonic() + seconds, 0, self.store.agenda
        while time.monotonic() < until:
            due = await agenda.due(self.store.clock(), SWEEP_ENTRIES)
            for entry in due:
                if time.monotonic() >= until:
                    return count
                await self._looked_at(entry)
                count += 1
            if len(due) < SWEEP_ENTRIES:
                break
        return count

    async def close(self) -> None:
        """Lets the storage account's connections go."""
        await self.store.close()

    async def _looked_at(self, entry: Entry) -> None:
        """One entry. One that fails is put off, so that it never keeps the others from being looked at."""
        agenda = self.store.agenda
        review = self.reviews.get(entry.kind)
        try:
            if review is not None:
                await review(entry.subject)
        except SpillwayError as error:
            log.warning("a file that is due could not be looked at (%s); it is tried again", error.code)
            await agenda.note(self.store.clock() + AGAIN_S, entry.kind, entry.subject)
        await agenda.done(entry)


def files_of(
    account: Account | None,
    supervisor: Supervisor,
    clock: Callable[[], float],
    random_bytes: Callable[[int], bytes],
    client: UpstreamClient,
    next_id: Callable[[], str],
    deployments: Callable[[], Sequence[Deployment]],
) -> Files:
    """The files of a storage account, with copies at resources that are reached by `client`."""
    storage = None if account is None else Storage.of(account)
    return Files(FileStore(storage, supervisor, clock, random_bytes), AzureFiles(client, next_id), deployments)
