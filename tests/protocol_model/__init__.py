"""A model of the sync, small enough to be run through tens of thousands of random histories.

`postgres` and `elasticsearch` are what the two servers promise, reduced to what the protocol uses; `simulation` holds
both, and the writes in flight between them: they arrive late, twice, or are rejected in part. The processes are
generators: `writers` change the tables as the platform does, `workers` keep the indices in step as
`indexer.feed.batch` does, `rebuilds` create new indices, roll back to old ones and drop them as
`indexer.rebuild.reindex`, `rollback` and `retention` do. What stands between two `yield`s happens at once; at each
`yield` any other process may run, or this one may die.

`scheduler.run(seed)` runs them in a random order, kills some, suspends others, lets time pass, and then waits until
all is quiet; the seed decides everything. The promises, checked all the time:

- a departure that the outbox doesn't name is in every index that is in use, or kept for a rollback, as in Postgres;
- no departure goes back to an earlier version in such an index, so that a deleted one doesn't return;
- the alias points at an index that exists; and when all is quiet a reindex leaves no other behind.

`protocol.Rules` are the protocol, one field for each of its rules. Without any of them some history breaks a promise:
the tests look for it, which also shows that the model can fail.
"""
