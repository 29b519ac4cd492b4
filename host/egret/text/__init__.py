"""Words to tokens and back, and text that a terminal can take."""
