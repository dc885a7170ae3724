"""Handshake checks: who may open a WebSocket, and what is a handshake at all."""
