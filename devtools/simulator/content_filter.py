"""Azure's content filter: what triggers it here, and the shapes in which it reports.

A prompt that contains `<category>-trigger` (`hate`, `self_harm`, `sexual`, `violence`, `jailbreak`) is filtered;
the directive `[[sim filter]]` filters as a jailbreak, `[[sim filter=output]]` filters the answer halfway.
"""

from __future__ import annotations

from typing import Any

SEVERITIES = ("hate", "self_harm", "sexual", "violence")
TRIGGER = "-trigger"


def categories(filtered: str | None = None) -> dict[str, Any]:
    """The four graded categories, all safe but the filtered one."""
    return {
        name: {"filtered": name == filtered, "severity": "medium" if name == filtered else "safe"}
        for name in SEVERITIES
    }


def of_prompt(filtered: str | None = None) -> dict[str, Any]:
    """The results for a prompt: the categories and jailbreak detection."""
    hit = filtered == "jailbreak"
    return categories(filtered) | {"jailbreak": {"filtered": hit, "detected": hit}}


def of_completion(filtered: str | None = None) -> dict[str, Any]:
    """The results for a whole answer: the categories and protected material."""
    clean = {"filtered": False, "detected": False}
    return categories(filtered) | {"protected_material_code": clean, "protected_material_text": clean}


def triggered(prompt: str) -> str | None:
    """The category that filters this prompt."""
    if TRIGGER not in prompt:
        return None
    return next((name for name in (*SEVERITIES, "jailbreak") if name + TRIGGER in prompt), None)


PROMPT_RESULTS: list[dict[str, Any]] = [{"prompt_index": 0, "content_filter_results": of_prompt()}]
"""`prompt_filter_results` of a prompt that passed."""
