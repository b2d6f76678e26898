"""Versions of the score store's tables; serving.database runs them at start."""
