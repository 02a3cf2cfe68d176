"""The batches of a gateway, wired from its parts."""

from __future__ import annotations

from shared.batches import keyed
from shared.batches.fleet import RouterFleet
from shared.batches.service import Batches
from shared.batches.store import TABLE as TABLE
from shared.batches.store import BatchStore
from shared.batches.upstream import AzureResources
from shared.batches.work import Means
from shared.callers.keys import Keys
from shared.config import Config
from shared.files.files import Files
from shared.files.identity import BATCH
from shared.ids import DAY_S, CallIds
from shared.routing.router import Router
from shared.seal import Sealer
from shared.storage.tables import Table
from shared.upstream.client import UpstreamClient


def batches(
    table: Table | None,
    ledger: Table | None,
    files: Files,
    router: Router,
    client: UpstreamClient,
    ids: CallIds,
    sealer: Sealer,
    config: Config,
    keys: Keys | None = None,
) -> Batches:
    """The batches of a table, whose lines are entered in another; without these they are refused."""
    if table is None or ledger is None:
        return Batches(None)
    means = Means(
        store=BatchStore(table),
        files=files.store,
        resources=AzureResources(client, ids.next),
        fleet=RouterFleet(router),
        ledger=ledger,
        sealer=sealer,
        clock=files.store.clock,
        random_bytes=files.store.random_bytes,
        supervisor=files.store.supervisor,
        worker=ids.instance,
        tasks=keys.tasks if keys else None,
        kept_s=config.general_settings.batch_retention_days * DAY_S,
    )
    made = Batches(means, splits=config.litellm_settings.enable_loadbalancing_on_batch_endpoints)
    files.reviews[BATCH] = made.review
    files.reviews[keyed.KIND] = made.keyed.review
    return made
