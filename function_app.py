"""The FunctionApp: registers the blueprints of handlers/ and nothing else."""

import azure.functions as func

from handlers import blueprints
from shared import gateway

gateway.check()
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
for blueprint in blueprints():
    app.register_functions(blueprint)
