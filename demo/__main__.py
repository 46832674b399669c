"""A page to type Amharic and listen: http://127.0.0.1:7860, for this machine alone.

python -m demo [--port 7860]

    data/export, data/checkpoints/*    what speaks: the exported model, or the checkpoint of a phase
    data/corpus                        whose voice: held-out recordings, or a file that is chosen on the page

Nothing is written but a phase's weights in the layout of an export, for as long as they are being loaded.
"""

import argparse
import socket
import sys

import uvicorn

from demo.server import create_app
from demo.studio import Studio
from stages.core.errors import UserError
from stages.core.params.command import run_command

ADDRESS = "127.0.0.1"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=7860, help="0 takes a free one")
    options = parser.parse_args()
    app = create_app(Studio())
    with listen(options.port) as listening:
        print(f"http://{ADDRESS}:{listening.getsockname()[1]}  (stop with Ctrl-C)", flush=True)
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])
    return 0


def listen(port: int) -> socket.socket:
    """A socket on the loopback, which other machines do not reach.

    Raises:
        UserError: the port is taken or there is none of that number.
    """
    try:
        return socket.create_server((ADDRESS, port))
    except (OSError, OverflowError) as error:
        raise UserError(f"--port: {port} cannot be had ({error}); name another") from None


if __name__ == "__main__":
    sys.exit(run_command(main))
