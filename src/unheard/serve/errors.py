"""Refusals that are answers of their own over HTTP: each knows its status, and when to try again."""

from __future__ import annotations

from typing import ClassVar

from unheard.errors import UnheardError


class RequestError(UnheardError):
    """A request that is not answered, for a reason that is the client's or the moment's."""

    status: ClassVar[int] = 400
    #: Seconds after which the same request may be answered; None where it never will be.
    retry_after: int | None = None


class MalformedError(RequestError):
    """The body is not what its header says, or ends early."""


class UnknownKeyError(RequestError):
    """No such key among those who may ask."""

    status = 401


class MissingError(RequestError):
    """There is nothing by that name, or it is somebody else's."""

    status = 404


class SlowBodyError(RequestError):
    """The body did not arrive in time."""

    status = 408


class TooLargeError(RequestError):
    """The body is larger than the server takes."""

    status = 413


class WrongTypeError(RequestError):
    """The body is of a type that is not taken."""

    status = 415


class BusyError(RequestError):
    """The server has as much to do as it takes on."""

    status = 429

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NoAnswerError(RequestError):
    """The answer was not there in time."""

    status = 503
    retry_after = 10
