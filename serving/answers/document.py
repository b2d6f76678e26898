"""The API's document (/openapi.json): what FastAPI tells of the routes, with sign-in, problems, permissions, ETags."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, iter_route_contexts

from serving.access.caller import HEADER, Needs
from serving.access.roles import PERMISSIONS, PERMISSIONS_OF, Permission
from serving.answers.problems import PROBLEM_SCHEMA, Kind

ALWAYS = (Kind.SIGN_IN, Kind.FORBIDDEN, Kind.TOO_MANY, Kind.OURS)
"""Problems that any call of a signed-in caller may meet."""
WITH_BODY = (Kind.MALFORMED, Kind.TOO_LARGE, Kind.INVALID)
DESCRIPTION = """Early warning of efficiency decline and burnout: it offers help, it never punishes.

**Sign-in.** Programs send `Authorization: Bearer jx_...` (the administrator makes tokens: hashed, scoped, they end);
browsers have a cookie, and send `X-CSRF-Token` with every write. **Who sees what** depends on the role; what may not be
known is answered like what does not exist. **Problems** are RFC 9457 documents. **Lists** come a page at a time: give
`next_cursor` as `cursor`. **Unchanged answers**: send `If-None-Match` with the `ETag`, get 304. **Writes** take an
`Idempotency-Key`: sent twice, they are done once. **Limits**: 429 with `Retry-After`."""


def document(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document; it holds no personal data and is made once."""
    if app.openapi_schema is None:
        found = get_openapi(
            title=app.title, version=app.version, summary=app.summary, description=DESCRIPTION, routes=app.routes
        )
        parts = found.setdefault("components", {})
        parts.setdefault("schemas", {})["Problem"] = PROBLEM_SCHEMA
        parts["securitySchemes"] = {
            "token": {"type": "http", "scheme": "bearer", "description": "For programs."},
            "browser": {"type": "apiKey", "in": "cookie", "name": "jingxing", "description": "For people."},
        }
        needed = _permissions(app)
        for path, method, call in _calls(found):
            _complete(call, method, needed.get((method, path), Permission.OPEN))
        for unused in ("HTTPValidationError", "ValidationError"):
            parts["schemas"].pop(unused, None)
        app.openapi_schema = found
    return app.openapi_schema


def _complete(call: dict[str, Any], method: str, permission: Permission) -> None:
    """Add to a call what all have in common."""
    answers: dict[str, Any] = call["responses"]
    kinds = list(ALWAYS) if permission is not Permission.OPEN else [Kind.FORBIDDEN, Kind.OURS]
    if "requestBody" in call:
        kinds += WITH_BODY
    if call.get("parameters"):
        kinds += [Kind.INVALID]
    answers.pop("422", None) if "HTTPValidationError" in str(answers.get("422")) else None
    for kind in kinds:
        answers.setdefault(str(kind.status), _problem(kind))
    if permission is not Permission.OPEN:
        call["security"] = [{"token": []}, {"browser": []}]
        roles = [role.value for role, may in PERMISSIONS_OF.items() if permission in may]
        told = f"Needs `{permission.value}`: {PERMISSIONS[permission]} Roles: {', '.join(roles)}."
        call["description"] = f"{call.get('description', '')}\n\n{told}".strip()
    if method == "get" and permission is not Permission.OPEN:
        answers.setdefault("304", {"description": "Not changed since the ETag given in If-None-Match."})
        answers["200"].setdefault("headers", {})["ETag"] = {"schema": {"type": "string"}}
    if method != "get":
        by_cookie = {"name": HEADER, "in": "header", "required": False, "schema": {"type": "string"}}
        call.setdefault("parameters", []).append(by_cookie | {"description": "For browsers signed in by cookie."})


def _problem(kind: Kind) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": kind.title("en"), "content": content}


def _calls(found: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in found["paths"].items():
        for method, call in methods.items():
            yield path, method, call


def _permissions(app: FastAPI) -> dict[tuple[str, str], Permission]:
    found: dict[tuple[str, str], Permission] = {}
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if isinstance(route, APIRoute):
            needed = [each.call.permission for each in route.dependant.dependencies if isinstance(each.call, Needs)]
            found |= {(method.lower(), context.path or ""): each for each in needed for method in route.methods or ()}
    return found
