"""The security gate: one function a check."""
