"""Effects of help: stored by the command, read by pages and plans; the draw by lot at the edge of capacity."""
