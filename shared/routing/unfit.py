"""Deployments whose model does not take a call: told before anything is sent, and no fault of the deployment's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from shared.errors import BadRequest
from shared.upstream.deployment import Deployment


class Unfit(Exception):
    """The deployment's model does not take the call; nothing was sent. `failure` is what the client is told where no
    other deployment takes it."""

    def __init__(self, failure: BadRequest, deployment: Deployment) -> None:
        super().__init__(str(failure))
        self.failure = failure
        self._kind = _kind(deployment)

    def means(self, deployment: Deployment) -> bool:
        """Whether this deployment would say the same."""
        return _kind(deployment) == self._kind


@contextmanager
def fitting(deployment: Deployment) -> Iterator[None]:
    """What is refused in here is refused for this kind of deployment. Raises Unfit."""
    try:
        yield
    except BadRequest as failure:
        raise Unfit(failure, deployment) from failure


def _kind(deployment: Deployment) -> tuple[object, ...]:
    """What a call is judged by."""
    return deployment.capability.name, deployment.provider, deployment.parameters, deployment.endpoint.extensions
