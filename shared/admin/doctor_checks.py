"""What the configuration alone tells: prices, models that retire, alternates that are none, and settings that miss."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from datetime import date

from shared.admin.findings import Finding
from shared.catalog import prices
from shared.catalog.retirements import retires_on
from shared.config.entry import Entry
from shared.upstream.deployment import Deployment

NEAR_DAYS = 90
SKEW_S_MAX, SKEW_S_BROKEN = 30.0, 300.0
"""Storage and Entra refuse what is signed by a clock that is 5 to 15 minutes off."""
Pair = tuple[Entry, Deployment]


def subject_of(entry: Entry, deployment: Deployment) -> str:
    """An entry by its place, its public name and its deployment."""
    return f"{entry.label} {deployment.name}"


def priced(pair: Pair) -> Finding:
    """Whether what is spent on a deployment is known."""
    entry, deployment = pair
    subject = subject_of(entry, deployment)
    if entry.is_wildcard:
        return Finding("price", "ok", subject, "a wildcard's deployments are priced by their names when they are asked")
    if deployment.price.unpriced:
        return Finding(
            "price",
            "warning",
            subject,
            f"what is spent on it is not known: {_why_unpriced(deployment)}",
            "Set model_info.base_model to its model, such as azure/gpt-4o, or input_cost_per_token and "
            "output_cost_per_token; until then it is in no report and no budget.",
        )
    source = deployment.price.model or deployment.price.source
    return Finding("price", "ok", subject, f"priced as {source} {deployment.price.deployment_type}".rstrip())


def retiring(pair: Pair, today: date) -> Finding | None:
    """A model that Azure has retired or soon will."""
    entry, deployment = pair
    day = retires_on(deployment.base_model or deployment.name) if deployment.provider != "openai" else None
    if day is None or (day - today).days > NEAR_DAYS:
        return None
    when = f"was to be retired on {day}" if day <= today else f"is retired on {day}, in {(day - today).days} days"
    return Finding(
        "retirement",
        "warning",
        subject_of(entry, deployment),
        f"{deployment.base_model or deployment.name} {when}",
        "Deploy its successor and point the entry at it; Azure moves such dates, so check the portal's model page.",
    )


def shared_quotas(pairs: Sequence[Pair]) -> list[Finding]:
    """Alternates of one model whose quota is one: Azure grants it for a subscription, region, model and type.

    Two deployments of one resource certainly share it. Two resources of one region do so when they are of one
    subscription, which the configuration does not tell. Provisioned throughput belongs to its deployment.
    """
    groups: dict[tuple[str, str, str], list[Pair]] = {}
    for entry, deployment in pairs:
        model = prices.named(deployment.base_model or deployment.name).name
        if not (deployment.provisioned or entry.is_wildcard or deployment.provider == "openai"):
            key = entry.model_name, model, entry.pricing.deployment_type or ""
            groups.setdefault(key, []).append((entry, deployment))
    found: list[Finding] = []
    for group in groups.values():
        found += _sharing(group, lambda one: one.resource_id, "are of one resource and", "they")
        each = list({pair[1].resource_id: pair for pair in reversed(group)}.values())
        found += _sharing(each, _region, "are in one region and", "within one subscription they")
    return found


def skewed(skews: Sequence[float]) -> Finding | None:
    """How far this machine's clock is from those of the resources; None when none of them told."""
    if not skews:
        return None
    skew = sorted(skews)[len(skews) // 2]
    if abs(skew) < SKEW_S_MAX:
        return Finding("clock", "ok", "this machine", "its clock agrees with those of the resources")
    return Finding(
        "clock",
        "error" if abs(skew) >= SKEW_S_BROKEN else "warning",
        "this machine",
        f"its clock is {abs(skew):.0f} seconds {'behind' if skew > 0 else 'ahead'}",
        "Set it by NTP: tokens and storage requests of a clock that is minutes off are refused.",
    )


def monitored(environ: Mapping[str, str], installed: Callable[[str], bool] | None = None) -> Finding | None:
    """Azure Monitor that is switched on and not installed: the worker says so once in its log and goes on without."""
    found = installed or _installed
    if environ.get("PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY", "").strip().lower() not in {"true", "1"}:
        return None
    if found("azure.monitor.opentelemetry"):
        return Finding("telemetry", "ok", "PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY", "Azure Monitor is installed")
    return Finding(
        "telemetry",
        "warning",
        "PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY",
        "is on, but azure-monitor-opentelemetry is not installed: nothing is exported",
        "Add azure-monitor-opentelemetry to requirements.txt, or remove the setting.",
    )


def _why_unpriced(deployment: Deployment) -> str:
    if deployment.base_model is not None:
        return f"the price book has no {deployment.base_model}"
    return "it has no base_model, and its name is no model's"


def _sharing(group: Sequence[Pair], key: Callable[[Deployment], str | None], why: str, who: str) -> list[Finding]:
    alike: dict[str, dict[str, Pair]] = {}
    for pair in group:
        same = key(pair[1])
        if same is not None:
            alike.setdefault(same, {}).setdefault(pair[1].id, pair)
    return [
        Finding(
            "quota",
            "warning",
            " and ".join(subject_of(*pair) for pair in some.values()),
            f"{why} serve one model: {who} share one quota, so that none helps when another is full",
            "Move one to another region or subscription, or make it provisioned; or raise the quota of one alone.",
        )
        for some in alike.values()
        if len(some) > 1
    ]


def _region(deployment: Deployment) -> str | None:
    return None if deployment.region is None else deployment.region.lower().replace(" ", "")


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
