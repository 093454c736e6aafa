"""Miniature copies of licensed corpora in their exact form on disc, with invented sentences.

A development tool, to run and test recipes without the corpora.
"""
