"""The model image: who owns which row, how columns are encoded, and every check of a loaded file."""
