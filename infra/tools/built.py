"""Says whether what `sam build` left can be deployed.

    built.py TEMPLATE ARCHITECTURE     TEMPLATE is .aws-sam/build/template.yaml

Every function must have its program, which Lambda may execute and which is for the architecture: a build of one
function leaves the others' sources in place of programs, and cargo-lambda takes the machine it runs on for x86_64.
"""

import os
import sys
from pathlib import Path

from samtranslator.yaml_helper import yaml_parse

# e_machine of an ELF header.
MACHINES = {"arm64": 0xB7, "x86_64": 0x3E}


def machine(program):
    with open(program, "rb") as file:
        header = file.read(20)
    return int.from_bytes(header[18:20], "little") if header[:4] == b"\x7fELF" else None


def complaints(template, architecture):
    if architecture not in MACHINES:
        raise SystemExit(f"{architecture} is not an architecture of Lambda: {', '.join(MACHINES)}")
    for name, body in yaml_parse(template.read_text(encoding="utf-8"))["Resources"].items():
        if body["Type"] != "AWS::Serverless::Function":
            continue
        program = template.parent / body["Properties"]["CodeUri"] / "bootstrap"
        if not program.is_file():
            yield f"{name} is not built"
        elif machine(program) != MACHINES[architecture]:
            yield f"{name} is not built for {architecture}"
        elif not os.access(program, os.X_OK):
            yield f"{name} may not be executed"


def main(words):
    match words:
        case [template, architecture]:
            found = list(complaints(Path(template), architecture))
        case _:
            raise SystemExit(__doc__)
    if found:
        raise SystemExit("\n".join(found))


if __name__ == "__main__":
    main(sys.argv[1:])
