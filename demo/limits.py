"""How much a request may hold, counted while it comes in, whether or not it tells its length."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fastapi import HTTPException

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class TooLarge(HTTPException):
    """A request's body is larger than any that can be answered."""

    def __init__(self, bytes_max: int):
        super().__init__(413, f"a request holds at most {bytes_max} bytes")


class BodyLimit:
    """An application that reads no more of a request's body than `bytes_max`; where there is more, `TooLarge`."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]], bytes_max: int):
        self.app, self.bytes_max = app, bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        left = self.bytes_max

        async def counted() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise TooLarge(self.bytes_max)
            return message

        await self.app(scope, counted, send)
