"""The web pages: one route, one query, one template each. They read SQL and run no model."""
