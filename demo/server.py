"""The page's server: static files, what there is to choose, and speech."""

import base64
import math
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, ConfigDict, Field

from demo.limits import BodyLimit, TooLarge
from demo.studio import Studio, Wish
from stages.core.errors import UserError
from stages.core.params.strict import SEED_MAX
from stages.core.speaking.prompts import PROMPT_BYTES_MAX

PAGE = Path(__file__).parent / "page"
TEXT_CHARACTERS_MAX = 5000
PROMPT_CHARACTERS_MAX = 4 * math.ceil(PROMPT_BYTES_MAX / 3)
BODY_BYTES_MAX = PROMPT_CHARACTERS_MAX + 100_000
"""A prompt in base64, and more than the longest text takes in JSON: twelve bytes a character."""

POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
          "media-src 'self' data:")
HOSTS = ["127.0.0.1", "localhost"]  # a name of elsewhere that is made to lead here is refused


class Asked(BaseModel):
    """A request for speech."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(max_length=TEXT_CHARACTERS_MAX)
    model: str
    voice: str = ""
    prompt: str = Field(default="", max_length=PROMPT_CHARACTERS_MAX)
    seed: int = Field(ge=0, le=SEED_MAX)


def create_app(studio: Studio) -> FastAPI:
    """The application; it asks nothing of other machines, and has no pages of its own that would."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(BodyLimit, bytes_max=BODY_BYTES_MAX)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=HOSTS)
    app.middleware("http")(add_policy)
    app.add_exception_handler(UserError, tell_user_error)
    app.add_exception_handler(TooLarge, tell_too_large)
    app.add_exception_handler(RequestValidationError, tell_wrong_request)

    @app.get("/choices")
    def choices() -> dict[str, Any]:
        return {"models": studio.models, "voices": list(studio.voices), "seed": studio.config.seed,
                "characters_max": TEXT_CHARACTERS_MAX}

    @app.get("/voices/{name}")
    def voice(name: str) -> Response:
        if name not in studio.voices:
            return JSONResponse({"error": f"no voice {name!r}"}, 404)
        return FileResponse(studio.voices[name])

    @app.post("/speech")
    def speech(asked: Asked) -> dict[str, Any]:
        began = time.monotonic()
        said = studio.say(Wish(**asked.model_dump()))
        return {"audio": base64.b64encode(said.wav()).decode(), "duration_seconds": said.duration_seconds,
                "text_read": said.text_read, "cut": said.cut, "silent": said.silent,
                "took_seconds": time.monotonic() - began}

    app.mount("/", StaticFiles(directory=PAGE, html=True))
    return app


async def add_policy(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Let the page load nothing but its own."""
    response = await call_next(request)
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def tell_user_error(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 400)


def tell_too_large(_: Request, error: Exception) -> Response:
    assert isinstance(error, TooLarge)
    return JSONResponse({"error": error.detail}, error.status_code)


def tell_wrong_request(_: Request, error: Exception) -> Response:
    problems = error.errors() if isinstance(error, RequestValidationError) else []
    told = "; ".join(f"{'.'.join(map(str, problem['loc'][1:]))}: {problem['msg']}" for problem in problems)
    return JSONResponse({"error": told}, 422)
