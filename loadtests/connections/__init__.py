"""One WebSocket client without I/O: its bytes in and out, in the clear or over TLS."""
