"""The risk model itself: boosters, calibration, intervals, evidence, reasons and how they are told."""
