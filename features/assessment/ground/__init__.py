"""What every practice of the assessment stands on: the wall, the cells, the indicators, the windows, the levels."""
