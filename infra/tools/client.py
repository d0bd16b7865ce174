"""Rows of OAuth clients, as functions/auth reads them. Nothing here speaks to AWS.

    client.py make NAME SCOPES NOW     stdout: a new client as JSON: what to show, and the request that stores it
    client.py rotate                   stdin: get-item's answer; stdout: the same for a second secret
    client.py key CLIENT               stdout: the row's key
    client.py request | show           stdin: what make or rotate said; stdout: the part for put/update-item | for people

The row: pk `CLI#<client_id>`, sk `CLIENT`; name (S), scopes (L of S), created_at (N, Unix seconds), secrets (L of S, newest
first, at most two: lower-case hex SHA-256 of `<client_id>:<secret>`). A secret is 32 random bytes, so a plain hash does.
"""

import base64
import hashlib
import json
import re
import secrets as chance
import sys
import time

SCOPES = {"portal:write", "notifications:send", "entitlements:write"}
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def ulid(millis, random_bytes):
    number = (millis << 80) | int.from_bytes(random_bytes, "big")
    return "".join(CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))


def hashed(client_id, secret):
    return hashlib.sha256(f"{client_id}:{secret}".encode()).hexdigest()


def new_secret():
    return base64.urlsafe_b64encode(chance.token_bytes(32)).rstrip(b"=").decode()


def key(client_id):
    if not re.fullmatch(r"cli_[0-9A-HJKMNP-TV-Z]{26}", client_id):
        raise SystemExit(f"{client_id} is not the id of a client")
    return {"pk": {"S": f"CLI#{client_id}"}, "sk": {"S": "CLIENT"}}


def make(name, scopes, now):
    scopes = scopes.replace(",", " ").split()
    unknown = sorted(set(scopes) - SCOPES)
    if unknown or not scopes:
        raise SystemExit(f"unknown scope {' '.join(unknown)}; there are {' '.join(sorted(SCOPES))}")
    client_id = "cli_" + ulid(time.time_ns() // 1_000_000, chance.token_bytes(10))
    secret = new_secret()
    row = key(client_id) | {
        "name": {"S": name},
        "scopes": {"L": [{"S": scope} for scope in scopes]},
        "secrets": {"L": [{"S": hashed(client_id, secret)}]},
        "created_at": {"N": str(int(now))},
    }
    return {
        "show": {"client_id": client_id, "client_secret": secret, "scope": " ".join(scopes)},
        "request": {"Item": row, "ConditionExpression": "attribute_not_exists(pk)"},
    }


def rotate(answer):
    row = answer["Item"]
    client_id = row["pk"]["S"].removeprefix("CLI#")
    secret = new_secret()
    before = row["secrets"]
    after = {"L": [{"S": hashed(client_id, secret)}, *before["L"][:1]]}
    return {
        "show": {
            "client_id": client_id,
            "client_secret": secret,
            "scope": " ".join(scope["S"] for scope in row["scopes"]["L"]),
        },
        "request": {
            "Key": key(client_id),
            "UpdateExpression": "SET secrets = :after",
            "ConditionExpression": "secrets = :before",
            "ExpressionAttributeValues": {":after": after, ":before": before},
        },
    }


def main(words):
    match words:
        case ["make", name, scopes, now]:
            answer = make(name, scopes, now)
        case ["rotate"]:
            answer = rotate(json.load(sys.stdin))
        case ["key", client_id]:
            answer = key(client_id)
        case ["request" | "show" as part]:
            answer = json.load(sys.stdin)[part]
        case _:
            raise SystemExit(__doc__)
    print(json.dumps(answer))


if __name__ == "__main__":
    main(sys.argv[1:])
