"""Reads what completions and embeddings take: a text, several, or token ids."""

from __future__ import annotations

from dataclasses import dataclass

from devtools.simulator import errors
from devtools.simulator.prompts import Prompt, text_tokens


@dataclass(frozen=True, slots=True)
class Text:
    """One prompt or input; of token ids it is a text of as many words."""

    text: str
    tokens: int

    @property
    def prompt(self) -> Prompt:
        """The same as the model's prompt."""
        return Prompt(self.text, self.text, self.tokens, answers_tools=False)


def texts(value: object, name: str) -> list[Text]:
    """The texts of a string, an array of strings, of token ids or of arrays of these; raises AzureError 400."""
    if isinstance(value, str):
        return [Text(value, text_tokens(value))]
    if isinstance(value, list) and value:
        if all(isinstance(item, str) for item in value):
            return [Text(item, text_tokens(item)) for item in value]
        if _token_ids(value):
            return [_of_token_ids(value)]
        if all(_token_ids(item) for item in value):
            return [_of_token_ids(item) for item in value]
    raise errors.invalid_request(
        f"Invalid type for '{name}': expected a string, or a non-empty array of strings, of token ids, or of arrays "
        "of token ids.",
        name,
        "invalid_type",
    )


def _token_ids(value: object) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(item, int) and not isinstance(item, bool) for item in value)
    )


def _of_token_ids(ids: list[int]) -> Text:
    return Text(" ".join(f"t{token}" for token in ids), len(ids))
