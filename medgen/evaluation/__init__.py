"""What was done to an image, measured: pure functions of arrays, every data range demanded."""
