"""What is told of calls: a line in the log, counters for Prometheus, spans and metrics for OpenTelemetry."""

from shared.telemetry.record import CallRecord, Listener, Tried, call_asked, call_ended, call_refused

__all__ = ["CallRecord", "Listener", "Tried", "call_asked", "call_ended", "call_refused"]
