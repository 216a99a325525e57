from functools import lru_cache

from pydantic_settings import BaseSettings


class Settings(BaseSettings):
    crm_url: str = "https://crm.example.com/api"
    crm_token: str = ""
    data_dir: str = "var/data"
    queue_url: str = "https://sqs.eu-west-1.amazonaws.com/1/jobs"
    mail_host: str = "smtp.example.com"
    redis_url: str = "redis://localhost:6379/0"


@lru_cache
def get_settings() -> Settings:
    return Settings()
