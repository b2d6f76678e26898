"""What a person's page shows: records, timeline, what-if, words for a conversation."""
