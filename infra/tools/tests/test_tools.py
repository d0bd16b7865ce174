"""The deployment's scripts, run for real against a stand-in for the `aws` command (the file `aws` beside this one)."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[1]
sys.dont_write_bytecode = True
sys.path.insert(0, str(TOOLS))

import client
import keys
import params
import rotation

WRITES = {"put-secret-value", "update-secret-version-stage", "update-stack"}


class Stage:
    """A stack of a stage in a folder of its own, with the tools copied beside its parameter file."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        root = Path(self.folder.name)
        shutil.copytree(TOOLS, root / "infra/tools", ignore=shutil.ignore_patterns("tests", "__pycache__"))
        (root / "infra/params").mkdir(parents=True)
        self.params = root / "infra/params/dev.json"
        self.params.write_text(json.dumps({"Stage": "dev"}))
        self.state = root / "state.json"
        self.root = root
        # The same Python for all, without the search for one that a version manager's `python3` makes at each call.
        (root / "bin").mkdir()
        (root / "bin/python3").symlink_to(sys.executable)
        (root / "bin/aws").write_text(f'#!/bin/sh\nexec "{sys.executable}" -IS "{TOOLS}/tests/aws" "$@"\n')
        (root / "bin/aws").chmod(0o755)
        self.write({
            "outputs": {"AuthSecretArn": "arn:secret", "AccountsTable": "accounts"},
            "parameters": {"Stage": "dev", "TokenKeys": '{"keys":[]}', "AuthSecretVersion": "0", "StoreEpoch": "1"},
            "versions": {}, "labels": {}, "rows": {},
        })

    def write(self, state):
        self.state.write_text(json.dumps(state))

    def read(self):
        return json.loads(self.state.read_text())

    def run(self, script, die="", **env):
        state = self.read()
        state["calls"] = []
        self.write(state)
        env = {"PATH": f"{self.root}/bin:{os.environ['PATH']}", "HOME": self.folder.name, "STAGE": "dev", "FAKE_AWS": str(self.state), "FAKE_AWS_DIE": die, **env}
        return subprocess.run(["bash", str(self.root / "infra/tools" / script)], env=env, capture_output=True, text=True, check=False)

    def kids(self, parameters=None):
        published = (parameters or self.read()["parameters"])["TokenKeys"]
        return [key["kid"] for key in json.loads(published)["keys"]]

    def signing_kid(self):
        state = self.read()
        return json.loads(state["versions"][state["labels"]["AWSCURRENT"]])["kid"]

    def an_hour_passes(self):
        state = self.read()
        _, _, kid = state["parameters"]["AuthSecretVersion"].partition("_")
        state["parameters"]["AuthSecretVersion"] = f"2020-01-01T00:00:00Z_{kid}"
        self.write(state)


class Keys(unittest.TestCase):
    def test_a_token_signed_with_the_secret_verifies_with_the_jwks(self):
        secret = keys.secret()
        jwk = keys.jwks([secret])["keys"][0]
        self.assertEqual(jwk["kid"], secret["kid"])
        self.assertNotIn("d", jwk)
        raw = [keys.base64.urlsafe_b64decode(jwk[part] + "=") for part in "xy"]
        spki = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200") + b"\x04" + b"".join(raw)
        with tempfile.TemporaryDirectory() as folder:
            for name, content in (("key", secret["signing_key"].encode()), ("public", spki), ("text", b"a.token")):
                Path(folder, name).write_bytes(content)
            sign = ["openssl", "dgst", "-sha256", "-sign", f"{folder}/key", "-out", f"{folder}/signature", f"{folder}/text"]
            subprocess.run(sign, check=True)
            verify = ["openssl", "dgst", "-sha256", "-keyform", "DER", "-verify", f"{folder}/public", "-signature",
                      f"{folder}/signature", f"{folder}/text"]
            subprocess.run(verify, check=True, capture_output=True)

    def test_a_key_is_pkcs8_and_a_refresh_key_32_bytes(self):
        secret = keys.secret()
        self.assertTrue(secret["signing_key"].startswith("-----BEGIN PRIVATE KEY-----"))
        self.assertEqual(len(keys.base64.b64decode(secret["refresh_key"])), 32)

    def test_a_kid_that_is_not_its_key_is_refused(self):
        with self.assertRaises(SystemExit):
            keys.jwks([keys.secret() | {"kid": "other"}])


class Rotation(unittest.TestCase):
    def phase(self, published, pending, switched, now="2025-01-01T01:00:00Z"):
        jwks = json.dumps({"keys": [{"kid": kid} for kid in published]})
        return rotation.phase("new", jwks, "v2", pending, switched, now)

    def test_each_state_has_its_phase(self):
        self.assertEqual(self.phase(["new"], "", "2024-01-01T00:00:00Z_new"), "start")
        self.assertEqual(self.phase(["new"], "v3", "2024-01-01T00:00:00Z_new"), "publish")
        self.assertEqual(self.phase(["new", "next"], "v3", "2024-01-01T00:00:00Z_new"), "publish")
        self.assertEqual(self.phase(["old", "new"], "v2", "2024-01-01T00:00:00Z_old"), "replace")
        self.assertEqual(self.phase(["old", "new"], "v2", "2025-01-01T00:59:00Z_new"), "wait 3540")
        self.assertEqual(self.phase(["old", "new"], "v2", "2025-01-01T00:00:00Z_new"), "forget")

    def test_a_signing_key_nobody_publishes_is_told(self):
        with self.assertRaises(SystemExit):
            self.phase(["old"], "", "0")


class Client(unittest.TestCase):
    def test_a_row_has_the_hash_of_what_is_shown(self):
        made = client.make("Back office", "portal:write, notifications:send", "1700000000")
        shown, row = made["show"], made["request"]["Item"]
        wanted = hashlib.sha256(f"{shown['client_id']}:{shown['client_secret']}".encode()).hexdigest()
        self.assertEqual(row["secrets"], {"L": [{"S": wanted}]})
        self.assertEqual(row["pk"]["S"], f"CLI#{shown['client_id']}")
        self.assertNotIn(shown["client_secret"], json.dumps(made["request"]))
        client.key(shown["client_id"])

    def test_an_unknown_scope_is_refused(self):
        with self.assertRaises(SystemExit):
            client.make("x", "portal:write admin", "0")

    def test_a_ulid_is_spelt_as_the_specification_has_it(self):
        self.assertEqual(client.ulid(1469918176385, bytes(10)), "01ARYZ6S41" + "0" * 16)
        self.assertEqual(client.ulid((1 << 48) - 1, b"\xff" * 10), "7" + "Z" * 25)


class Params(unittest.TestCase):
    def test_what_is_not_named_keeps_its_value(self):
        stacks = {"Stacks": [{"Parameters": [{"ParameterKey": "A"}, {"ParameterKey": "B"}]}]}
        self.assertEqual(params.update(stacks, {"B": "2"}), [
            {"ParameterKey": "A", "UsePreviousValue": True}, {"ParameterKey": "B", "ParameterValue": "2"},
        ])
        with self.assertRaises(SystemExit):
            params.update(stacks, {"C": "3"})


class Scripts(unittest.TestCase):
    def setUp(self):
        self.stage = Stage()
        self.addCleanup(self.stage.folder.cleanup)

    def made(self, done):
        self.assertEqual(done.returncode, 0, done.stderr)

    def with_keys(self):
        self.made(self.stage.run("keys.sh"))

    def test_keys_publishes_the_key_that_auth_signs_with(self):
        self.with_keys()
        self.assertEqual(self.stage.kids(), [self.stage.signing_kid()])
        self.assertEqual(json.loads(self.stage.params.read_text())["TokenKeys"], self.stage.read()["parameters"]["TokenKeys"])

    def test_keys_never_replaces_a_key(self):
        self.with_keys()
        kid = self.stage.signing_kid()
        self.assertEqual(self.stage.run("keys.sh").returncode, 1)
        self.assertEqual(self.stage.signing_kid(), kid)

    def breaking_points(self, script):
        """Where `script` could break off and leave another state behind: before all, and after each write."""
        self.made(self.stage.run(script))
        calls = self.stage.read()["calls"]
        return ["1-"] + [f"{number}+" for number, call in enumerate(calls, 1) if call.split()[1] in WRITES]

    def test_keys_goes_on_where_it_stopped(self):
        for point in self.breaking_points("keys.sh"):
            with self.subTest(point):
                self.stage = Stage()
                self.addCleanup(self.stage.folder.cleanup)
                self.assertNotEqual(self.stage.run("keys.sh", die=point).returncode, 0)
                self.stage.run("keys.sh")
                self.assertEqual(self.stage.kids(), [self.stage.signing_kid()])

    def rotated(self, before, refresh_key):
        state = self.stage.read()
        kid = self.stage.signing_kid()
        self.assertNotEqual(kid, before)
        self.assertEqual(self.stage.kids(), [kid])
        self.assertEqual(json.loads(state["versions"][state["labels"]["AWSCURRENT"]])["refresh_key"], refresh_key)
        return kid

    def refresh_key(self):
        state = self.stage.read()
        return json.loads(state["versions"][state["labels"]["AWSCURRENT"]])["refresh_key"]

    def test_a_rotation_publishes_before_it_signs_and_forgets_after_an_hour(self):
        self.with_keys()
        before, refresh_key = self.stage.signing_kid(), self.refresh_key()
        done = self.stage.run("rotate-keys.sh")
        self.made(done)
        self.assertIn("phase 3 comes in", done.stderr)
        self.assertEqual(self.stage.kids(), [before, self.stage.signing_kid()])
        self.made(self.stage.run("rotate-keys.sh"))
        self.assertEqual(len(self.stage.kids()), 2, "nothing is forgotten within the hour")
        self.stage.an_hour_passes()
        self.made(self.stage.run("rotate-keys.sh"))
        self.rotated(before, refresh_key)

    def test_a_rotation_goes_on_where_it_stopped(self):
        self.with_keys()
        for point in self.breaking_points("rotate-keys.sh"):
            with self.subTest(point):
                self.stage = Stage()
                self.addCleanup(self.stage.folder.cleanup)
                self.with_keys()
                before, refresh_key = self.stage.signing_kid(), self.refresh_key()
                self.assertNotEqual(self.stage.run("rotate-keys.sh", die=point).returncode, 0)
                self.assertIn(self.stage.signing_kid(), self.stage.kids(), "a token that nobody would accept")
                self.made(self.stage.run("rotate-keys.sh"))
                self.assertEqual(self.stage.kids(), [before, self.stage.signing_kid()])
                self.stage.an_hour_passes()
                self.made(self.stage.run("rotate-keys.sh"))
                self.rotated(before, refresh_key)

    def test_a_leaked_key_is_forgotten_at_once(self):
        self.with_keys()
        before, refresh_key = self.stage.signing_kid(), self.refresh_key()
        self.made(self.stage.run("rotate-keys.sh", NOW="1"))
        self.rotated(before, refresh_key)

    def test_two_rotations_follow_each_other(self):
        self.with_keys()
        for _ in range(2):
            before, refresh_key = self.stage.signing_kid(), self.refresh_key()
            self.made(self.stage.run("rotate-keys.sh"))
            self.stage.an_hour_passes()
            self.made(self.stage.run("rotate-keys.sh"))
            self.rotated(before, refresh_key)

    def test_a_client_has_at_most_two_secrets_newest_first(self):
        done = self.stage.run("client.sh", NAME="Back office", SCOPES="portal:write")
        self.made(done)
        shown = [json.loads(done.stdout)]
        for _ in range(2):
            done = self.stage.run("client.sh", CLIENT=shown[0]["client_id"])
            self.made(done)
            shown.append(json.loads(done.stdout))
        row = self.stage.read()["rows"][f"CLI#{shown[0]['client_id']}"]
        wanted = [client.hashed(one["client_id"], one["client_secret"]) for one in (shown[2], shown[1])]
        self.assertEqual([one["S"] for one in row["secrets"]["L"]], wanted)

    def test_admin_wants_the_id_of_a_person(self):
        self.assertEqual(self.stage.run("admin.sh", ADMIN_USER="root").returncode, 1)
        self.made(self.stage.run("admin.sh", ADMIN_USER="usr_01ARYZ6S410000000000000000"))
        [[key, change]] = self.stage.read()["updates"]
        self.assertEqual(json.loads(key), {"pk": {"S": "USR#usr_01ARYZ6S410000000000000000"}, "sk": {"S": "ACCOUNT"}})
        self.assertEqual(change, "SET #admin = :true")


if __name__ == "__main__":
    unittest.main()
