"""A faithful Azure OpenAI for a laptop: several resources on one port, their limits, faults and bill.

`http://127.0.0.1:9100/<resource>` is an `api_base`. `/_sim/*` controls it (control.py), `[[sim ...]]` in a prompt
directs the model (directives.py). It shares no code with the gateway that it tests.
"""

from devtools.simulator.app import Simulator, create_app
from devtools.simulator.client import ControlClient
from devtools.simulator.server import run

__all__ = ["ControlClient", "Simulator", "create_app", "run"]
