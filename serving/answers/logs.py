"""The service's log: one JSON object a line on stderr. It holds no value of a person: templates, types and places."""

import datetime as dt
import json
import logging
import traceback
from typing import Any

OURS = "serving"
TOLD = "told"
"""The attribute of a record that holds its figures: ``log.info("...", extra={TOLD: {...}})``."""


class JsonLines(logging.Formatter):
    """Formats a record as a JSON object; of others' records the template without its values, of errors no message."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        ours = record.name == OURS or record.name.startswith(f"{OURS}.")
        line: dict[str, Any] = {
            "at": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "from": record.name,
            "event": record.getMessage() if ours else str(record.msg),
            **getattr(record, TOLD, {}),
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            line["frames"] = [
                f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(record.exc_info[2])
            ]
        return json.dumps(line, ensure_ascii=False)


def config(level: str = "INFO") -> dict[str, Any]:
    """Return the logging configuration of the running service, as logging.config.dictConfig takes it."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": {"()": "serving.answers.logs.JsonLines"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines"}},
        "root": {"level": "WARNING", "handlers": ["stderr"]},
        "loggers": {OURS: {"level": level}, "uvicorn": {"level": "WARNING"}},
    }
