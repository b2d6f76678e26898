"""What the monitor measures: drift, coverage of the data, performance. Statistics only; no file, no SQL, no words."""
