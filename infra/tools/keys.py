"""Keys of the access tokens: makes them with openssl, says what is public of them. Nothing here speaks to AWS.

    keys.py new                    stdout: auth's secret as JSON: kid, signing_key (PKCS#8 PEM), refresh_key (base64)
    keys.py next                   stdin: auth's secret; stdout: one with a new signing key and the same refresh key,
                                   so that nobody is signed out by a rotation
    keys.py jwks                   stdin: secrets, one JSON a line; stdout: the JWKS of their public keys
    keys.py kid                    stdin: a secret; stdout: its kid
    keys.py kids                   stdin: a JWKS; stdout: its kids, one a line
    keys.py without KID            stdin: a JWKS; stdout: the JWKS of the others

The kid is the key's RFC 7638 thumbprint, so a kid can never name two keys.
"""

import base64
import hashlib
import json
import subprocess
import sys


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def openssl(*words, given=None):
    return subprocess.run(["openssl", *words], input=given, check=True, capture_output=True).stdout


def new_signing_key():
    return openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256").decode()


def jwk(pem):
    """The public half of a PKCS#8 key of P-256, as a JWK."""
    spki = openssl("pkey", "-pubout", "-outform", "DER", given=pem.encode())
    # SubjectPublicKeyInfo of P-256 ends in the uncompressed point: 04, x, y.
    if len(spki) != 91 or spki[26] != 4:
        raise SystemExit("not a key of P-256")
    x, y = b64url(spki[27:59]), b64url(spki[59:91])
    thumb = json.dumps({"crv": "P-256", "kty": "EC", "x": x, "y": y}, separators=(",", ":"), sort_keys=True)
    kid = b64url(hashlib.sha256(thumb.encode()).digest())
    return {"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": kid, "x": x, "y": y}


def secret(refresh_key=None):
    pem = new_signing_key()
    return {
        "kid": jwk(pem)["kid"],
        "signing_key": pem,
        "refresh_key": refresh_key or base64.b64encode(openssl("rand", "32")).decode(),
    }


def compact(value):
    return json.dumps(value, separators=(",", ":"))


def jwks(secrets):
    keys = []
    for one in secrets:
        key = jwk(one["signing_key"])
        if key["kid"] != one["kid"]:
            raise SystemExit(f"a secret's kid is {one['kid']}, its key's is {key['kid']}")
        keys.append(key)
    return {"keys": keys}


def main(words):
    match words:
        case ["new"]:
            print(compact(secret()))
        case ["next"]:
            print(compact(secret(json.load(sys.stdin)["refresh_key"])))
        case ["jwks"]:
            print(compact(jwks([json.loads(line) for line in sys.stdin if line.strip()])))
        case ["kid"]:
            print(json.load(sys.stdin)["kid"])
        case ["kids"]:
            print("\n".join(key["kid"] for key in json.load(sys.stdin)["keys"]))
        case ["without", kid]:
            print(compact({"keys": [key for key in json.load(sys.stdin)["keys"] if key["kid"] != kid]}))
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
