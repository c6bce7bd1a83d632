"""How the commands start: what they import, and how OpenMP's threads wait."""

import gc
import os
import re
import subprocess
import sys
import textwrap
from contextlib import suppress
from pathlib import Path

import pytest
import torch

import nstyle
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


def test_the_commands_handle_ctrl_c_before_they_import_anything() -> None:
    """Ctrl-C while the settings were imported showed a traceback."""
    done = run_python("""
        import sys
        before = set(sys.modules)
        import nstyle.__main__
        print(sorted(name for name in set(sys.modules) - before if name.startswith("nstyle")))
    """)
    assert done.stdout == "['nstyle', 'nstyle.__main__']\n"


@pytest.mark.parametrize("command", ["paint", "view"])
def test_ctrl_c_while_the_settings_are_imported_is_one_line(command: str) -> None:
    done = run_python(f"""
        import sys
        from importlib.abc import MetaPathFinder

        class Interrupting(MetaPathFinder):
            def find_spec(self, name, path, target=None):
                if name == "nstyle.errors":
                    raise KeyboardInterrupt

        sys.meta_path.insert(0, Interrupting())
        from nstyle.__main__ import {command}
        print({command}())
    """)
    assert done.stdout == "130\n"
    assert done.stderr == f"nstyle{'-view' if command == 'view' else ''}: error: interrupted\n"


def test_every_public_name_can_be_imported() -> None:
    assert {"Config", "NStyleError", "stylize", "__version__"} <= set(dir(nstyle))
    assert [name for name in dir(nstyle) if getattr(nstyle, name, None) is None] == []
    with pytest.raises(AttributeError, match="Rembrandt"):
        nstyle.__getattr__("Rembrandt")


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


def test_the_command_lets_waiting_threads_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["nstyle", "--version"])
    with pytest.raises(SystemExit):
        commands.paint()
    assert os.environ["GOMP_SPINCOUNT"] == str(commands.SPINS)


@pytest.mark.parametrize("name", HOW_THREADS_WAIT)
def test_the_environment_decides_how_threads_wait(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "7")
    commands.let_waiting_threads_sleep()
    assert {each: os.environ.get(each) for each in HOW_THREADS_WAIT} == {
        each: "7" if each == name else None for each in HOW_THREADS_WAIT
    }


def test_the_library_leaves_the_environment_alone() -> None:
    assert run_python("import os, nstyle; nstyle.stylize; print('GOMP_SPINCOUNT' in os.environ)").stdout == "False\n"


@pytest.mark.skipif(not list(Path(torch.__file__).parent.glob("lib/libgomp*")), reason="only GCC's OpenMP tells")
def test_openmp_reads_the_setting_when_torch_is_imported() -> None:
    def spins(line: str) -> set[str]:
        """Return how many times a thread looks before it sleeps, as OpenMP tells."""
        done = run_python(f"from nstyle import __main__ as nstyle; {line}; import torch", OMP_DISPLAY_ENV="VERBOSE")
        return set(re.findall(r"GOMP_SPINCOUNT = '(\d+)'", done.stderr))

    assert spins("pass") == {"300000"}
    assert spins("nstyle.let_waiting_threads_sleep()") == {str(commands.SPINS)}
