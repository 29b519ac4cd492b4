"""The parts of check_hls.py: reading C++ as the synthesiser sees it, the table of directives, the checks."""
