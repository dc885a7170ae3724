"""Idle checks: who says nothing is let go, who says something is not."""
