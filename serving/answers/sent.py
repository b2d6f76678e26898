"""JSON bodies that are read in the route's own thread: on the event loop a large one would hold everybody up."""

from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar, get_args

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, GetCoreSchemaHandler, ValidationError, ValidatorFunctionWrapHandler
from pydantic_core import CoreSchema, core_schema

Model = TypeVar("Model", bound=BaseModel)


class Text(bytes):
    """The bytes of a body that says that it is JSON."""


class Sent(Generic[Model]):
    """A body that nobody has read yet; in the API's document it is its model. Its route is a ReadHere."""

    def __init__(self, model: type[Model], text: bytes) -> None:
        self.model, self.text = model, text

    def read(self) -> Model:
        """Return what was sent; where it is not what the model asks for, FastAPI's own error tells each mistake."""
        try:
            return self.model.model_validate_json(self.text)
        except ValidationError as error:
            faults = error.errors(include_url=False, include_input=False)
            raise RequestValidationError([{**fault, "loc": ("body", *fault["loc"])} for fault in faults]) from None

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        (model,) = get_args(source)

        def taken(given: Any, validate: ValidatorFunctionWrapHandler) -> Any:
            return cls(model, given) if isinstance(given, Text) else validate(given)

        return core_schema.no_info_wrap_validator_function(taken, handler(model))


class ReadHere(APIRoute):
    """A route whose JSON body reaches it as it was sent."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return FastAPI's own handler, given a request that does not read JSON."""
        handle = super().get_route_handler()

        async def unread(request: Request) -> Response:
            return await handle(_Unread(request.scope, request.receive))

        return unread


class _Unread(Request):
    async def json(self) -> Any:
        return Text(await self.body())
