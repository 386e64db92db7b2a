"""Peers on the wire that know the truth. They import nothing of collectors or pipeline."""
