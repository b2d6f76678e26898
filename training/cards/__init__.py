"""The model card: one HTML file and one JSON, from the card stored with a model. Fits nothing."""
