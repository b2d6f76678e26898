"""The scored lists: made, kept, read, compared and exported."""
