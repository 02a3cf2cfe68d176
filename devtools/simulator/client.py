"""A client of the simulator's `/_sim` routes, for tests and benches."""

from __future__ import annotations

from typing import Any

import httpx


class ControlClient:
    """Speaks to the simulator at `url`. Use as a context manager; an error answer raises httpx.HTTPStatusError."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url + "/_sim", timeout=60)

    def __enter__(self) -> ControlClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Any control route, such as `call("GET", "/resources")`; gives its JSON."""
        response = self._http.request(method, path, json=body)
        response.raise_for_status()
        return response.json()

    def reset(self) -> None:
        self.call("POST", "/reset")

    def advance(self, seconds: float) -> None:
        """Lets the simulator's clocks jump ahead."""
        self.call("POST", "/advance", {"seconds": seconds})

    def bill(self) -> list[dict[str, Any]]:
        """The lines of the bill (bill.Line as JSON)."""
        lines: list[dict[str, Any]] = self.call("GET", "/bill")["lines"]
        return lines

    def bill_of(self, batch: str) -> list[dict[str, Any]]:
        """The lines of one batch in the bill."""
        lines: list[dict[str, Any]] = self.call("GET", f"/bill?batch={batch}")["lines"]
        return lines

    def bill_totals(self) -> list[dict[str, Any]]:
        """The bill summed up by resource, deployment, model, operation, batch, price factor and status."""
        totals: list[dict[str, Any]] = self.call("GET", "/bill/totals")["totals"]
        return totals

    def batch(self, batch_id: str, **settings: Any) -> dict[str, Any]:
        """Changes `held`, `expiring` or `shown_status` of a batch; gives what the control routes tell of it."""
        answer: dict[str, Any] = self.call("PATCH", f"/batches/{batch_id}", settings)
        return answer

    def requests(self) -> list[dict[str, Any]]:
        """The requests received (recorder.Record as JSON)."""
        requests: list[dict[str, Any]] = self.call("GET", "/requests")["requests"]
        return requests

    def fault(self, **rule: Any) -> int:
        """Adds a fault (the fields of faults.Rule); gives its id."""
        return int(self.call("POST", "/faults", rule)["id"])

    def deployment(self, resource: str, name: str, **settings: Any) -> None:
        """Changes settings of a deployment (the fields of resources.Deployment)."""
        self.call("PATCH", f"/resources/{resource}/deployments/{name}", settings)

    def resource(self, name: str, **settings: Any) -> None:
        """Changes settings of a resource, such as `role="..."` or `authoring={"files_max": 3}`."""
        self.call("PATCH", f"/resources/{name}", settings)

    def identity(self, **settings: Any) -> dict[str, Any]:
        """Changes `lifetime_s`, `role`, `roles`; gives them all, with the count of tokens issued."""
        answer: dict[str, Any] = self.call("PUT", "/identity", settings)
        return answer

    def revoke(self) -> int:
        """Revokes every token issued so far; tells how many."""
        return int(self.call("POST", "/identity/revoke")["revoked"])
