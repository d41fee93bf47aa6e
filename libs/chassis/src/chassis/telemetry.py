"""Logs as JSON, traces over OTLP, metrics for Prometheus."""

import logging
import re
import sys
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

import orjson
import structlog
from opentelemetry import propagate, trace
from opentelemetry.context import Context

Logger = structlog.typing.FilteringBoundLogger
tracer = trace.get_tracer("chassis")

_SECRET_KEY = re.compile(r"token|password|secret|authorization|api_key|cookie", re.IGNORECASE)
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+:[^/@\s]+(?=@)")


def logger(name: str) -> Logger:
    """Return a logger; it may be made at import, the set-up is looked up at the first line."""
    log: Logger = structlog.get_logger(module=name)
    return log


def setup_logs(service: str, level: str) -> None:
    """Write one JSON object per line to stderr, records of the standard library included."""
    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    steps = _steps(service)
    structlog.configure(
        processors=[*steps, structlog.processors.JSONRenderer(serializer=_dumps)],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=_StderrFactory(),
        cache_logger_on_first_use=False,
    )


def setup_foreign_logs(service: str, level: str) -> None:
    """Bring the records of the standard library, from warnings on, into the same shape."""
    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_logger_name, *_steps(service)],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(serializer=_dumps),
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=max(number, logging.WARNING), force=True)


def _steps(service: str) -> list[Any]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_trace(service),
        structlog.processors.format_exc_info,
        _redact,
    ]


class _StderrFactory:
    """Looks sys.stderr up for each logger: tests and supervisors replace it."""

    def __call__(self, *_: Any) -> structlog.PrintLogger:
        return structlog.PrintLogger(sys.stderr)


def hide_row(error: BaseException | None) -> None:
    """Take out of a database error what it tells of the row that was refused: customers wrote it."""
    while error is not None:
        texts = (each.partition("\nDETAIL:")[0] if isinstance(each, str) else each for each in error.args)
        error.args = tuple(texts)
        if isinstance(getattr(error, "detail", None), str):
            error.detail = None  # type: ignore[attr-defined]
        error = error.__cause__ or error.__context__


def setup_traces(service: str, endpoint: str | None) -> Callable[[], None]:
    """Send spans to an OTLP/HTTP collector; returns what ends it. Without an endpoint spans cost nothing."""
    if not endpoint:
        return lambda: None
    # The exporter takes a while to import, and most desks have no collector.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    provider = TracerProvider(resource=Resource.create({"service.name": f"tickdesk-{service}"}))
    # A short timeout: with no collector the last flush must not outlive the drain.
    exporter = OTLPSpanExporter(endpoint=endpoint.rstrip("/") + "/v1/traces", timeout=2)
    provider.add_span_processor(BatchSpanProcessor(exporter, export_timeout_millis=2000))
    trace.set_tracer_provider(provider)
    return provider.shutdown


def inject(headers: MutableMapping[str, str]) -> None:
    """Add the W3C trace context of this moment to outgoing headers."""
    propagate.inject(headers)


def extract(headers: Mapping[str, str]) -> Context:
    """Read the W3C trace context out of incoming headers."""
    return propagate.extract(headers)


def _dumps(value: Any, default: Any = None, **_: Any) -> str:
    return orjson.dumps(value, default=default or str, option=orjson.OPT_NON_STR_KEYS).decode()


def _add_trace(service: str) -> Any:
    def add(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["service"] = service
        span = trace.get_current_span().get_span_context()
        if span.is_valid:
            event["trace_id"] = format(span.trace_id, "032x")
            event["span_id"] = format(span.span_id, "016x")
        return event

    return add


def _redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if _SECRET_KEY.search(key) and value:
            event[key] = "***"
        elif isinstance(value, str) and "://" in value:
            event[key] = _CREDENTIALS.sub("***", value)
    return event
