"""Revalidation checks: a token that ends while its connection lives."""
