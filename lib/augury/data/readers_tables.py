"""Readers of tables and texts: delimited files, and the attribute list of CelebA."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from augury.data.archives import gunzip, zip_members
from augury.data.arrays import Fields, Value
from augury.data.registry import File
from augury.errors import DataError


def _column(values: list[str], name: str, options: Mapping[str, Any]) -> Value:
    """Return a column as int64, float64 (blank is NaN) or strings, as the options `integers` and `reals` say."""
    if name in options.get("integers", ()):
        return np.array([int(value) for value in values], np.int64)
    if name in options.get("reals", ()):
        return np.array([float(value) if value.strip() else np.nan for value in values], np.float64)
    return values


def parse_table(content: bytes, label: str, options: Mapping[str, Any]) -> tuple[dict[str, Value], np.ndarray]:
    """Return the columns by name, without the target, and the target as int64 indices of shape (n,) into `labels`.

    Options
    -------
    separator : "," unless given.
    skip_blanks : whether blanks after a separator do not count.
    columns : names of the columns, where the file has no header.
    comment : lines that start with it are left out.
    target, labels : the target's column, and its values in the order of the classes.
    label_suffix : ending of a target value that does not count.
    integers, reals : columns of whole and of real numbers; all others are strings, kept as they are.
    drop : columns to leave out.

    Raises
    ------
    DataError
        If a row has too many or too few values, or one that is not of its column's type; `label` names the content.
    """
    try:
        lines = io.StringIO(content.decode("utf-8"), newline="")
        comment = options.get("comment")
        kept = (line for line in lines if not comment or not line.startswith(comment))
        separator, skip = options.get("separator", ","), options.get("skip_blanks", False)
        rows = [row for row in csv.reader(kept, delimiter=separator, skipinitialspace=skip) if row]
        columns = list(options["columns"]) if "columns" in options else rows.pop(0)
        wrong = next((i for i, row in enumerate(rows) if len(row) != len(columns)), None)
        if wrong is not None:
            raise ValueError(f"data row {wrong + 1} has {len(rows[wrong])} values, not {len(columns)}")
        by_name = dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True))
        codes = {value: code for code, value in enumerate(options["labels"])}
        suffix = options.get("label_suffix", "")
        targets = np.array([codes[value.removesuffix(suffix)] for value in by_name.pop(options["target"])], np.int64)
        dropped = options.get("drop", ())
        return {name: _column(by_name[name], name, options) for name in by_name if name not in dropped}, targets
    except (UnicodeDecodeError, csv.Error, KeyError, ValueError, IndexError) as error:
        raise DataError(f"{label}: not the table the registry describes ({type(error).__name__}: {error})") from error


def read_csv(paths: Sequence[Path], files: Sequence[File], options: Mapping[str, Any]) -> Fields:
    """Read delimited files, gzipped or not, one a split; option `member` names a member of a zip archive instead."""
    fields: Fields = {}
    for path, file in zip(paths, files, strict=True):
        content = zip_members(path, [options["member"]])[0] if "member" in options else gunzip(path)
        columns, fields[f"{file.role}/y"] = parse_table(content, str(path), options)
        fields.update({f"{file.role}/x/{name}": values for name, values in columns.items()})
    return fields


def read_celeba(paths: Sequence[Path], files: Sequence[File], options: Mapping[str, Any]) -> Fields:
    """Read CelebA's attribute list: the count, the names, then "<image> <-1 or 1> ..." for each image in order.

    Option `target` names the attribute that becomes the label (0 or 1), the others are int8 columns of -1 and 1;
    `n_train` images come before the test set.
    """
    content = io.BytesIO(gunzip(paths[0]))
    try:
        count, names = int(content.readline()), content.readline().decode("ascii").split()
        values = np.loadtxt(content, dtype=np.int8, usecols=range(1, len(names) + 1), ndmin=2)  # (n, attributes)
        if len(values) != count or not np.isin(values, (-1, 1)).all():
            raise ValueError(f"{len(values)} rows of {count}, or a value that is neither -1 nor 1")
        by_name = dict(zip(names, values.T, strict=True))
        targets = (by_name.pop(options["target"]) == 1).astype(np.int64)
    except (ValueError, KeyError, IndexError) as error:
        raise DataError(f"{paths[0]}: not CelebA's attribute list ({type(error).__name__}: {error})") from error
    fields: Fields = {}
    for split, rows in (("train", slice(options["n_train"])), ("test", slice(options["n_train"], None))):
        fields[f"{split}/y"] = targets[rows]
        fields.update({f"{split}/x/{name}": np.ascontiguousarray(column[rows]) for name, column in by_name.items()})
    return fields
