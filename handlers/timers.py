"""What runs by the clock. Timers scale apart from HTTP, and never run when the app starts."""

import azure.functions as func

from shared import gateway
from shared.hosting import BATCH_SCHEDULE, schedule

blueprint = func.Blueprint()


@blueprint.function_name("sweep")
@blueprint.timer_trigger(schedule="30 * * * * *", arg_name="timer", run_on_startup=False)
async def sweep(timer: func.TimerRequest) -> None:
    """Closes and counts the ledger, settles background responses that have ended, removes what is old."""
    await gateway.current().sweep()


@blueprint.function_name("batches")
@blueprint.timer_trigger(schedule=schedule(BATCH_SCHEDULE, "0 * * * * *"), arg_name="timer", run_on_startup=False)
async def batches(timer: func.TimerRequest) -> None:
    """Moves batches on, once a minute; what it does not come to in four minutes, the next run does."""
    await gateway.current().batches.run()


@blueprint.function_name("fine_tuning")
@blueprint.timer_trigger(schedule="45 * * * * *", arg_name="timer", run_on_startup=False)
async def fine_tuning(timer: func.TimerRequest) -> None:
    """Moves fine-tuning jobs on, once a minute, and enters what those that have ended cost."""
    await gateway.current().tuning.run()
