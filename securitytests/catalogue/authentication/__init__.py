"""Authentication checks, each of the ways a service offers."""
