"""The fuzzer itself: it reads every valid file, is reproducible, and reports finds."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "scripts" / "fuzz.py"


def fuzz(*flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, *flags], capture_output=True, text=True)


def test_damaged_files_of_every_format_are_read_or_refused(tmp_path: Path) -> None:
    done = fuzz("--count", "300", "--save", str(tmp_path / "finds"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "finds: 0" in done.stdout
    assert "300 mutated files" in done.stdout
    assert not (tmp_path / "finds").exists()


CRASHING = """
import os, sys, time
from pathlib import Path
sys.path.insert(0, {folder!r})
import fuzz

def reader(path):
    if not Path({done!r}).exists():  # once is enough
        Path({done!r}).touch()
        {body}

fuzz.READERS["read_picture"] = (reader, "picture")
if __name__ == "__main__":
    sys.exit(fuzz.main())
"""


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ("raise ValueError('oh')", "ValueError: oh"),
        ("os._exit(3)", "the process died: 3"),
        ("time.sleep(30)", "TooSlowError"),
        ("bytearray(b'x' * 400_000_000)", "GB"),
    ],
)
def test_what_goes_wrong_is_reported_and_saved(body: str, outcome: str, tmp_path: Path) -> None:
    script, finds = tmp_path / "crashing.py", tmp_path / "finds"
    script.write_text(CRASHING.format(folder=str(SCRIPT.parent), done=str(tmp_path / "done"), body=body))
    flags = ("--count", "3", "--reader", "read_picture", "--seconds", "1", "--memory", "0.2", "--save", str(finds))
    done = subprocess.run([sys.executable, script, *flags], capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    assert outcome in done.stdout
    assert list(finds.iterdir())
