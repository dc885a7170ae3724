"""Operations checks: what whoever runs the service is told of attacks on it."""
