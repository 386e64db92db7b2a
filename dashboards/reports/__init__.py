"""The report of a diagnosis: one content in French or English, as PDF (typst), HTML and JSON.

`content` says everything in words and figures, `paper` and `page` set it; the same data give the same bytes.
"""
