"""Audio."""

import azure.functions as func

from handlers.http import answer
from handlers.routes import trigger
from shared.hosting import Request, Response
from shared.operations.table import AUDIO_SPEECH, AUDIO_SPEECH_RETRIEVE, AUDIO_TRANSCRIPTIONS, AUDIO_TRANSLATIONS

blueprint = func.Blueprint()


@trigger(blueprint, AUDIO_SPEECH)
async def audio_speech(request: Request) -> Response:
    return await answer(AUDIO_SPEECH, request)


@trigger(blueprint, AUDIO_SPEECH_RETRIEVE)
async def audio_speech_retrieve(request: Request) -> Response:
    return await answer(AUDIO_SPEECH_RETRIEVE, request)


@trigger(blueprint, AUDIO_TRANSCRIPTIONS)
async def audio_transcriptions(request: Request) -> Response:
    return await answer(AUDIO_TRANSCRIPTIONS, request)


@trigger(blueprint, AUDIO_TRANSLATIONS)
async def audio_translations(request: Request) -> Response:
    return await answer(AUDIO_TRANSLATIONS, request)
