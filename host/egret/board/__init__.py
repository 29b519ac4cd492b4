"""A board: which ones there are, the kernel's driver, and a session that runs a model on it."""
