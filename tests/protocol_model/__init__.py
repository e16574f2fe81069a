"""A model of the sync protocol, small enough to run through tens of thousands of random schedules.

`postgres` and `elasticsearch` provide what the two servers guarantee, reduced to what the protocol uses. `simulation`
has both, and the bulk requests in flight between them: they arrive late, twice, or are rejected in part. The processes
are generators: `writers` change the tables, `workers` keep the indices in sync as `indexer.feed.batch` does, `rebuilds`
create new indices, roll back to old ones and drop them as `indexer.rebuild.reindex`, `rollback` and `retention` do.
Code between two `yield`s is atomic; at each `yield` any other process may run, or this one may die.

`scheduler.run(seed)` runs the processes in random order, kills some, suspends others, advances time, and then waits
until nothing is left to do; the seed decides everything. The invariants, checked after every step that matters:

- a departure that the outbox does not name is as in Postgres, in the live index and in the previous one;
- no departure goes back to an earlier version in these indices, so that a deleted one does not return;
- the alias points to an existing index; and at the end a reindex leaves no other index behind.

`protocol.Rules` has a field for each rule of the protocol. Without any one of them some schedule violates an
invariant: the tests search for it, which also proves that the model can fail.
"""
