"""Runs checks against a target and concludes: brackets, verdicts, schedule, evidence."""
