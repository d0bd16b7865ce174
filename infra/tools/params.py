"""Reads and changes parameter files and the parameters of a stack.

    params.py set FILE NAME VALUE...      writes values into infra/params/<stage>.json
    params.py update NAME VALUE...        stdin: describe-stacks as JSON; stdout: --parameters of update-stack, where
                                          every parameter that is not named keeps its value
"""

import json
import sys


def pairs(words):
    if len(words) % 2:
        raise SystemExit("names and values do not pair up")
    return dict(zip(words[::2], words[1::2]))


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


def main(words):
    match words:
        case ["set", path, *rest]:
            set_in_file(path, pairs(rest))
        case ["update", *rest]:
            json.dump(update(json.load(sys.stdin), pairs(rest)), sys.stdout)
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
