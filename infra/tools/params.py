"""Reads and changes parameter files and the parameters of a stack.

    params.py set FILE NAME VALUE...      writes values into infra/params/<stage>.json
    params.py update NAME VALUE...        stdin: describe-stacks as JSON; stdout: --parameters of update-stack, where
                                          every parameter that is not named keeps its value
    params.py value NAME TEMPLATE [FILE]  stdout: what FILE says of a parameter, or else the template's default
    params.py deploy TEMPLATE FILE        stdin: describe-stacks as JSON, or nothing where there is no stack yet;
                                          stdout: the file for `sam deploy --parameter-overrides`; stderr: what of FILE
                                          is not followed
"""

import json
import sys
from pathlib import Path

# Only `make keys` and `make rotate-keys` change these, in the running stack; the file has a copy to be read. A deployment
# that took them from a clone that is behind, or an older tag, would have tokens signed that nobody accepts; one of a new
# stage from a copied file would accept another stage's tokens.
KEPT = ("TokenKeys", "AuthSecretVersion")


def pairs(words):
    if len(words) % 2:
        raise SystemExit("names and values do not pair up")
    return dict(zip(words[::2], words[1::2]))


def read_file(path):
    with open(path, encoding="utf-8") as file:
        return {name: text(name, value) for name, value in json.load(file).items()}


def text(name, value):
    """A value as CloudFormation takes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)
    raise SystemExit(f"{name}: {json.dumps(value)} is not a value of a parameter")


def defaults(path):
    """The template's parameters with their defaults, None where there is none."""
    # Comes with sam and knows CloudFormation's tags. The other commands need none of it.
    from samtranslator.yaml_helper import yaml_parse

    parameters = yaml_parse(Path(path).read_text(encoding="utf-8"))["Parameters"]
    return {name: text(name, body["Default"]) if "Default" in body else None for name, body in parameters.items()}


def set_in_file(path, values):
    with open(path, encoding="utf-8") as file:
        params = json.load(file)
    params.update(values)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(params, file, indent=2)
        file.write("\n")


def update(stacks, values):
    known = [parameter["ParameterKey"] for parameter in stacks["Stacks"][0].get("Parameters", [])]
    missing = sorted(set(values) - set(known))
    if missing:
        raise SystemExit(f"the stack has no parameter {', '.join(missing)}; deploy the template first")
    return [
        {"ParameterKey": name, "ParameterValue": values[name]}
        if name in values
        else {"ParameterKey": name, "UsePreviousValue": True}
        for name in known
    ]


def live(described):
    """The parameters of a stack that sam would update; none where it would create one."""
    if not described.strip():
        return {}
    stack = json.loads(described)["Stacks"][0]
    # A change set that was never executed left it; sam too takes it for a new stack.
    if stack["StackStatus"] == "REVIEW_IN_PROGRESS":
        return {}
    return {one["ParameterKey"]: one["ParameterValue"] for one in stack.get("Parameters", [])}


def deployed(template, file, stack):
    """What a deployment says of the parameters, and those of KEPT of which FILE has another value than the stack.

    sam keeps the stack's value of what it is not told, so the template's defaults are told too.
    """
    unknown = sorted(set(file) - set(template))
    if unknown:
        raise SystemExit(f"the template has no parameter {', '.join(unknown)}")
    values = template | file
    missing = sorted(name for name, value in values.items() if value is None)
    if missing:
        raise SystemExit(f"{', '.join(missing)}: neither a value nor a default")
    # Devices hold positions of the stack's epoch (docs/operations.md, Restore).
    if int(stack.get("StoreEpoch", 0)) > int(values.get("StoreEpoch", 0)):
        raise SystemExit(f"StoreEpoch is {stack['StoreEpoch']} in the stack; it is never lowered")
    differing = [name for name in KEPT if name in file and file[name] != stack.get(name, template[name])]
    return {name: value for name, value in values.items() if name not in KEPT}, differing


def main(words):
    match words:
        case ["set", path, *rest]:
            set_in_file(path, pairs(rest))
        case ["update", *rest]:
            json.dump(update(json.load(sys.stdin), pairs(rest)), sys.stdout)
        case ["value", name, template, *file] if len(file) < 2:
            value = (defaults(template) | (read_file(file[0]) if file else {})).get(name)
            if value is None:
                raise SystemExit(f"{name}: neither a value nor a default")
            print(value)
        case ["deploy", template, file]:
            values, differing = deployed(defaults(template), read_file(file), live(sys.stdin.read()))
            for name in differing:
                print(f"{name}: the stack keeps what it has, {Path(file).name} says something else", file=sys.stderr)
            # JSON is YAML.
            json.dump(values, sys.stdout, indent=2)
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
