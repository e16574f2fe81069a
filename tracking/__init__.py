"""What travellers did, from the stream in Redis into Postgres; and what is made of it there, by the clock."""
