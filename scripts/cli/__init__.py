"""The commands of `wsproof`, one module a group; each registers itself on `app`.

A module here imports the room it serves inside its functions, so that every command starts fast.
"""
