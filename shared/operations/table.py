"""Every operation: the one table behind routes, spellings and docs."""

from __future__ import annotations

from shared.operations import responses, responses_stored
from shared.operations.audio import SPEECH, TRANSCRIPTION, TRANSLATION
from shared.operations.chat import CHAT
from shared.operations.completions import COMPLETION
from shared.operations.doctor import doctor
from shared.operations.embeddings import EMBEDDING
from shared.operations.health_report import liveliness, readiness, report
from shared.operations.images import EDIT, GENERATION
from shared.operations.key_routes import KEY_OPERATIONS
from shared.operations.metrics import metrics
from shared.operations.models import list_models, retrieve_model
from shared.operations.operation import Operation
from shared.operations.speech import retrieve as retrieve_speech
from shared.operations.table_batches import BATCH_OPERATIONS
from shared.operations.table_files import FILE_OPERATIONS
from shared.operations.table_fine_tuning import FINE_TUNING_OPERATIONS
from shared.operations.table_spend import SPEND_OPERATIONS

CHAT_COMPLETIONS = Operation(
    name="chat_completions",
    method="POST",
    path="chat/completions",
    summary="Chat, streamed or whole, with tools, vision and structured outputs",
    deployment_scoped=True,
    proxied=CHAT,
)
COMPLETIONS = Operation(
    name="completions",
    method="POST",
    path="completions",
    summary="Text completion, streamed or whole, for instruct models",
    deployment_scoped=True,
    proxied=COMPLETION,
)
EMBEDDINGS = Operation(
    name="embeddings",
    method="POST",
    path="embeddings",
    summary="Embeddings of strings or tokens, as floats or base64",
    deployment_scoped=True,
    proxied=EMBEDDING,
)
IMAGES_GENERATIONS = Operation(
    name="images_generations",
    method="POST",
    path="images/generations",
    summary="Images from a prompt, whole or streamed with partial images",
    deployment_scoped=True,
    proxied=GENERATION,
)
IMAGES_EDITS = Operation(
    name="images_edits",
    method="POST",
    path="images/edits",
    summary="Images from images and a prompt, whole or streamed with partial images",
    deployment_scoped=True,
    proxied=EDIT,
)
AUDIO_SPEECH = Operation(
    name="audio_speech",
    method="POST",
    path="audio/speech",
    summary="Speech from text, streamed as it is made",
    deployment_scoped=True,
    proxied=SPEECH,
)
AUDIO_SPEECH_RETRIEVE = Operation(
    name="audio_speech_retrieve",
    method="GET",
    path="audio/speech/{id}",
    summary="Speech that was made, once more",
    serve=retrieve_speech,
)
AUDIO_TRANSCRIPTIONS = Operation(
    name="audio_transcriptions",
    method="POST",
    path="audio/transcriptions",
    summary="Text from speech, whole or streamed, in every format",
    deployment_scoped=True,
    proxied=TRANSCRIPTION,
)
AUDIO_TRANSLATIONS = Operation(
    name="audio_translations",
    method="POST",
    path="audio/translations",
    summary="English text from speech",
    deployment_scoped=True,
    proxied=TRANSLATION,
)
RESPONSES_CREATE = Operation(
    name="responses_create",
    method="POST",
    path="responses",
    summary="A response, whole, streamed or in the background",
    proxied=responses.CREATE,
)
RESPONSES_COMPACT = Operation(
    name="responses_compact",
    method="POST",
    path="responses/compact",
    summary="A conversation, made shorter",
    proxied=responses.COMPACT,
)
RESPONSES_INPUT_TOKENS = Operation(
    name="responses_input_tokens",
    method="POST",
    path="responses/input_tokens",
    summary="How many tokens a request's input is",
    proxied=responses.INPUT_TOKENS,
)
RESPONSES_RETRIEVE = Operation(
    name="responses_retrieve",
    method="GET",
    path="responses/{id}",
    summary="A response, or its stream once more",
    proxied=responses_stored.RETRIEVE,
)
RESPONSES_DELETE = Operation(
    name="responses_delete",
    method="DELETE",
    path="responses/{id}",
    summary="Deletes a response",
    proxied=responses_stored.DELETE,
)
RESPONSES_CANCEL = Operation(
    name="responses_cancel",
    method="POST",
    path="responses/{id}/cancel",
    summary="Cancels a response in the background",
    proxied=responses_stored.CANCEL,
)
RESPONSES_INPUT_ITEMS = Operation(
    name="responses_input_items",
    method="GET",
    path="responses/{id}/input_items",
    summary="What a response was made from",
    proxied=responses_stored.INPUT_ITEMS,
)
MODELS_LIST = Operation(
    name="models_list", method="GET", path="models", summary="The models of the configuration", serve=list_models
)
MODELS_RETRIEVE = Operation(
    name="models_retrieve", method="GET", path="models/{*id}", summary="One model", serve=retrieve_model
)
ROUTER_EXPLAIN = Operation(
    name="router_explain",
    method="POST",
    path="router/explain",
    summary="Where a chat request would go now and why not elsewhere; nothing is sent",
    explains=CHAT,
    master=True,
)
METRICS = Operation(
    name="metrics",
    method="GET",
    path="metrics",
    root="",
    summary="Counters of this instance, as Prometheus reads them",
    serve=metrics,
    master=True,
)
HEALTH = Operation(
    name="health",
    method="GET",
    path="health",
    root="",
    summary="Every deployment, checked by what it is for; `?model=` for one",
    serve=report,
    master=True,
)
HEALTH_DOCTOR = Operation(
    name="health_doctor",
    method="GET",
    path="health/doctor",
    root="",
    summary="The configuration against reality, and what to do; nothing is billed",
    serve=doctor,
    master=True,
)
HEALTH_LIVELINESS = Operation(
    name="health_liveliness",
    method="GET",
    path="health/liveliness",
    root="",
    aliases=("health/liveness",),
    summary="The app answers; no key is needed",
    serve=liveliness,
    open=True,
)
HEALTH_READINESS = Operation(
    name="health_readiness",
    method="GET",
    path="health/readiness",
    root="",
    summary="The app takes calls, or 503; no key is needed",
    serve=readiness,
    open=True,
)

OPERATIONS: tuple[Operation, ...] = (
    CHAT_COMPLETIONS,
    COMPLETIONS,
    EMBEDDINGS,
    IMAGES_GENERATIONS,
    IMAGES_EDITS,
    AUDIO_SPEECH,
    AUDIO_SPEECH_RETRIEVE,
    AUDIO_TRANSCRIPTIONS,
    AUDIO_TRANSLATIONS,
    RESPONSES_CREATE,
    RESPONSES_COMPACT,
    RESPONSES_INPUT_TOKENS,
    RESPONSES_RETRIEVE,
    RESPONSES_DELETE,
    RESPONSES_CANCEL,
    RESPONSES_INPUT_ITEMS,
    *FILE_OPERATIONS,
    *BATCH_OPERATIONS,
    *FINE_TUNING_OPERATIONS,
    MODELS_LIST,
    MODELS_RETRIEVE,
    ROUTER_EXPLAIN,
    *KEY_OPERATIONS,
    METRICS,
    HEALTH,
    HEALTH_DOCTOR,
    HEALTH_LIVELINESS,
    HEALTH_READINESS,
    *SPEND_OPERATIONS,
)
