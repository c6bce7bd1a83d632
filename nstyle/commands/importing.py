"""Import PyTorch, and what needs it, faster: the garbage collector waits meanwhile."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing_torch() -> Iterator[None]:
    """Import without garbage collection, and then exempt from it what was imported.

    Imports create half a million objects, nearly all of which stay. The collector would look through them again and
    again, which took a tenth of the time to the first epoch. If PyTorch is there already, this does nothing.
    """
    if "torch" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()
