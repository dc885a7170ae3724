"""Leak checks: what must never reach a stream, a log, a metric or an error."""
