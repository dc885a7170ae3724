"""The documentation pipeline: real work on real files, reported to a monitor as it happens.

A demonstration of `monitor.client`, used as any user's program would use it, and the source of
the trace the load is made of. What each phase does stands in docs/pipeline.md.
"""
