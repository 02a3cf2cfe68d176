"""Two independent books held against each other: the ledger, and the bill that the simulated Azure writes.

mix     what is asked: calls of every operation, streamed and not
load    who asks: clients that read to the end, or leave
books   how the books are compared, with list prices of its own
stage   the processes: storage, simulator, hosts that may be killed
audits  the three of them, for the bench and for the tests
batches the audit of batches, with its files (batch_files) and its books (batch_books)
"""
