"""Imports go strictly downwards: each module imports from lower floors only, and never what it must not know."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "nstyle"

FLOORS = {
    "errors": 0,
    "command": 1,
    "files": 1,
    "functional": 1,
    "layers": 1,
    "model_space": 1,
    "devices": 1,
    "registry": 1,
    "colour": 1,
    "recent": 1,
    "config": 2,
    "images": 2,
    "color_transfer": 2,
    "patches": 2,
    "optimizers": 2,
    "winograd": 1,
    "packed": 1,
    "vgg19": 2,
    "mxnet_params": 2,
    "jobs": 3,
    "sweep": 4,
    "sweep_sheet": 6,
    "framing": 3,
    "masks": 3,
    "picture_files": 3,
    "terms": 3,
    "weights": 3,
    "objective": 4,
    "descent": 4,
    "recipe": 4,
    "models": 5,
    "saved_state": 5,
    "run_folder": 5,
    "record": 5,
    "finishing": 4,
    "filter_bank": 6,
    "session": 6,
    "preparation": 7,
    "sinks": 6,
    "coarse_to_fine": 8,
    "pipeline": 9,
    "batch": 10,
    "cluster": 11,
    "cli": 12,
    "__main__": 13,
    "view.runs": 3,
    "view.album": 4,
    "view.films": 5,
    "view.page": 6,
    "view.publish": 7,
    "view.cli": 8,
}
NEVER = {
    "config": {"torch", "argparse"},
    "layers": {"torch", "argparse"},
    "registry": {"torch", "argparse"},
    "functional": {"nstyle.config", "nstyle.files", "logging", "pathlib"},
    "images": {"pathlib", "PIL"},
    "colour": {"torch", "pathlib", "logging"},
    "color_transfer": {"torch", "skimage", "PIL"},
    "framing": {"torch"},
    "masks": {"torch"},
    "finishing": {"nstyle.config", "nstyle.files"},
    "picture_files": {"torch", "nstyle.config", "nstyle.vgg19", "nstyle.descent"},
    "terms": {"nstyle.config", "nstyle.files", "nstyle.vgg19"},
    "vgg19": {"nstyle.images", "nstyle.config"},
    "weights": {"nstyle.images", "nstyle.picture_files", "nstyle.config"},
    "patches": {"nstyle.config", "nstyle.files", "nstyle.vgg19"},
    "objective": {"nstyle.files", "nstyle.descent", "nstyle.optimizers", "nstyle.vgg19"},
    "optimizers": {"logging", "nstyle.files", "nstyle.config"},
    "models": {"nstyle.config", "nstyle.images", "nstyle.descent"},
    "descent": {"logging", "nstyle.files", "nstyle.objective"},
    "sinks": {"nstyle.objective", "nstyle.vgg19", "nstyle.cli"},
    "preparation": {"argparse", "nstyle.descent", "nstyle.sinks"},
    "jobs": {"torch", "argparse", "logging"},
    "sweep": {"torch", "argparse", "logging"},
    "sweep_sheet": {"torch"},
    "pipeline": {"argparse"},
    "batch": {"argparse"},
    "cluster": {"argparse", "torch"},
    "cli": {"nstyle.functional", "nstyle.descent", "nstyle.vgg19"},
    **{f"view.{module}": {"torch"} for module in ("runs", "album", "films", "page", "publish", "cli")},
}


def imports(module: str) -> set[str]:
    """The full names of all modules that a module imports when it runs, wherever in it."""
    tree = ast.parse((PACKAGE / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8"))
    tree.body = [
        node for node in tree.body if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
    ]
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: say it in full"
            whole = node.module or ""
            is_package = (PACKAGE.parent / whole.replace(".", "/")).is_dir() and whole.split(".")[0] == "nstyle"
            names |= {f"{whole}.{alias.name}" for alias in node.names} if is_package else {whole}
    return names


def test_every_module_has_a_floor() -> None:
    modules = {".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in PACKAGE.rglob("*.py")}
    assert modules == {*FLOORS, "__init__", "view.__init__"}


@pytest.mark.parametrize("module", FLOORS)
def test_imports_go_strictly_downwards(module: str) -> None:
    for name in imports(module):
        if name.startswith("nstyle.") and name != "nstyle.__version__":
            assert FLOORS[name.removeprefix("nstyle.")] < FLOORS[module], f"{module} imports {name}"


@pytest.mark.parametrize("module", NEVER)
def test_no_module_imports_what_it_must_not_know(module: str) -> None:
    assert not {name for name in imports(module) if name in NEVER[module] or name.split(".")[0] in NEVER[module]}
