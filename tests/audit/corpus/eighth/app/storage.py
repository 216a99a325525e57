import json
import os
import tempfile
from pathlib import Path

from app.settings import get_settings


def data_path(name: str) -> Path:
    path = Path(get_settings().data_dir) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def load_json(name: str, default):
    path = data_path(name)
    if not path.exists():
        return default
    return json.loads(path.read_text(encoding="utf-8"))


def save_json(name: str, value) -> None:
    path = data_path(name)
    fd, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        with os.fdopen(fd, "w", encoding="utf-8") as handle:
            json.dump(value, handle, indent=2)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def append_line(name: str, line: str) -> None:
    with data_path(name).open("a", encoding="utf-8") as handle:
        print(line, file=handle)
