"""Folders as runs leave them, made without painting anything."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

from pictures import painted

from nstyle.files import sha256
from nstyle.settings.config import Config

COLUMNS = (
    *("epoch", "relative_change", "learning_rate", "gradient_norm", "loss", "content_loss"),
    *("style_loss_relu1_1", "style_loss_relu5_1", "seconds"),
)


def csv_line(epoch: int) -> str:
    """The line of an epoch, counted from 0."""
    fading = math.exp(-epoch / 20)
    numbers = [
        epoch,
        fading,
        0.001,
        6e8 * fading,
        5e13 * fading,
        4e11,
        5e13 * fading,
        2e8 * fading,
        0.5 * (epoch + 1),
    ]
    return ",".join(map(str, numbers)) + "\n"


def write_record(folder: Path, **changes: Any) -> None:
    """Write `run.json`, or change some of what it says."""
    path = folder / "run.json"
    record = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(record | changes, default=str))


def fake_run(
    folder: Path,
    *,
    epochs: int = 12,
    save_epochs: int = 3,
    stop_reason: str = "epochs",
    size: tuple[int, int] = (48, 32),
    image_format: str = "jpg",
    content: Path | None = None,
    **settings: Any,
) -> Path:
    """Make the folder of a run that has done so many epochs; its originals lie beside it, if not elsewhere."""
    folder.mkdir(parents=True, exist_ok=True)
    width, height = size
    content = content or folder.parent / f"{folder.name[:8]} content.png"
    style = folder.parent / "waves.png"
    painted(height, width, seed=1).save(content)
    painted(40, 40, seed=2).save(style)
    told = {"content_image": content, "style_image": style, "output_dir": folder, "image_format": image_format}
    told |= {"save_epochs": save_epochs, "max_num_epochs": 20}
    write_record(
        folder,
        settings=dataclasses.asdict(Config()) | told | settings,
        inputs={
            name: {"path": str(path.resolve()), "sha256": sha256(path)}
            for name, path in (("content_image", content), ("style_image", style))
        },
        weights={"path": "/somewhere/vgg19.bin", "sha256": "0", "original": True},
        size=list(size),
        device="cpu",
        device_name="a processor",
        precision="float32",
        versions={"nstyle": "0.1.0"},
        started="2026-01-02T03:04:05+00:00",
        stop_reason=stop_reason,
        epochs=0 if stop_reason == "running" else epochs,
        seconds=0.25,  # since it was resumed
    )
    (folder / "epochs.csv").write_text(",".join(COLUMNS) + "\n" + "".join(map(csv_line, range(epochs))))
    for epoch in range(save_epochs, epochs + 1, save_epochs):
        painted(height, width, seed=10 + epoch).save(folder / f"e_{epoch}.{image_format}")
    if stop_reason != "running":
        painted(height, width, seed=9).save(folder / f"final.{image_format}")
    return folder


def fake_batch(folder: Path, **settings: Any) -> Path:
    """Make the folder of a batch of two pairs, each with a run's folder and its finished picture."""
    for name in ("cat_waves", "dog_waves"):
        fake_run(folder / name, content=folder.parent / f"{name}.png", **settings)
        (folder / f"{name}.jpg").write_bytes((folder / name / "final.jpg").read_bytes())
    return folder


def finish_run(folder: Path, epochs: int) -> None:
    """Have a run end that was running."""
    painted(32, 48, seed=9).save(folder / "final.jpg")
    write_record(folder, stop_reason="epochs", epochs=epochs)


def advance_run(folder: Path, epochs: int, to: int, save_epochs: int = 3) -> None:
    """Have a run that has done so many epochs do more."""
    with (folder / "epochs.csv").open("a") as file:
        file.writelines(map(csv_line, range(epochs, to)))
    for epoch in range(epochs + 1, to + 1):
        if epoch % save_epochs == 0:
            painted(32, 48, seed=10 + epoch).save(folder / f"e_{epoch}.jpg")
