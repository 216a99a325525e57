"""Which store is meant, for whoever opens one: no more of a file is read than that, and only where it has a say."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from clawproof_langgraph.config.document import located


@dataclass(frozen=True, slots=True)
class StoreTerms:
    """Which store is meant.

    Args:
        url: None for the project's own file.
        namespace: in it.
        start: the folder of the file, in or above which the project is; None for the present one.
    """

    url: str | None
    namespace: str
    start: Path | None = None


def store_terms(
    url: str | None = None, namespace: str | None = None, config: str | os.PathLike[str] | None = None
) -> StoreTerms:
    """Find which store is meant, as `precedence` has it.

    Args:
        url, namespace: what was given; None if nothing.
        config: the file that is meant; None finds it.

    Raises:
        ConfigurationError: the file is named and does not exist, is no TOML, or says something else of the store.
    """
    url = url if url is not None else os.environ.get("CLAWPROOF_URL") or None
    namespace = namespace if namespace is not None else os.environ.get("CLAWPROOF_NAMESPACE") or None
    if url is not None and namespace is not None:
        return StoreTerms(url, namespace)
    file = located(config)
    said = _said_in(file) if file is not None else (None, None)
    start = None if file is None else file.absolute().parent
    return StoreTerms(url if url is not None else said[0], namespace or said[1] or "default", start)


def _said_in(file: Path) -> tuple[str | None, str | None]:
    from clawproof_langgraph.config.reading import store_named_in  # where there is no file, nobody pays for it

    return store_named_in(file)
