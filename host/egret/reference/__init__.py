"""The integer model in NumPy, bit for bit what every kernel computes."""
