"""Where an entry's calls go: every form of pasted `api_base`, taken apart, and the URLs built from it.

Accepted: a resource's root, any path prefix before it, and the portal's longer forms: `/openai`, `/openai/v1`,
`/openai/deployments/{d}`, `…/extensions`, and the full "Target URI" with its `?api-version=`.

- api-version: the entry's own, else the URL's, else AZURE_API_VERSION, else 2025-04-01-preview. A base with
  `/openai/v1` is on the v1 surface whatever date is written; v1, preview and latest are the v1 surface on any base.
- deployment: the one in the URL is used, as LiteLLM uses such a URL as it is; a different one in `model` is named
  in a warning.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from shared.config.entry import Entry
from shared.config.models import valid_deployment_name
from shared.config.versions import DEFAULT_API_VERSION, EXPECTED, V1_VERSIONS, is_api_version, surface_of
from shared.errors import ConfigError, NotFound

OPENAI_BASE = "https://api.openai.com/v1"
# The paths that carry the deployment on the classic surface (openai-python lib/azure.py, _deployments_endpoints).
DEPLOYMENT_PATHS = frozenset(
    {
        "chat/completions",
        "completions",
        "embeddings",
        "images/generations",
        "images/edits",
        "audio/transcriptions",
        "audio/translations",
        "audio/speech",
    }
)
RESOURCE_PATHS = frozenset({"responses", "files", "batches", "models", "uploads", "fine_tuning/jobs"})

_CLASSIC_SCOPE = "https://cognitiveservices.azure.com/.default"
_V1_SCOPE = "https://ai.azure.com/.default"
# Sovereign clouds name their own audience, on either surface.
_SOVEREIGN_SCOPES = {
    ".azure.us": "https://cognitiveservices.azure.us/.default",
    ".azure.cn": "https://cognitiveservices.azure.cn/.default",
}
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*")
_IPV6 = re.compile(r"[0-9a-f:.]{2,45}")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_LOOPBACK = re.compile(r"localhost|127(\.\d{1,3}){3}|::1|.+\.localhost")
_DEFAULT_PORTS = {"https": 443, "http": 80}
_URL_CHARS_MAX = 2048


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One resource as one entry reaches it. `origin` is scheme, lower-case host and a port that is not the default;
    `prefix` is "" or a percent-encoded path without a slash at its end.

    `api_version` is resolved (never empty on Azure, "" at OpenAI). `deployment` is the one in the pasted URL.
    `extensions` sends chat to the retired `/extensions/chat/completions`.
    """

    provider: Literal["azure", "openai"]
    origin: str
    prefix: str = ""
    api_version: str = ""
    deployment: str | None = None
    extensions: bool = False

    @property
    def identity(self) -> str:
        """Names the resource: host and prefix, with no scheme, credential, deployment or version."""
        return self.origin.partition("://")[2] + self.prefix

    @property
    def surface(self) -> Literal["classic", "v1", "openai"]:
        return "openai" if self.provider == "openai" else surface_of(self.api_version)

    @property
    def scope(self) -> str | None:
        """The scope Entra tokens are asked for when the entry names none; None at OpenAI."""
        if self.provider == "openai":
            return None
        host = self.origin.partition("://")[2].partition(":")[0]
        for suffix, scope in _SOVEREIGN_SCOPES.items():
            if host.endswith(suffix):
                return scope
        return _V1_SCOPE if self.surface == "v1" else _CLASSIC_SCOPE

    def deployment_for(self, deployment: str) -> str:
        """The deployment that is really called: the URL's own, else `deployment`."""
        return self.deployment or deployment

    def url(
        self,
        operation_path: str,
        deployment: str,
        api_version: str = "",
        ids: Mapping[str, str] | None = None,
        query: Sequence[tuple[str, str]] = (),
    ) -> str:
        """The address of `operation_path`, such as `chat/completions` or `responses/{response_id}/cancel`.

        `api_version` ("" for the endpoint's own) chooses the surface. `ids` fills the braces, each as one
        percent-encoded segment; `query` is added to the query string. NotFound for an id or deployment that could
        not stand as one segment of a path. KeyError for a brace that `ids` does not fill.
        """
        path = "/".join(_filled(part, ids or {}) for part in operation_path.strip("/").split("/"))
        version = api_version or self.api_version
        pairs = list(query)
        if self.provider == "openai":
            return self._join(path, pairs)
        if version in V1_VERSIONS:
            return self._join(f"openai/v1/{path}", [("api-version", version)] * (version == "preview") + pairs)
        pairs.insert(0, ("api-version", version))
        if path not in DEPLOYMENT_PATHS:
            return self._join(f"openai/{path}", pairs)
        name = self.deployment_for(deployment)
        if not valid_deployment_name(name):
            raise NotFound("The deployment does not exist.", code="model_not_found", param="model")
        extensions = "extensions/" if self.extensions and path == "chat/completions" else ""
        return self._join(f"openai/deployments/{_segment(name)}/{extensions}{path}", pairs)

    def _join(self, path: str, pairs: Sequence[tuple[str, str]]) -> str:
        return f"{self.origin}{self.prefix}/{path}{'?' + urlencode(pairs) if pairs else ''}"


def of_entry(entry: Entry) -> tuple[Endpoint, tuple[str, ...]]:
    """The entry's endpoint and its warnings. ConfigError with the YAML path of what is wrong."""
    return parse(
        entry.api_base,
        provider="azure" if entry.model.is_azure else "openai",
        api_version=entry.api_version,
        api_version_default=entry.api_version_default,
        deployment=entry.model.deployment,
        api_base_at=entry.api_base_at,
        api_version_at=f"{entry.path}.litellm_params.api_version",
        shown=entry.api_base_shown,
    )


def of_entries(entries: Iterable[Entry]) -> tuple[tuple[Endpoint, ...], tuple[str, ...]]:
    """An endpoint for each entry, in their order, and all warnings. One ConfigError with every problem."""
    endpoints: list[Endpoint] = []
    warnings: list[str] = []
    problems: list[str] = []
    for entry in entries:
        try:
            endpoint, said = of_entry(entry)
        except ConfigError as error:
            problems += error.problems
            continue
        endpoints.append(endpoint)
        warnings += said
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))
    return tuple(endpoints), tuple(dict.fromkeys(warnings))


def parse(
    api_base: str | None,
    *,
    provider: Literal["azure", "openai"] = "azure",
    api_version: str | None = None,
    api_version_default: str | None = None,
    deployment: str | None = None,
    api_base_at: str = "api_base",
    api_version_at: str = "api_version",
    shown: bool = True,
) -> tuple[Endpoint, tuple[str, ...]]:
    """`api_base` as an Endpoint, and warnings. `api_base_at` and `api_version_at` are their places in the
    configuration, for messages.

    `shown` False keeps the value out of messages. ConfigError names what is wrong with it.
    """
    place = _Place(api_base_at, api_version_at, (api_base or "").partition("?")[0] if shown else "")
    origin, segments, query = _split(api_base or (OPENAI_BASE if provider == "openai" else ""), place)
    if provider == "openai":
        return _openai(origin, segments, query, api_version, place), tuple(place.warnings)
    host = origin.partition("://")[2].partition(":")[0]
    prefix, tail = _before_openai(host, segments, place)
    in_url, extensions, v1_base = _tail(tail, place)
    version = _version(api_version, _url_version(query, place), api_version_default, v1_base, place)
    if in_url is not None and deployment is not None and in_url != deployment:
        place.warn(f"names deployment {in_url}, which is used; {deployment} in model is not.")
    return Endpoint("azure", origin, _path(prefix), version, in_url, extensions), tuple(place.warnings)


class _Place:
    """Where in the configuration we are, and what was said about it. `value` is shown in errors unless empty."""

    def __init__(self, api_base_at: str, api_version_at: str, value: str) -> None:
        self.api_base_at = api_base_at
        self.api_version_at = api_version_at
        self.value = value
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(f"{self.api_base_at}: {text}")

    def warn_version(self, text: str) -> None:
        self.warnings.append(f"{self.api_version_at}: {text}")

    def error(self, text: str, *, shown: bool = True) -> ConfigError:
        found = f"found {self.value!r}, " if shown and self.value else ""
        return ConfigError([f"{self.api_base_at}: {found}{text}."])


def _split(text: str, place: _Place) -> tuple[str, list[str], list[tuple[str, str]]]:
    """Scheme and host, decoded path segments, and query of a URL that may lack its scheme."""
    text = text.strip()
    if not text or len(text) > _URL_CHARS_MAX:
        raise place.error(f"expected a URL of 1 to {_URL_CHARS_MAX} characters", shown=False)
    if not text.isprintable() or not text.isascii() or "\\" in text or " " in text:
        raise place.error("expected a URL of printable ASCII characters without spaces or backslashes", shown=False)
    scheme = _SCHEME.match(text)
    if scheme is None:
        text = f"https://{text.removeprefix('//')}"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise place.error("expected a URL with a valid host and port", shown=False) from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise place.error(f"expected https://, not {parts.scheme}://", shown=False)
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        raise place.error("expected a URL without user name and password", shown=False)
    if parts.fragment or text.endswith("#"):
        raise place.error("expected a URL without a # fragment", shown=False)
    host = (parts.hostname or "").removesuffix(".")
    ipv6 = parts.netloc.startswith("[")
    if not (_IPV6 if ipv6 else _HOST).fullmatch(host):
        raise place.error("expected a host name such as my-resource.openai.azure.com", shown="@" not in text)
    if parts.scheme == "http" and not _LOOPBACK.fullmatch(host):
        place.warn("is plain http: keys and prompts travel unencrypted.")
    named = f"[{host}]" if ipv6 else host
    suffix = "" if port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{port}"
    segments = [unquote(part) for part in parts.path.split("/") if part]
    if any(part in (".", "..") or not part.isprintable() or set(part) & {"\\", "\ufffd"} for part in segments):
        raise place.error("expected a path of UTF-8 text without . and .. and control characters", shown=False)
    return f"{parts.scheme}://{named}{suffix}", segments, parse_qsl(parts.query, keep_blank_values=True)


def _before_openai(host: str, segments: list[str], place: _Place) -> tuple[list[str], list[str]]:
    """The path prefix, and what comes after `/openai` in the URL."""
    for i, part in enumerate(segments):
        if part.lower() == "openai" and _is_tail(segments[i + 1 :]):
            return segments[:i], segments[i + 1 :]
    if any(part.lower() == "openai" for part in segments):
        raise place.error(
            "expected one of the paths /openai, /openai/v1, /openai/deployments/<deployment> or a full Target URI"
        )
    foundry = host.endswith(".services.ai.azure.com")
    if foundry and segments[:1] == ["models"]:
        raise place.error(
            "expected the resource itself: /models is Foundry's inference API, which is not OpenAI's; leave /models out"
        )
    if foundry and segments[:2] == ["api", "projects"]:
        place.warn("is a Foundry project; the OpenAI paths of its resource are used.")
        return [], []
    return segments, []


def _is_tail(tail: list[str]) -> bool:
    """Whether this may follow `/openai`."""
    lower = [part.lower() for part in tail]
    if not tail:
        return True
    if lower[0] == "deployments":
        rest = "/".join(lower[2:])
        return len(tail) >= 2 and (
            rest in DEPLOYMENT_PATHS or rest in ("", "extensions", "extensions/chat/completions")
        )
    if lower[0] == "v1":
        rest = "/".join(lower[1:])
        return not rest or rest in DEPLOYMENT_PATHS or rest in RESOURCE_PATHS
    return "/".join(lower) in RESOURCE_PATHS


def _tail(tail: list[str], place: _Place) -> tuple[str | None, bool, bool]:
    """The deployment in the URL, whether it says /extensions, and whether it is a v1 base."""
    kind = tail[0].lower() if tail else ""
    if kind != "deployments":
        return None, False, kind == "v1"
    if not valid_deployment_name(tail[1]):
        raise place.error("expected a deployment name of 1 to 64 letters, digits, '.', '_' or '-' in the URL")
    return tail[1], len(tail) > 2 and tail[2].lower() == "extensions", False


def _url_version(query: list[tuple[str, str]], place: _Place) -> str | None:
    version = None
    for key, value in query:
        if key.lower() == "api-version":
            version = value.strip() or None
        else:
            place.warn(f"has the query parameter {key}, which is left out.")
    if version is not None and not is_api_version(version):
        raise place.error(f"expected its api-version to be {EXPECTED}")
    return version


def _version(own: str | None, in_url: str | None, default: str | None, v1_base: bool, place: _Place) -> str:
    """The entry's, else the URL's, else the environment's, else ours; v1 on a base with /openai/v1."""
    if own is not None and in_url is not None and own != in_url:
        place.warn(f"says api-version {in_url}; api_version {own} of the entry is used.")
    written = own or in_url
    if not v1_base:
        return written or default or DEFAULT_API_VERSION
    if written is None:
        return "v1"
    if written not in V1_VERSIONS:
        place.warn_version(f"is {written}, but api_base is /openai/v1; v1 is used.")
        return "v1"
    return written


def _openai(
    origin: str, segments: list[str], query: list[tuple[str, str]], api_version: str | None, place: _Place
) -> Endpoint:
    if query:
        place.warn("has a query string, which is left out.")
    if api_version is not None:
        place.warn_version("has no effect for an OpenAI model; does model lack its azure/ prefix?")
    for known in sorted(DEPLOYMENT_PATHS | RESOURCE_PATHS, key=len, reverse=True):
        parts = known.split("/")
        if segments[-len(parts) :] == parts:
            segments = segments[: -len(parts)]
            break
    if origin.endswith(".openai.azure.com") and [part.lower() for part in segments[-2:]] != ["openai", "v1"]:
        raise place.error(
            "expected azure/ before the model, or /openai/v1 at the end: this is an Azure OpenAI resource"
        )
    if not segments and origin == "https://api.openai.com":
        segments = ["v1"]
    return Endpoint("openai", origin, _path(segments))


def _path(segments: list[str]) -> str:
    return "".join(f"/{quote(part, safe='')}" for part in segments)


def _filled(part: str, ids: Mapping[str, str]) -> str:
    """One segment of an operation's path; `{name}` becomes the encoded id."""
    return _segment(ids[part[1:-1]]) if part.startswith("{") and part.endswith("}") else part


def _segment(text: str) -> str:
    if text in ("", ".", ".."):
        raise NotFound("The id does not exist.")
    return quote(text, safe="")
