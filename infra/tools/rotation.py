"""Says where a rotation of the signing key stands, from what AWS holds. Nothing here speaks to AWS.

    rotation.py phase CURRENT_KID PUBLISHED_JWKS CURRENT_VERSION PENDING_VERSION SWITCHED NOW

    rotation.py version LABEL         stdin: describe-secret's answer; stdout: the version with that label, or nothing

phase says one of
    start         no rotation is under way: make a key
    publish       a key waits; publish it where it is not, then switch
    replace       the switch is made in the secret, but auth's instances may still hold the old key
    wait SECONDS  the switch is made, tokens of the old key may be alive
    forget        the old key is of no more use

How it knows: while a key waits, AWSPENDING is another version than AWSCURRENT; after the switch both labels lie on one
version and two keys are published. SWITCHED is the parameter AuthSecretVersion, `<time>_<kid>`: phase 2 sets it after
it has moved the label, so a run that broke off between the two is seen by the kid, which is still the old one.
"""

import json
import sys
from datetime import datetime, timezone

HOUR = 3600


def moment(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(timezone.utc)


def phase(current_kid, published, current_version, pending_version, switched, now):
    kids = [key["kid"] for key in json.loads(published)["keys"]]
    if pending_version and pending_version != current_version:
        return "publish"
    if current_kid not in kids:
        raise SystemExit(f"auth signs with {current_kid}, which TokenKeys does not publish: `make keys` puts it right")
    if len(kids) < 2:
        return "start"
    at, _, kid = switched.partition("_")
    if kid != current_kid:
        return "replace"
    left = HOUR - int((moment(now) - moment(at)).total_seconds())
    return f"wait {left}" if left > 0 else "forget"


def main(words):
    match words:
        case ["phase", *rest] if len(rest) == 6:
            print(phase(*rest))
        case ["version", label]:
            versions = json.load(sys.stdin).get("VersionIdsToStages") or {}
            print(next((version for version, labels in versions.items() if label in labels), ""))
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
