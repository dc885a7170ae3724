"""The checks: one function in one file or a few kindred ones together, found by looking.

See docs/writing-checks.md.
"""
