"""The command line of the data sets: fetch them, list them, compare their sources."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from augury import paths
from augury.data import arrays, download, loading, readers, registry
from augury.data.registry import Entry
from augury.errors import AuguryError, MissingDataError


def _state(entry: Entry) -> str:
    """Return in a word or two how near `entry` is, without reading its files."""
    if entry.embedded:
        return "embedded"
    folder = paths.downloads()
    if (folder / "decoded" / f"{entry.name}.npz").exists():
        return "ready"
    for source in entry.sources:
        if all((folder / file.path).exists() for file in source.files):
            return "fetched"
    return "by hand" if entry.by_hand and not registry.mirror() else "not here"


def _size(entry: Entry) -> str:
    return " or ".join(f"{source.size / 1e6:,.1f}" for source in entry.sources) or "-"


def listing(names: Sequence[str]) -> str:
    """Return a table of the data sets `names`: samples, megabytes, where they are, licence."""
    rows = [("name", "train", "test", "MB", "state", "licence")]
    for name in names:
        entry = registry.entry(name)
        counts = [f"{entry.splits[split]:,}" if split in entry.splits else "-" for split in ("train", "test")]
        rows.append((name, counts[0], counts[1], _size(entry), _state(entry), entry.licence))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    right = (False, True, True, True, False, False)
    lines = [
        "  ".join(
            f"{cell:{'>' if to_right else '<'}{width}}"
            for cell, width, to_right in zip(row, widths, right, strict=True)
        )
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines)


def _fetch(names: Sequence[str], chosen: bool, progress: bool) -> int:
    """Fetch and decode `names`, going on after a failure; return how many failed.

    Where the user chose no names, a data set that can only be had by hand is reported but is no failure.
    """
    failed = 0
    for name in names:
        entry = registry.entry(name)
        try:
            loading.prepare(entry, progress)
        except MissingDataError as error:
            by_hand = entry.by_hand and not chosen
            failed += not by_hand
            print(f"{'left out' if by_hand else 'FAILED'}: {error}", file=sys.stderr)
        except AuguryError as error:
            failed += 1
            print(f"FAILED: {error}", file=sys.stderr)
    return failed


def _verify(names: Sequence[str], chosen: bool) -> int:
    """Decode every source of `names` that is at hand and print its digest beside the registry's; count the failures."""
    failed = 0
    for name in names:
        entry = registry.entry(name)
        found: dict[str, str] = {}
        if entry.embedded:
            found["embedded"] = arrays.digest(loading.embed(entry))
        for source in entry.sources:
            places = [paths.downloads() / file.path for file in source.files]
            if all(download.matches(place, file) for place, file in zip(places, source.files, strict=True)):
                found[source.kind] = arrays.digest(readers.read(source, places))
        for kind, digest in found.items():
            verdict = "equal" if digest == entry.recorded else "DIFFERS" if entry.recorded else "not recorded"
            failed += verdict == "DIFFERS"
            print(f"{name}  {kind}  {digest}  {verdict}")
        if not found and chosen:
            failed += 1
            print(f"{name}  nothing at hand; make data DATASETS={name}")
    return failed


def main(argv: Sequence[str] | None = None) -> int:
    """Run `augury data`: fetch the data sets named (or those of the laptop profile), then list them.

    Returns
    -------
    0, or 1 if a data set could not be had or differs from the registry; 2 for a wrong name or option.
    """
    parser = argparse.ArgumentParser(prog="augury data", description="Fetch the data sets, verified, and list them.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="data sets (default: those of the laptop profile)")
    parser.add_argument("--list", action="store_true", help="only list them")
    parser.add_argument("--verify", action="store_true", help="decode every source at hand and compare the digests")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    options = parser.parse_args(argv)
    chosen = bool(options.names)
    try:
        everything = [
            name for name in registry.names() if options.list or options.verify or registry.entry(name).laptop
        ]
        names = options.names or everything
        for name in names:
            registry.entry(name)
    except AuguryError as error:
        parser.error(str(error))
    failed = 0
    if options.verify:
        return 1 if _verify(names, chosen) else 0
    if not options.list:
        failed = _fetch(names, chosen, not options.quiet)
    print(listing(names))
    if failed:
        print(f"{failed} of {len(names)} data sets could not be had; see above", file=sys.stderr)
    return 1 if failed else 0
