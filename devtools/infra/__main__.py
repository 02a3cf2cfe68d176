"""`python -m devtools.infra`: writes the table of resource types, from packages that it installs for a moment."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from devtools.infra import bicep, shapes
from devtools.infra.published import SOURCES, Models, Source

ABOUT = [
    "Shapes of Azure's resource types as devtools/infra/shapes.py explains them, without what is read-only.",
    "Written by `make infra-types` from Microsoft's packages; only what infra/ looks into is written out.",
]


def table(folders: dict[Source, Path]) -> dict[str, Any]:
    """The table; `folders` is where the package of each source lies."""
    wanted: dict[str, set[tuple[str, ...]]] = {}
    for document in bicep.read_all().values():
        for resource in document.resources:
            if not resource.existing:
                wanted.setdefault(resource.type_name, set()).update(shapes.paths(document, resource))
    types: dict[str, Any] = {}
    for name in sorted(wanted):
        source = SOURCES[name]
        models = Models(folders[source], source)
        version = name.partition("@")[2]
        if version not in models.api_versions() and f"v{version.replace('-', '_')}" not in source.folder:
            raise click.ClickException(f"{source} does not speak api-version {version}")
        types[name] = {"source": str(source), "body": models.shape(source.model, wanted[name])}
    return {"about": ABOUT, "types": types}


@click.command()
def main() -> None:
    """Write devtools/infra/resource_types.json. Downloads about 30 MB."""
    with tempfile.TemporaryDirectory() as name:
        folders: dict[Source, Path] = {}
        for source in SOURCES.values():
            folder = Path(name) / f"{source.package}-{source.version}"
            folders[source] = folder
            if not folder.exists():
                print(f"Installing {source.package} {source.version}")
                pinned = f"{source.package}=={source.version}"
                command = [
                    sys.executable,
                    "-m",
                    "uv",
                    "pip",
                    "install",
                    "--quiet",
                    "--no-deps",
                    "--target",
                    str(folder),
                ]
                subprocess.run([*command, pinned], check=True)
        text = json.dumps(table(folders), indent=1, ensure_ascii=False)
    shapes.TABLE.write_text(_compact(text) + "\n", encoding="utf-8")
    print(f"Wrote {shapes.TABLE.relative_to(bicep.ROOT)}")


def _compact(text: str) -> str:
    """Lists of words on one line."""
    import re

    return re.sub(r'\[\s+("[^\[\]{}]*")\s+\]', lambda found: "[" + " ".join(found[1].split()) + "]", text)


if __name__ == "__main__":
    main()
