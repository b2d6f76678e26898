"""The registry: MLflow, its gate, its chained history, impact assessments."""
