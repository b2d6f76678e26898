"""The JSON API under /api/v1: one route, one query, one answer each."""
