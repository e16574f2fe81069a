"""A model of the sync, small enough to be run through tens of thousands of random histories.

`postgres` and `elasticsearch` are what the two servers promise, reduced to what the protocol uses; `world` holds both,
and the writes that are under way between them: they come late, twice, or are refused in part. The processes are
generators: `writers` change the tables as the platform does, `workers` keep the indices in step as indexer.batch does,
`rebuilds` make new indices, go back to old ones and drop them as indexer.reindex, indexer.rollback and
indexer.housekeeping do. What stands between two `yield`s happens at once; at each `yield` any other process may go on,
or this one may die.

`schedule.run(seed)` lets them run in a random order, kills some, makes others stand still, lets time pass, and then
waits until all is quiet; the seed decides everything. The promises, checked all the time:

- a departure that the outbox doesn't name is in every index that is in use, or kept for a rollback, as in Postgres;
- no departure goes back to an earlier version in such an index, so that a deleted one doesn't return;
- the alias points at an index that exists; and when all is quiet a reindex leaves no other behind.

`rules.Rules` are the protocol, one field for each of its rules. Without any of them some history breaks a promise: the
tests look for it, which also shows that the model can fail.
"""
