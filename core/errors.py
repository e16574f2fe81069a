"""What servers that are down, slow or refusing make of an operation. Anything else that rises is a bug."""

from elasticsearch import ApiError, TransportError
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

BACKEND_ERRORS = (SQLAlchemyError, OSError, ApiError, TransportError, RedisError)
