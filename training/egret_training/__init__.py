"""Training of sparse event-based recurrent networks (EGRU) for Egret's kernel.

data (Penn Treebank) -> model of egru layers -> train -> pruning -> quantized_model -> export.
Needs torch and brevitas (the extra `training` of pyproject.toml); what it exports needs NumPy alone.
"""
