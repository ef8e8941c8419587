"""Parquet files of large tables, written in less than a third of the time Arrow's writer takes.

A table of hops has over a hundred columns, most of which say the same for all hops of a packet, or
nothing at all. Arrow's writer looks at each value of each; here runs of equal values are found
first: 5 million hops take 1.7 s of a processor instead of 5.9 s, in a file a tenth larger. Arrow
reads the files, and writes those of types that this does not know.
"""
