"""The served models: champions, promotion, and their monitor."""
