"""Results that are recorded below a figures folder: manifests, claims and rows, read back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from augury.report.names import slug

PROFILES = ("laptop", "paper")  # recorded and committed; quick is not


@dataclass(frozen=True)
class Result:
    """One run of one notebook under one profile: its folder with manifest.json and claims.json."""

    folder: Path
    manifest: dict[str, Any]
    claims: list[dict[str, Any]]

    @property
    def section(self) -> str:
        """The notebook, e.g. "1-subsampling/policies"."""
        return str(self.manifest["section"])

    @property
    def run(self) -> str:
        """The label of the run; empty where the notebook is run once."""
        return str(self.manifest["run"])

    @property
    def profile(self) -> str:
        """The profile it was run under."""
        return str(self.manifest["profile"])

    @property
    def data(self) -> list[str]:
        """The data sets: those of its cells, else those its parameters name."""
        return list(self.manifest["data"]) or named_datasets(self.manifest["parameters"])

    @property
    def seconds(self) -> float:
        """Time from nothing on two cores: half of what the cells took one after the other, and the rest."""
        return float(self.manifest["seconds"]["cells"]) / 2 + float(self.manifest["seconds"]["rest"])

    def artefact(self, name: str) -> dict[str, Any] | None:
        """Return what the manifest says of an artefact; None if this run made none of that name."""
        return next((a for a in self.manifest["artefacts"] if a["name"] == name), None)

    def rows(self, name: str) -> pd.DataFrame | None:
        """Return the saved rows of an artefact; None if this run made none of that name."""
        return pd.read_csv(self.folder / f"{slug(name)}.csv") if self.artefact(name) else None


def named_datasets(params: Mapping[str, Any]) -> list[str]:
    """Return the data sets that a notebook's parameters name, as `dataset` or `datasets`."""
    named = params.get("dataset", params.get("datasets", []))
    return [named] if isinstance(named, str) else list(named)


def results(figures: Path, profile: str, section: str = "") -> list[Result]:
    """Return the recorded runs of a profile, of one section or of all, sorted by folder."""
    found = []
    for path in sorted((figures / profile / section).rglob("manifest.json")):
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if section and manifest["section"] != section:
            continue
        claims = json.loads((path.parent / "claims.json").read_text(encoding="utf-8"))
        found.append(Result(path.parent, manifest, claims))
    return found


def verdict_row(claim: Mapping[str, Any]) -> dict[str, str]:
    """Return id, verdict and "5 of 6" (parts that hold of those that were run) of a claim of claims.json."""
    run = [part["holds"] for part in claim["parts"] if part["holds"] is not None]
    return {"claim": claim["id"], "verdict": claim["verdict"], "holds": f"{sum(run)} of {len(run)}"}


def replace_text(path: Path, text: str) -> Path:
    """Write a text file so that it is there whole or as before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8", newline="\n")
    return temporary.replace(path)
