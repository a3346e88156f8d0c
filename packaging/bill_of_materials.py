"""Tell which packages the program is made of: a bill of materials, and their licences.

python packaging/bill_of_materials.py OUT.json    write it as CycloneDX 1.6, print the licences

Run it in the environment it is to tell of. It reads what the installed packages say of themselves
and asks no network. Exit code 1 where the licence of a package is not known to go with ours.
"""

from __future__ import annotations

import json
import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from packaging.requirements import Requirement

PROJECT = "g2g-desktop"

# What older packages write, and the identifier of it (https://spdx.org/licenses).
NAMES = {
    "MIT License": "MIT",
    "BSD License": "BSD-3-Clause",
    "BSD": "BSD-3-Clause",
    "BSD 2-Clause License": "BSD-2-Clause",
    "Apache Software License": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
# May be shipped beside a program under the BSD licence; of Qt the LGPL is chosen.
ALLOWED = {
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "LGPL-3.0-only",
    "MIT",
    "MIT-CMU",
    "MPL-2.0",
    "PSF-2.0",
    "Zlib",
}


def main(arguments: list[str]) -> int:
    """Write the bill and print the licences; give the exit code."""
    if len(arguments) != 1:
        sys.stderr.write(__doc__ or "")
        return 2
    parts = needed(PROJECT)
    Path(arguments[0]).write_text(json.dumps(bill(parts), indent=2) + "\n", "utf-8")
    for part in parts:
        print(f"{part.name:28}{part.version:16}{licence(part) or 'no licence is named'}")
    unknown = [part.name for part in parts if not is_allowed(licence(part))]
    if unknown:
        print(f"Not known to go with the licence of {PROJECT}: {', '.join(unknown)}.")
    return int(bool(unknown))


def needed(name: str) -> list[Distribution]:
    """Give a package and all that it needs to run here, by name; none that only its extras need."""
    found: dict[str, Distribution] = {}
    wanted = [Requirement(name)]
    while wanted:
        one = wanted.pop()
        if canonical(one.name) in found:
            continue
        try:
            part = distribution(one.name)
        except PackageNotFoundError:
            sys.exit(f"{one.name} is not installed; run this in a whole environment.")
        found[canonical(one.name)] = part
        wanted += required(part)
    return [found[key] for key in sorted(found)]


def required(part: Distribution) -> list[Requirement]:
    """Give what a package asks for on this system, without its extras."""
    asked = map(Requirement, part.requires or ())
    return [one for one in asked if not one.marker or one.marker.evaluate({"extra": ""})]


def canonical(name: str) -> str:
    """Give the name under which indexes know a package."""
    return re.sub(r"[-_.]+", "-", name).lower()


def licence(part: Distribution) -> str:
    """Give the licence of a package as an SPDX expression, as far as it names one; else ""."""
    about = part.metadata
    if about.get("License-Expression"):
        return str(about["License-Expression"])
    written = str(about.get("License") or "").strip()
    classified = [
        line.rpartition(" :: ")[2]
        for line in about.get_all("Classifier") or ()
        if line.startswith("License :: OSI Approved :: ")
    ]
    if is_allowed(written):
        return NAMES.get(written, written)
    return " OR ".join(NAMES.get(name, name) for name in classified) or written.partition("\n")[0]


def is_allowed(expression: str) -> bool:
    """Tell whether an SPDX expression leaves a choice in which every licence goes with ours."""
    while inner := re.search(r"\(([^()]*)\)", expression):
        expression = expression.replace(inner[0], "MIT" if is_allowed(inner[1]) else "none")
    choices = (choice.split(" AND ") for choice in expression.split(" OR "))
    each = ([name.strip() for name in names] for names in choices)
    return any(all(NAMES.get(name, name) in ALLOWED for name in names) for names in each)


def bill(parts: list[Distribution]) -> dict[str, Any]:
    """Give the bill of materials; the same packages give the same bill."""
    components = [component(part) for part in parts]
    listed = " ".join(one["purl"] for one in components)
    program = next(one for one in components if one["name"] == PROJECT)
    others = [one for one in components if one is not program]
    refs = {one["name"]: one["bom-ref"] for one in components}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, listed)}",
        "version": 1,
        "metadata": {"component": program | {"type": "application"}},
        "components": others,
        "dependencies": [dependency(part, refs) for part in parts],
    }


def component(part: Distribution) -> dict[str, Any]:
    """Describe a package."""
    name, expression = canonical(part.name), licence(part)
    purl = f"pkg:pypi/{name}@{part.version.replace('+', '%2B')}"
    told = {"type": "library", "bom-ref": purl, "name": name, "version": part.version, "purl": purl}
    if is_allowed(expression):
        return told | {"licenses": [{"expression": expression}]}
    return told | ({"licenses": [{"license": {"name": expression}}]} if expression else {})


def dependency(part: Distribution, refs: dict[str, str]) -> dict[str, Any]:
    """Say which of the others, each a reference by its name, a package needs here."""
    names = {canonical(one.name) for one in required(part)}
    return {"ref": refs[canonical(part.name)], "dependsOn": sorted(refs[name] for name in names)}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
