"""A tile of officers walks through the months: everything of a feature row, compiled."""
