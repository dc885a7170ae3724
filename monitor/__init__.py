"""The reference monitor: a WebSocket server that broadcasts pipeline events."""
