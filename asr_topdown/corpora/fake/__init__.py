"""Miniature copies of licensed corpora, in their exact form on disc, with invented sentences in them.

A development tool: recipes for corpora that one has not got are run and tested on these.
"""
