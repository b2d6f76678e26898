"""Backup and restore of a whole home, and the commands for them."""
