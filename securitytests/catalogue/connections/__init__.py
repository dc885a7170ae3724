"""Connection checks: slots, and that each comes back."""
