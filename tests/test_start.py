"""How the commands start: what they import, and how OpenMP's threads wait."""

import gc
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from nstyle import __main__ as commands
from nstyle.commands.importing import importing_torch

ROOT = Path(__file__).parent.parent
HOW_THREADS_WAIT = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


@pytest.fixture(autouse=True)
def _no_wait_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in HOW_THREADS_WAIT:
        monkeypatch.setenv(name, "")  # so that it is restored in the end, even if the command sets it
        monkeypatch.delenv(name)


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )


def test_a_painting_of_jpegs_imports_no_library_that_it_does_not_need(tmp_path: Path) -> None:
    """Half of the start was spent on scipy.stats and its like."""
    words = (
        "--model filters --max-long-edge 32 --max-num-epochs 2 --save-epochs 1 --remove-noise 0 --quiet --output-dir"
    )
    flags = [*words.split(), str(tmp_path / "o")]
    done = run_python(f"""
        import gc, sys
        from nstyle.commands.paint import main
        code = main({flags!r})
        unneeded = {{"skimage", "scipy.stats", "scipy.optimize", "scipy.spatial", "PIL.TgaImagePlugin"}}
        print(code, sorted(unneeded & sys.modules.keys()), gc.isenabled(), gc.get_freeze_count() > 100_000)
    """)
    assert done.stdout == "0 [] True True\n", done
    assert {"e_1.jpg", "final.jpg"} <= {path.name for path in (tmp_path / "o").iterdir()}


def test_the_garbage_collector_does_not_wait_if_torch_is_there() -> None:
    assert "torch" in sys.modules
    frozen = gc.get_freeze_count()
    with importing_torch():
        assert gc.isenabled()
    assert gc.get_freeze_count() == frozen


def test_the_garbage_collector_works_again_if_an_import_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch")
    with suppress(ImportError), importing_torch():
        assert not gc.isenabled()
        raise ImportError
    assert gc.isenabled()


@pytest.mark.parametrize("command", [commands.paint, commands.view])
def test_the_commands_let_waiting_threads_sleep(command: Callable[[], int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["nstyle", "--version"])
    with pytest.raises(SystemExit):
        command()
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"


@pytest.mark.parametrize("name", HOW_THREADS_WAIT)
def test_the_environment_decides_how_threads_wait(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "7")
    commands.let_waiting_threads_sleep()
    assert {each: os.environ.get(each) for each in HOW_THREADS_WAIT} == {
        each: "7" if each == name else None for each in HOW_THREADS_WAIT
    }


def test_the_library_leaves_the_environment_alone() -> None:
    assert run_python("import os, nstyle; nstyle.stylize; print('OMP_WAIT_POLICY' in os.environ)").stdout == "False\n"


@pytest.mark.skipif(not list(Path(torch.__file__).parent.glob("lib/libgomp*")), reason="only GCC's OpenMP tells")
def test_openmp_reads_the_setting_when_torch_is_imported() -> None:
    def spins(line: str) -> set[str]:
        """Return how many times a thread looks before it sleeps, as OpenMP tells."""
        done = run_python(f"from nstyle import __main__ as nstyle; {line}; import torch", OMP_DISPLAY_ENV="VERBOSE")
        return set(re.findall(r"GOMP_SPINCOUNT = '(\d+)'", done.stderr))

    assert spins("pass") == {"300000"}
    assert spins("nstyle.let_waiting_threads_sleep()") == {"0"}
