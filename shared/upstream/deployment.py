"""Deployment: one `model_list` entry, or one name that a wildcard entry was asked for, ready to be called."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shared.catalog.api_versions import FORCED, Effective, effective, lacking
from shared.catalog.capabilities import Capability, resolve
from shared.catalog.carried import NOTHING
from shared.catalog.policy import ParameterPolicy
from shared.catalog.price import UNPRICED, Price
from shared.catalog.prices import price_of, unpriced
from shared.config import Match, Policy, Provider, Timeouts
from shared.config.clientside import NO_CLIENT_PARAMS, ClientParams
from shared.ids import deployment_id, resource_id
from shared.seal import tag
from shared.upstream.credentials import Credential
from shared.upstream.endpoint import Endpoint

if TYPE_CHECKING:
    from yarl import URL

log = logging.getLogger("spillway")

LAST = 1 << 30
VERSIONS_MAX = 256
"""Combinations of operation and fields whose version a deployment remembers; any other is worked out each time."""
RAISES_SAID_MAX = 100
"""Sentences of one deployment about versions that are raised for what calls carry."""
_IMAGES = frozenset({"images_generations", "images_edits"})


@dataclass(frozen=True, slots=True, eq=False)
class Deployment:
    """`model_name` is what callers ask for, `name` the deployment at its resource, `label` its name in answers.

    `id` is model_info.id or made of resource and name. `mode` is model_info.mode, None when any operation may be
    tried. `capability` is what its model takes, `parameters` what is done with the rest. `tier` is its `order`, the
    lowest first; without one, provisioned throughput comes before what is paid as it goes, and both last.
    `weight` is its share of the load: weight, else rpm, else tpm per 1,000, else 1; 0 is for a deployment that serves
    only when every other one of its order cannot. `client_params` may come from the caller; `of_client` says that the
    credential did, `public_only` that the address did, which then must be on the public internet. `tpm` and `rpm` are
    limits a minute, None when unknown; `max_input_tokens` is the context window; `provisioned` means PTUs;
    `hosting_since` is when hosting began that is paid by the hour. `price` is what its calls cost; `known_model` its
    model's name in shared.catalog, "" where it is not known.
    """

    model_name: str
    name: str
    id: str
    resource_id: str
    provider: Provider
    endpoint: Endpoint
    credential: Credential
    timeouts: Timeouts
    version_policy: Policy
    parameters: ParameterPolicy
    capability: Capability
    mode: str | None
    base_model: str | None
    order: int | None
    weight: float
    tier: int = LAST
    client_params: ClientParams = NO_CLIENT_PARAMS
    of_client: bool = False
    public_only: bool = False
    speech_cache: bool = False
    tpm: int | None = None
    rpm: int | None = None
    max_parallel_requests: int | None = None
    cooldown_s: float | None = None
    allowed_fails: int | None = None
    tags: tuple[str, ...] = ()
    region: str | None = None
    provisioned: bool = False
    hosting_since: float | None = None
    max_input_tokens: int | None = None
    price: Price = UNPRICED
    known_model: str = ""
    _effective: dict[tuple[str, frozenset[str]], Effective] = field(default_factory=dict, repr=False)
    _urls: dict[tuple[str, str, frozenset[str]], URL] = field(default_factory=dict, repr=False)
    _said: set[tuple[str, str, str]] = field(default_factory=set, repr=False)

    @property
    def label(self) -> str:
        return self.name

    @property
    def token_rate(self) -> float | None:
        """What a token in and one out cost together, in picodollars; a provisioned one costs nothing more."""
        if self.price.ptu:
            return 0.0
        rates = self.price.rates("standard", 0)
        return None if rates.input is None else float(rates.input + (rates.output or 0))

    @property
    def resource_tag(self) -> bytes:
        """Stands for the resource inside a sealed id."""
        return tag(self.resource_id)

    def url(
        self,
        operation: str,
        path: str,
        ids: Mapping[str, str] | None = None,
        query: Sequence[tuple[str, str]] = (),
        carries: frozenset[str] = NOTHING,
    ) -> URL:
        """The address for `operation`, whose `path` is below the surface; `ids` fill its braces. `carries` are the
        fields of the request that decide its api-version (shared.catalog.carried)."""
        known = self._urls.get((operation, path, carries))
        if known is None or ids or query:
            version = self._version(operation, carries).version if self.endpoint.provider == "azure" else ""
            known = _url(self.endpoint.url(path, self.name, version, ids, query))
            if not ids and not query and len(self._urls) < VERSIONS_MAX:
                self._urls[operation, path, carries] = known
        return known

    def supports(self, operation: str, forced_field: str) -> bool:
        """Whether `forced_field` may be written into a body of `operation`, under the entry's api-version policy."""
        return self.endpoint.provider == "openai" or forced_field not in self._version(operation).lacks

    def _version(self, operation: str, carries: frozenset[str] = NOTHING) -> Effective:
        known = self._effective.get((operation, carries))
        if known is None:
            # The retired /extensions path lives in 2023 previews only, which lack every field that is forced.
            chats = operation == "chat_completions"
            judged = f"{operation}_extensions" if chats and self.endpoint.extensions else operation
            fields = (*FORCED.get(operation, ()), *carries)
            if operation in _IMAGES and not (self.capability.image is not None and self.capability.image.url):
                fields = (*fields, "model:gpt-image")  # dall-e alone answers with links, and is retired
            known = effective(self.endpoint.api_version, judged, self.version_policy, fields)
            if carries:
                self._say_raised(operation, carries, known.version)
            if len(self._effective) < VERSIONS_MAX:
                self._effective[operation, carries] = known
        return known

    def _say_raised(self, operation: str, carries: frozenset[str], version: str) -> None:
        """Says, once for each version, that calls with these fields are sent with another one than the others."""
        own = self.endpoint.api_version
        said = (own, operation, version)
        if version == self._version(operation).version or said in self._said or len(self._said) >= RAISES_SAID_MAX:
            return
        self._said.add(said)
        log.warning(
            "%s (deployment %s): api_version %s lacks %s; %s calls that carry it are sent with %s. "
            "Set api_version_policy: exact to send %s.",
            self.model_name,
            self.label,
            own,
            " and ".join(lacking(own, carries)),
            operation,
            version,
            own,
        )


def _url(text: str) -> URL:
    from yarl import URL

    return URL(text)


def deployment_of(match: Match, endpoint: Endpoint, credential: Credential) -> Deployment:
    """The deployment that serves `match`. What its model can do is looked up here, and said when it was inferred."""
    entry = match.entry
    name = endpoint.deployment_for(match.model.deployment)
    model = resolve(entry.base_model, name, match.model.family)
    if model.how == "token":
        log.warning(
            "%s: the deployment %s is taken for %s by its name; set model_info.base_model to be sure.",
            entry.label,
            name,
            model.name,
        )
    price = price_of(entry, name)
    if price.unpriced and entry.is_wildcard:  # of the others a start has told
        log.warning("%s: %s", entry.label, unpriced(entry, name))
    resource = entry.resource or resource_id(endpoint.identity)
    return Deployment(
        model_name=entry.model_name,
        name=name,
        id=entry.id if entry.id and not entry.is_wildcard else deployment_id(resource, name),
        resource_id=resource,
        provider=match.model.provider,
        endpoint=endpoint,
        credential=credential,
        timeouts=entry.timeouts,
        version_policy=entry.api_version_policy,
        parameters=ParameterPolicy(
            entry.drop_params, frozenset(entry.additional_drop_params), frozenset(entry.allowed_openai_params)
        ),
        capability=model.capability.at_openai() if match.model.provider == "openai" else model.capability,
        mode=entry.mode,
        base_model=entry.base_model_name,
        order=entry.order,
        tier=entry.order if entry.order is not None else LAST - entry.provisioned,
        speech_cache=entry.speech_cache,
        tpm=entry.tpm,
        rpm=entry.rpm,
        max_parallel_requests=entry.max_parallel_requests,
        cooldown_s=entry.cooldown_s,
        allowed_fails=entry.allowed_fails,
        tags=entry.tags,
        region=entry.region,
        provisioned=entry.provisioned,
        hosting_since=entry.hosting_since,
        max_input_tokens=entry.max_input_tokens,
        weight=entry.weight if entry.weight is not None else entry.rpm or (entry.tpm or 0) / 1000 or 1.0,
        client_params=entry.client_params,
        price=price,
        known_model=model.name,
    )
