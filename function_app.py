"""The FunctionApp: registers the blueprints of handlers/, and loads beside them what the first call needs."""

import azure.functions as func

from handlers import blueprints
from shared import gateway, warmup

plan = gateway.check()
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
for blueprint in blueprints():
    app.register_functions(blueprint)
loading = warmup.start(plan)
