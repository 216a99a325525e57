"""The Redis backend: many machines over a Redis or Valkey server."""

from clawproof_langgraph.backends.redis.backend import RedisBackend

__all__ = ["RedisBackend"]
