"""Lay out pictures in a sheet, with a line of text below each, as a small JPEG for the documentation."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

WIDTH, GAP, TEXT = 400, 4, 13  # pixels


def write_sheet(path: Path, pictures: Sequence[tuple[str, Path]], columns: int) -> None:
    """Write a JPEG sheet 400 pixels wide, filled row by row.

    Args:
        path: the JPEG to write.
        pictures: text and file of each picture; all are resized to the width of a column.
        columns: number of pictures in a row.

    """
    font = ImageFont.load_default(TEXT - 2)
    width = (WIDTH - (columns - 1) * GAP) // columns
    tiles = []
    for text, file in pictures:
        with Image.open(file) as picture:
            height = round(width * picture.height / picture.width)
            tiles.append((text, picture.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)))
    row = max(tile.height for _, tile in tiles) + TEXT + GAP
    sheet = Image.new("RGB", (WIDTH, row * -(-len(tiles) // columns) - GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for i, (text, tile) in enumerate(tiles):
        left, top = i % columns * (width + GAP), i // columns * row
        sheet.paste(tile, (left, top))
        draw.text((left + width // 2, top + tile.height), text, "black", font, anchor="ma")
    sheet.save(path, quality=80)
