"""Transport checks: TLS where it is due."""
