"""Fits and judges the models; the middle floor."""
