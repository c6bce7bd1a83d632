"""Compare looks: paint a fixed set of pairs with any settings, measure the paintings, and make blind sheets of them.

  python scripts/looks.py paint OUT --painter fast="--preset fast" --painter slow="--max-num-epochs 300"
  python scripts/looks.py measure OUT
  python scripts/looks.py sheets OUT fast slow --folder SHEETS --key KEY.json --seed 1
  python scripts/looks.py tally KEY.json VOTES.csv ...

paint: paint each pair with each painter (named flags of nstyle) into OUT/<painter>/<pair>.png, with one process for
    each painting. Keeps existing paintings with the same flags and edge; use --again if nstyle itself has changed.
    You can put another program's pictures into a painter's folder yourself.
measure: write OUT/looks.csv and OUT/looks.md, with a row for each painting and the means of each painter. "photo" is
    the content picture itself. gram, gaussian, content: relative distances of VGG-19's features, 0 if equal. border:
    contrast of the outer 8 pixels relative to the middle. dots: strength of evenly spaced dots in plain areas of the
    photo, 1 if there are none; see docs/dots.md. new colors, clipped: shares of pixels and of values.
sheets: write a sheet for each pair that both painters painted: content and style above, the paintings below, labeled
    1 and 2. Order and sides are random; the key says which painting is whose.
tally: count votes in CSV files with the columns sheet, vote (left, right or same) and judge, or JSON lists of these.
"""

import argparse
import sys
from pathlib import Path

from eye.painters import paint, painters_in, parse_painter
from eye.pairs import found_pairs, make_pairs
from eye.sheets import read_votes, tally, write_sheets
from nstyle.errors import NStyleError


def run_paint(options: argparse.Namespace) -> None:
    """Paint the pairs with each painter."""
    painters = [parse_painter(text) for text in options.painter]
    pairs = make_pairs(options.output / "pairs", options.only, options.reference)
    for pair in pairs:
        for painter in painters:
            seconds = paint(painter, pair, options.edge, options.output, again=options.again)
            told = "kept" if seconds is None else f"{seconds:.1f} s"
            print(f"{painter.name:16} {pair.name:24} {told}", flush=True)


def run_measure(options: argparse.Namespace) -> None:
    """Measure the paintings; print the means and write the tables."""
    from eye.table import means, measure_pair, write_table
    from nstyle import load_vgg19

    names = painters_in(options.output, options.painters or None)
    network = load_vgg19()
    rows = []
    for pair in found_pairs(options.output / "pairs"):
        rows += measure_pair(pair, names, options.output, network)
        print(f"measured {pair.name}", flush=True)
    for row in means(rows):
        print(row.painter, *(f"{name} {value:.3g}" for name, value in row.values.items()), sep="\n  ")
    print(*write_table(rows, options.output), sep="\n")


def run_sheets(options: argparse.Namespace) -> None:
    """Write blind sheets and their key."""
    pairs = found_pairs(options.output / "pairs")
    painters_in(options.output, options.painters)
    write_sheets(pairs, tuple(options.painters), options.output, options.folder, options.key, options.seed)


def run_tally(options: argparse.Namespace) -> None:
    """Count votes and print the results."""
    counted = tally(options.key, read_votes(options.votes))
    for painter in counted.painters:
        print(f"{painter}: {counted.share(painter):.1%} of {counted.votes.total()} votes")
    for title, groups in (("pair", counted.by_pair), ("judge", counted.by_judge)):
        for name, votes in groups.items():
            print(f"{title} {name}: " + ", ".join(f"{winner} {count}" for winner, count in sorted(votes.items())))


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    whole = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = whole.add_subparsers(required=True, metavar="paint|measure|sheets|tally")
    part = parts.add_parser("paint", help="paint the pairs")
    part.set_defaults(run=run_paint)
    part.add_argument("output", type=Path, help="folder of all paintings")
    part.add_argument("--painter", action="append", required=True, metavar="NAME=FLAGS", help="repeatable")
    part.add_argument("--edge", type=int, default=512, help="longer edge in pixels (default: %(default)s)")
    part.add_argument("--only", nargs="+", metavar="PAIR", help="paint only these pairs, such as china-vortices")
    part.add_argument("--reference", nargs=2, type=Path, metavar="PATH", help="content and style of one more pair")
    part.add_argument("--again", action="store_true", help="also repaint existing paintings")
    part = parts.add_parser("measure", help="measure the paintings")
    part.set_defaults(run=run_measure)
    part.add_argument("output", type=Path, help="folder of all paintings")
    part.add_argument("painters", nargs="*", help="names (default: all)")
    part = parts.add_parser("sheets", help="make blind sheets")
    part.set_defaults(run=run_sheets)
    part.add_argument("output", type=Path, help="folder of all paintings")
    part.add_argument("painters", nargs=2, help="names of two painters")
    part.add_argument("--folder", type=Path, required=True, help="new or empty folder for the sheets")
    part.add_argument("--key", type=Path, required=True, help="JSON file to write, outside of that folder")
    part.add_argument("--seed", type=int, default=0, help="seed of order and sides (default: %(default)s)")
    part = parts.add_parser("tally", help="count votes")
    part.set_defaults(run=run_tally)
    part.add_argument("key", type=Path, help="the JSON file that sheets wrote")
    part.add_argument("votes", nargs="+", type=Path, help="CSV or JSON files")
    return whole


def main() -> int:
    """Run the command and return its exit code."""
    options = parser().parse_args()
    try:
        options.run(options)
    except NStyleError as error:
        print(f"looks.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
