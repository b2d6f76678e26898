"""From export files to Histories: reading, checking, quarantine, and the store."""
