"""Making a trained network smaller: calibration, int8, and the arithmetic of the result."""
