"""A force in parts: officers in blocks, each made into features by a worker, the figures of all added up between."""
