"""What is made from hls/kernel.json, one module per language."""
