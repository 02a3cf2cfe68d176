"""What the hosting of fine-tuned deployments costs: an entry of the ledger for each day that is over.

Azure charges it by the hour from the moment of deployment on, whether or not it is called, and its data plane tells
neither that moment nor that a deployment is gone: `model_info.hosting_since` says the one, its absence the other.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable

from shared.callers.caller import MASTER
from shared.spend.entry import Entry
from shared.spend.outside import add_lines
from shared.spend.places import DAY_S, day_ends_at, day_of, days_between
from shared.storage.tables import Row, Table
from shared.upstream.deployment import Deployment

log = logging.getLogger("spillway")

OPERATION = "hosting"
PARTITION = "hosting"
DAYS_MAX = 400
"""Days that are entered afterwards."""
HOUR_S = 3600.0


class Hosting:
    """Enters them. `table` keeps how far each deployment is entered."""

    def __init__(self, table: Table, ledger: Table, clock: Callable[[], float]) -> None:
        self._table = table
        self._ledger = ledger
        self._clock = clock
        self._through: dict[str, str] = {}
        self._said: set[str] = set()

    async def run(self, deployments: Iterable[Deployment]) -> None:
        """Enters the days that are over and not entered yet. Raises StorageFailed; may be repeated, at any time."""
        yesterday = day_of(self._clock() - DAY_S)
        for one in {(one.resource_id, one.name): one for one in deployments if one.hosting_since is not None}.values():
            if one.price.hosting_hour is None:
                self._say_unpriced(one)
            elif self._through.get(_key(one), "") < yesterday:
                await self._enter(one, one.hosting_since or 0.0, one.price.hosting_hour, yesterday)

    async def _enter(self, deployment: Deployment, since: float, hour: int, yesterday: str) -> None:
        key = _key(deployment)
        mark = await self._table.get(PARTITION, key)
        through = "" if mark is None else str(mark.properties["through"])
        first = day_of(since)
        if first <= yesterday:
            for day in days_between(first, yesterday)[-DAYS_MAX:]:
                if day > through:
                    await add_lines(self._ledger, f"{day}_hosting-{key}", 0, [_entry(deployment, day, since, hour)])
                    await self._table.put(Row(PARTITION, key, {"through": day}))
        self._through[key] = yesterday

    def _say_unpriced(self, deployment: Deployment) -> None:
        if deployment.id not in self._said:
            self._said.add(deployment.id)
            log.warning(
                "%s (deployment %s): the price book has no price for hosting it, so none is charged; set "
                "model_info.base_model to a model that can be fine-tuned.",
                deployment.model_name,
                deployment.label,
            )


def _entry(deployment: Deployment, day: str, since: float, hour: int) -> Entry:
    """The hosting of one day; of the first one from its hour on."""
    end = day_ends_at(day)
    begin = max(end - DAY_S, since)
    hours = (end - begin) / HOUR_S
    return Entry(
        entry_id=f"hosting-{day}-{_key(deployment)}",
        operation=OPERATION,
        key_id=MASTER.key_id,
        model=deployment.model_name,
        deployment=deployment.label,
        deployment_id=deployment.id,
        base_model=deployment.base_model or deployment.price.model,
        started_at=begin,
        status="settled",
        usage={"prompt": 0, "completion": 0, "hosting_hours": hours},
        cost=round(hours * hour),
        price_source=deployment.price.source,
        outcome="ok",
        ended_at=end,
    )


def _key(deployment: Deployment) -> str:
    return hashlib.sha256(f"{deployment.resource_id}\n{deployment.name}".encode()).hexdigest()[:24]
