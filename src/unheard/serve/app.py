"""The application: the routes with a bundle behind them, and refusals as JSON."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

import unheard
from unheard.bundle.runtime import Bundle
from unheard.errors import MachineError, UnheardError
from unheard.serve import streams
from unheard.serve.counters import Counted, Counters
from unheard.serve.errors import RequestError
from unheard.serve.keys import Keys
from unheard.serve.limits import Gate, Limits
from unheard.serve.routes import Server, router
from unheard.serve.uploads import unnamed
from unheard.serve.voices import Voices
from unheard.serve.workers import Workers

#: Seconds from one look at expired profiles to the next.
SWEEP = 30.0


def create_app(bundle: Bundle, limits: Limits | None = None, keys: Keys | None = None) -> FastAPI:
    """Return the application that answers with a bundle.

    Parameters
    ----------
    bundle
        What answers; loaded once, and shared by all threads.
    limits
        What is taken on at most.
    keys
        Keys of those who may ask; none lets everybody.
    """
    bounds = limits or Limits()
    gate, voices = Gate(bounds), Voices(bounds)
    server = Server(
        bundle, bounds, keys or Keys(), gate, voices, Workers(bounds, gate), Counters(gate, voices)
    )

    @asynccontextmanager
    async def living(_: FastAPI) -> AsyncIterator[None]:
        sweeping = asyncio.create_task(_sweep(voices))
        try:
            yield
        finally:
            sweeping.cancel()
            await asyncio.to_thread(server.workers.close)

    app = FastAPI(
        title="unheard",
        summary="The perceived emotion of recordings of speech",
        description="Answers as the library does. Nothing that is sent is kept, but voice profiles for an hour.",
        version=unheard.__version__,
        lifespan=living,
        docs_url=None,  # these pages load their scripts from somewhere else
        redoc_url=None,
    )
    app.state.server = server
    if not len(server.keys):
        app.openapi = partial(_without_keys, app.openapi)  # type: ignore[method-assign]
    app.include_router(router)
    app.include_router(streams.router)
    app.add_exception_handler(UnheardError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _not_found)
    app.add_middleware(Counted, counters=server.counters)
    return app


def _without_keys(describe: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return a description in which no key is asked for, as none is."""
    described = describe()
    for methods in described["paths"].values():
        for operation in methods.values():
            operation.pop("security", None)
    return described


async def _sweep(voices: Voices) -> None:
    while True:
        await asyncio.sleep(SWEEP)
        voices.forget()


async def _refused(_: Request, error: Exception) -> Response:
    status, headers = 422, {}
    if isinstance(error, RequestError):
        status = error.status
        if error.retry_after is not None:
            headers["Retry-After"] = str(error.retry_after)
        if status == 401:
            headers["WWW-Authenticate"] = "Bearer"
    elif isinstance(error, MachineError):
        status = 503
    return JSONResponse({"detail": unnamed(str(error))}, status, headers)


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    said = [f"{each['loc'][-1]}: {each['msg']}" for each in error.errors()[:5]]
    return JSONResponse({"detail": "; ".join(said)}, 422)


async def _not_found(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"detail": str(error.detail)}, error.status_code, error.headers)
