"""The sample service with OpenTelemetry alone: contrib FastAPI and GenAI OpenAI instrumentation, traces and metrics."""

from __future__ import annotations

from fastapi import FastAPI
from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from tollmeter.cli.sample.service import ServiceSettings, create_app


def create_otel_app() -> FastAPI:
    """The service, with the spans of send and receive off: the contrib instrumentation at its leanest."""
    tracers = TracerProvider()
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(tracers)
    metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())]))
    OpenAIInstrumentor().instrument()
    app = create_app(ServiceSettings(instrumented=False))
    FastAPIInstrumentor.instrument_app(app, exclude_spans=["send", "receive"])
    return app
