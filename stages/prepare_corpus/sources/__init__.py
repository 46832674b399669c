"""Adapters: each reads one layout of corpora into utterances.

An adapter is a file with the model of its params, told by its `kind`, and `read`, which gives utterances and rejected
rows one by one as the corpus holds them, in an order that stays when rows are added at its end.
"""
