"""The framework's own empty JSON route, as FastAPI's first page has it: what the list route is measured against."""

from fastapi import FastAPI

app = FastAPI()


@app.get("/")
async def root() -> dict[str, str]:
    """Return nothing."""
    return {}
