"""Names of the backends in messages that clients read."""

from schemas.messages.message import Message

DATABASE_LABEL = Message("database")
REDIS_LABEL = Message("redis")
SEARCH_INDEX_LABEL = Message("search_index")
JOB_QUEUE_LABEL = Message("job_queue")
