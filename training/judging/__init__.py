"""Judges models: folds, rivals, figures, audits, the search, backtests. It changes no model."""
