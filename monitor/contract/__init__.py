"""What every part of the project shares: words, profiles, claims, evidence.

A leaf: it imports the standard library and msgspec, and nothing of ours. Judges, reports and
the monitor meet here and nowhere else.
"""
