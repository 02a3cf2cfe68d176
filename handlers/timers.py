"""What runs by the clock. Timers scale apart from HTTP, and never run when the app starts."""

import azure.functions as func

from shared import gateway

blueprint = func.Blueprint()


@blueprint.function_name("responses_background")
@blueprint.timer_trigger(schedule="30 * * * * *", arg_name="timer", run_on_startup=False)
async def responses_background(timer: func.TimerRequest) -> None:
    """Records background responses that have ended, once a minute."""
    await gateway.current().settle_background()
