"""Checks for errors by their attributes, not by their messages."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nstyle.errors import Kind, NStyleError


@contextmanager
def refuses(
    error: type[NStyleError], *, kind: Kind, path: Path | None = None, flag: str | None = None
) -> Iterator[pytest.ExceptionInfo[NStyleError]]:
    """Check that the block raises this error, with a one-line message and exactly these attributes."""
    with pytest.raises(error) as refused:
        yield refused
    raised = refused.value
    assert (raised.kind, raised.path, raised.flag) == (kind, path, flag), str(raised)
    assert "\n" not in str(raised)
