"""What the holder of a key is told whose budget does not reach, or whose limit is reached. Pure."""

from __future__ import annotations

from shared.callers.shares import PARALLEL, REQUESTS, TOKENS, Pot
from shared.callers.virtual_key import VirtualKey
from shared.config.pricing import PICO
from shared.errors import BudgetExceeded, RateLimited

_WHAT = {REQUESTS: "requests per minute", TOKENS: "tokens per minute", PARALLEL: "calls at once"}


def exceeded(key: VirtualKey, clock: float, left: int, amount: int | None, aside: str = "") -> BudgetExceeded:
    """`left` is not spent. `aside`: for whom it is set aside; else `amount` is what was asked for, None: anything."""
    left = max(0, left)
    ends_at = key.period(clock).ends_at
    words = [f"The budget of this API key does not reach: of {usd(key.max_budget or 0)} USD {usd(left)} are left"]
    if left and aside:
        words.append(f", and set aside for {aside}")
    words.append("." if not left or aside or amount is None else f"; this call may cost {usd(amount)}.")
    words.append(" It is not reset." if ends_at is None else f" It is reset in {_duration(ends_at - clock)}.")
    headers = {"x-spillway-key-budget-left-usd": usd(left)}
    if ends_at is not None:
        headers["x-spillway-key-budget-reset-s"] = str(max(0, round(ends_at - clock)))
    return BudgetExceeded("".join(words), headers=headers)


def limited(name: str, pot: Pot, room_s: float | None) -> RateLimited:
    """`room_s`: when there is room again, None where that is not to be told."""
    wait_ms = 1000 if room_s is None else max(100, round(room_s * 1000))
    return RateLimited(f"The limit of this API key is reached: {pot.limit} {_WHAT[name]}.", retry_after_ms=wait_ms)


def usd(amount: int) -> str:
    """Picodollars in dollars, to the millionth."""
    return f"{amount / PICO:.6f}".rstrip("0").rstrip(".")


def _duration(seconds: float) -> str:
    whole = max(0, round(seconds))
    for unit, name in ((86_400, "days"), (3600, "hours"), (60, "minutes")):
        if whole >= 2 * unit:
            return f"{whole // unit} {name}"
    return f"{whole} seconds"
