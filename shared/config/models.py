"""Model strings: `azure/<deployment>` and its kin, taken apart into provider, family and deployment name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Provider = Literal["azure", "azure_text", "openai"]
Family = Literal["o_series", "gpt5_series", "responses"]

EXPECTED = (
    "azure/<deployment>, azure/o_series/<deployment>, azure/gpt5_series/<deployment>, azure/responses/<deployment>, "
    "azure_text/<deployment>, azure/*, openai/<model> or the bare name of an OpenAI model"
)
# LiteLLM's other providers: an entry for one of these is left out with a warning, so that a mixed file still loads.
# Any other prefix is an error, because it may be a misspelt `azure/`.
_OTHER_PROVIDERS = """
    ai21 aiml aleph_alpha anthropic anyscale azure_ai baseten bedrock bedrock_converse cerebras clarifai
    claude cloudflare codestral cohere cohere_chat custom_openai dashscope databricks datarobot deepgram
    deepinfra deepseek elevenlabs fireworks_ai friendliai galadriel gemini github github_copilot gigachat
    groq hosted_vllm huggingface hyperbolic infinity jina_ai lambda_ai litellm_proxy llamafile lm_studio
    meta_llama mistral moonshot morph nebius nlp_cloud novita nscale nvidia_nim oci ollama ollama_chat
    oobabooga openai_like openrouter perplexity petals predibase recraft replicate sagemaker sagemaker_chat
    sambanova snowflake text-completion-codestral text-completion-openai together_ai topaz triton v0
    vercel_ai_gateway vertex_ai vertex_ai_beta vllm voyage watsonx watsonx_text xai xinference
"""
OTHER_PROVIDERS = frozenset(_OTHER_PROVIDERS.split())

_FAMILIES: dict[str, Family] = {"o_series": "o_series", "gpt5_series": "gpt5_series", "responses": "responses"}
_DEPLOYMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MODEL_CHARS_MAX = 256


class ModelStringError(ValueError):
    """Not a model string; `other_provider` names the provider when it is one of LiteLLM's that is not served."""

    def __init__(self, text: str, other_provider: str | None = None) -> None:
        super().__init__(text)
        self.other_provider = other_provider


@dataclass(frozen=True, slots=True)
class ModelRef:
    """One upstream model. `deployment` is the Azure deployment, or the model's name at OpenAI.

    A wildcard keeps one `*` in `deployment`; it never reaches a URL, `Entry.match` fills it first.
    """

    provider: Provider
    deployment: str
    family: Family | None = None

    @property
    def is_azure(self) -> bool:
        return self.provider != "openai"

    @property
    def is_wildcard(self) -> bool:
        return "*" in self.deployment


def valid_deployment_name(name: str) -> bool:
    """Whether `name` may stand in an upstream path: one letter or digit, then up to 63 of `A-Z a-z 0-9 . _ -`."""
    return _DEPLOYMENT.fullmatch(name) is not None


def parse_model(text: str) -> ModelRef:
    """`text` taken apart; ModelStringError when it has no known shape or its deployment name is not valid."""
    prefix, slash, rest = text.partition("/")
    if not slash:
        return _openai(text)
    if prefix == "openai":
        return _openai(rest)
    if prefix == "azure_text":
        return ModelRef("azure_text", _deployment(rest))
    if prefix != "azure":
        raise ModelStringError(text, prefix if prefix in OTHER_PROVIDERS else None)
    head, slash, tail = rest.partition("/")
    if slash and head in _FAMILIES:
        return ModelRef("azure", _deployment(tail), _FAMILIES[head])
    return ModelRef("azure", _deployment(rest))


def _deployment(name: str) -> str:
    stand_in = name.replace("*", "x", 1)
    if not valid_deployment_name(stand_in):
        raise ModelStringError(name)
    return name


def _openai(name: str) -> ModelRef:
    if not 0 < len(name) <= _MODEL_CHARS_MAX or not name.isprintable() or " " in name or name.count("*") > 1:
        raise ModelStringError(name)
    return ModelRef("openai", name)
