"""MACs on paper against cycles on the machine."""
