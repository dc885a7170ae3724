"""Side channels: what a service tells by how it refuses."""
