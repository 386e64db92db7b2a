"""The diagnosis of machines and links over an interval: figures, losses, trends, coverage, and what they point at.

`subject` holds what is looked at, the modules of `rules` look at it, `table` lists the rules with their words, and
`diagnosis` puts all together from a file or from a store. Nothing here draws, and nothing here knows a language: rules
give figures, words stand beside them in both languages (see `table`).
"""
