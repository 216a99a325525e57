"""The Redis backend: many machines over a Redis or Valkey server."""

from clawproof_langgraph.backends.redis.backend import RedisBackend
from clawproof_langgraph.backends.redis.replicas import ReplicatedRedisBackend

__all__ = ["RedisBackend", "ReplicatedRedisBackend"]
