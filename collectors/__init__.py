"""What the plant says: each collector turns the words of a machine or link into samples and puts them.

To add a collector: one package or module with its config section (`kind: Literal["…"]`, `build(plant, health)`) and
its class, and one name in the union in `sections`. A section imports its protocol library inside `build`.
"""
