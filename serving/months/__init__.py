"""The month as a run: lists made and published, notices, past lists computed again."""
