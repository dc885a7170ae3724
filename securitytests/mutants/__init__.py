"""Seeded flaws: the reference monitor with exactly one defence removed or subtly wrong.

A mutant is one small function in a module here. It names what it patches as text, so that reading
the list of mutants loads nothing of the monitor; only the process of a mutant does
(`python -m securitytests.mutants NAME -- SERVE ARGUMENTS`). See docs/writing-checks.md.
"""
