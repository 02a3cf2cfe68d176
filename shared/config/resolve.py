"""A `model_list` item to an `Entry`: fallbacks applied, contradictions named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from shared.config import clientside, credentials, models
from shared.config.costs import pricing_of
from shared.config.entry import Credentials, Entry, Timeouts
from shared.config.environment import Environment
from shared.config.models import ModelRef, ModelStringError, parse_model
from shared.config.params import CredentialValues, LitellmParams, ModelInfo, ModelListItem
from shared.config.problems import Problems
from shared.config.settings import GeneralSettings, LitellmSettings, RouterSettings
from shared.config.versions import EXPECTED as EXPECTED_VERSION
from shared.config.versions import is_api_version

T = TypeVar("T")

TIMEOUT_DEFAULT_S = 600.0  # openai-python's own default


@dataclass(frozen=True, slots=True)
class Context:
    """What every entry of one file shares."""

    environ: Environment
    references: Mapping[str, str]
    problems: Problems
    named: Mapping[str, CredentialValues | None]
    router: RouterSettings
    litellm: LitellmSettings
    general: GeneralSettings


def entry(raw: object, path: str, context: Context) -> Entry | None:
    """The usable entry, or None: after a problem was added, or a warning that it belongs to another provider."""
    problems = context.problems
    item = problems.validated(ModelListItem, "model_list", path, raw)
    if item is None:
        return None
    params = problems.validated(LitellmParams, "litellm_params", f"{path}.litellm_params", item.litellm_params)
    info = problems.validated(ModelInfo, "model_info", f"{path}.model_info", item.model_info)
    if params is None or info is None:
        return None
    model = _model(params, path, item.model_name, problems)
    if model is None:
        return None
    if item.model_name.count("*") > 1 or (model.is_wildcard and "*" not in item.model_name):
        problems.found(f"{path}.model_name", item.model_name, "one *, as the model of this entry has one")
        return None
    params = _with_named(params, path, context)
    if params is None:
        return None
    return _resolved(item, params, info, model, path, context)


def _resolved(
    item: ModelListItem, params: LitellmParams, info: ModelInfo, model: ModelRef, path: str, context: Context
) -> Entry | None:
    problems, inside = context.problems, f"{path}.litellm_params"
    variable = context.references.get(f"{inside}.api_key")
    found: Credentials | None
    if model.is_azure:
        found = credentials.azure(params, context.environ, inside, problems, variable)
    else:
        found = credentials.openai(params, context.environ, inside, problems)
    api_base, api_base_at, shown = _api_base(params, model, inside, context)
    if found is None or (api_base is None and (model.is_azure or not api_base_at)):
        return None
    return Entry(
        path=path,
        model_name=item.model_name,
        model=model,
        credentials=found,
        api_base=api_base,
        api_base_at=api_base_at,
        api_base_shown=shown,
        api_version=params.api_version,
        api_version_default=api_version_default(context.environ, problems) if model.is_azure else None,
        api_version_policy=params.api_version_policy or context.general.api_version_policy,
        azure_scope=params.azure_scope or context.environ.first("AZURE_SCOPE") if model.is_azure else None,
        base_model=_chosen(
            problems, (f"{path}.model_info.base_model", info.base_model), (f"{inside}.base_model", params.base_model)
        ),
        mode=info.mode,
        id=info.id,
        resource=info.resource,
        drop_params=context.litellm.drop_params if params.drop_params is None else params.drop_params,
        additional_drop_params=tuple(params.additional_drop_params),
        allowed_openai_params=(*context.litellm.allowed_openai_params, *params.allowed_openai_params),
        speech_cache=context.general.speech_cache if params.speech_cache is None else params.speech_cache,
        order=params.order,
        weight=params.weight,
        tpm=_chosen(problems, (f"{inside}.tpm", params.tpm), (f"{path}.tpm", item.tpm)),
        rpm=_chosen(problems, (f"{inside}.rpm", params.rpm), (f"{path}.rpm", item.rpm)),
        max_parallel_requests=params.max_parallel_requests or context.router.default_max_parallel_requests,
        max_input_tokens=info.max_input_tokens,
        tags=_tags(params, inside, context),
        region=_chosen(
            problems, (f"{inside}.region_name", params.region_name), (f"{path}.model_info.region", info.region)
        ),
        provisioned=info.deployment_type == "ptu" or info.ptu_count is not None
        if info.provisioned is None
        else info.provisioned,
        hosting_since=info.hosting_since,
        cooldown_s=_chosen(
            problems,
            (f"{path}.model_info.cooldown_time", info.cooldown_time),
            (f"{inside}.cooldown_time", params.cooldown_time),
        ),
        allowed_fails=_chosen(
            problems,
            (f"{path}.model_info.allowed_fails", info.allowed_fails),
            (f"{inside}.allowed_fails", params.allowed_fails),
        ),
        timeouts=timeouts(params, context),
        pricing=pricing_of(item, info, path, problems),
        client_params=clientside.parse(
            params.configurable_clientside_auth_params, f"{inside}.configurable_clientside_auth_params", problems
        ),
    )


def _tags(params: LitellmParams, path: str, context: Context) -> tuple[str, ...]:
    if params.tags and not context.router.enable_tag_filtering:
        context.problems.warn(f"{path}.tags", "has no effect; router_settings.enable_tag_filtering is not true.")
    return tuple(params.tags)


def api_version_default(environ: Environment, problems: Problems) -> str | None:
    """AZURE_API_VERSION, checked."""
    version = environ.first("AZURE_API_VERSION")
    if version is not None and not is_api_version(version):
        problems.once("AZURE_API_VERSION", f"found another value, expected {EXPECTED_VERSION}.")
        return None
    return version


def timeouts(params: LitellmParams | None, context: Context) -> Timeouts:
    """The entry's own, else router_settings', litellm_settings', general_settings', else 600 s and 5 s.

    `stream_timeout` is LiteLLM's name for both limits of a stream; without it they are `timeout`.
    """
    total = context.router.timeout or context.litellm.request_timeout or TIMEOUT_DEFAULT_S
    general = context.general
    every = context.router.stream_timeout
    if params is None:
        return Timeouts(
            total_s=total,
            connect_s=general.connect_timeout_s,
            first_byte_s=general.first_byte_timeout_s or every or total,
            idle_s=general.idle_timeout_s or every or total,
        )
    total = params.timeout or total
    stream = params.stream_timeout
    return Timeouts(
        total_s=total,
        connect_s=params.connect_timeout_s or general.connect_timeout_s,
        first_byte_s=params.first_byte_timeout_s or stream or general.first_byte_timeout_s or every or total,
        idle_s=params.idle_timeout_s or stream or general.idle_timeout_s or every or total,
    )


def _model(params: LitellmParams, path: str, name: str, problems: Problems) -> ModelRef | None:
    provider = params.custom_llm_provider
    text = params.model
    if provider is not None and not text.startswith(f"{provider}/"):
        text = f"{provider}/{text}"
    try:
        return parse_model(text)
    except ModelStringError as error:
        if error.other_provider is None:
            problems.found(f"{path}.litellm_params.model", text, models.EXPECTED)
        else:
            problems.warn(
                path,
                f"{name} is left out: provider {error.other_provider} is not served, only Azure OpenAI and OpenAI are.",
            )
        return None


def _with_named(params: LitellmParams, path: str, context: Context) -> LitellmParams | None:
    """`params` completed by the `credential_list` item it names; what the entry writes itself wins."""
    name = params.litellm_credential_name
    if name is None:
        return params
    if name not in context.named:
        names = ", ".join(sorted(context.named)) or "none is defined"
        context.problems.found(
            f"{path}.litellm_params.litellm_credential_name", name, f"a credential_name of credential_list ({names})"
        )
        return None
    values = context.named[name]
    if values is None:
        return None
    written = {key: value for key in CredentialValues.model_fields if (value := getattr(params, key)) is not None}
    if "api_base" in written or "base_url" in written:
        values = values.model_copy(update={"api_base": None, "base_url": None})
    added = {key: value for key in CredentialValues.model_fields if (value := getattr(values, key)) is not None}
    return params.model_copy(update={**added, **written})


def _api_base(params: LitellmParams, model: ModelRef, path: str, context: Context) -> tuple[str | None, str, bool]:
    """The entry's address, where it was found and whether it may be shown; a missing one on Azure is a problem."""
    if params.api_base and params.base_url and params.api_base.rstrip("/") != params.base_url.rstrip("/"):
        context.problems.add(f"{path}.base_url", "found another value than api_base, expected only one of them.")
        return None, "", False
    written = params.api_base or params.base_url
    if written is not None:
        at = f"{path}.{'api_base' if params.api_base else 'base_url'}"
        return written, at, at not in context.references and params.litellm_credential_name is None
    for variable in ("AZURE_API_BASE",) if model.is_azure else ("OPENAI_BASE_URL", "OPENAI_API_BASE"):
        value = context.environ.first(variable)
        if value is not None:
            return value, variable, False
    if model.is_azure:
        context.problems.add(f"{path}.api_base", "is missing; write it or set AZURE_API_BASE.")
    return None, f"{path}.api_base", False


def _chosen(problems: Problems, first: tuple[str, T | None], second: tuple[str, T | None]) -> T | None:
    """The first value that is written; a warning when both are and they differ."""
    if first[1] is None:
        return second[1]
    if second[1] is not None and second[1] != first[1]:
        problems.warn(second[0], f"has no effect; {first[0]} is used.")
    return first[1]
