"""The scripts, run for real against stand-ins for the commands that would reach AWS or compile: `aws`, `sam deploy` and
`cargo`, the files beside this one. `sam build` is the real one.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[1]
ROOT = TOOLS.parents[1]
sys.dont_write_bytecode = True
sys.path.insert(0, str(TOOLS))

import client
import keys
import params
import rotation

WRITES = {"put-secret-value", "update-secret-version-stage", "update-stack"}
NO_KEY = '{"keys":[]}'


def python_with_sam():
    """This Python, or that of .venv, where it has sam: `make tools` sees to it."""
    for python in (sys.executable, ROOT / ".venv/bin/python"):
        found = subprocess.run([python, "-c", "import samcli"], capture_output=True, check=False) if Path(python).exists() else None
        if found and found.returncode == 0:
            return python
    return None


PYTHON_WITH_SAM = python_with_sam()
with_sam = unittest.skipUnless(PYTHON_WITH_SAM, "sam is not installed: make template")


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
        self.command("aws", sys.executable, f'-IS "{TOOLS}/tests/aws"')
        self.write({
            "outputs": {"AuthSecretArn": "arn:secret", "AccountsTable": "accounts", "ApiUrl": "https://api.example"},
            "parameters": {"Stage": "dev", "TokenKeys": NO_KEY, "AuthSecretVersion": "0", "StoreEpoch": "1"},
            "versions": {}, "labels": {}, "rows": {}, "status": "UPDATE_COMPLETE",
        })

    def command(self, name, python, script):
        """A command `name` in the path: `script`, run by `python`."""
        path = self.root / "bin" / name
        path.unlink(missing_ok=True)
        path.write_text(f'#!/bin/sh\nexec "{python}" {script} "$@"\n')
        path.chmod(0o755)

    def write(self, state):
        self.state.write_text(json.dumps(state))

    def read(self):
        return json.loads(self.state.read_text())

    def run(self, script, *words, die="", **env):
        state = self.read()
        state["calls"] = []
        self.write(state)
        env = {"PATH": f"{self.root}/bin:{os.environ['PATH']}", "HOME": self.folder.name, "STAGE": "dev", "FAKE_AWS": str(self.state), "FAKE_AWS_DIE": die, **env}
        return subprocess.run(["bash", str(self.root / "infra/tools" / script), *words], env=env, capture_output=True, text=True, check=False)

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


class Deployment(unittest.TestCase):
    """What a deployment says of parameters, without a command."""

    def test_what_the_file_leaves_out_has_the_templates_default(self):
        said, differing = params.deployed({"A": "1", "B": "2"}, {"B": "3"}, {"A": "9"})
        self.assertEqual((said, differing), ({"A": "1", "B": "3"}, []))

    def test_a_running_stack_keeps_the_signing_keys_parameters(self):
        template = {"TokenKeys": NO_KEY, "AuthSecretVersion": "0"}
        file = {"TokenKeys": "old", "AuthSecretVersion": "1"}
        stack = {"TokenKeys": "new", "AuthSecretVersion": "1"}
        self.assertEqual(params.deployed(template, file, stack), ({}, ["TokenKeys"]))
        self.assertEqual(params.deployed(template, {}, stack), ({}, []))
        self.assertEqual(params.deployed(template, file, {}), ({}, list(file)), "nor do they come from a copied file")

    def test_a_store_epoch_is_never_lowered(self):
        self.assertEqual(params.deployed({"StoreEpoch": "1"}, {"StoreEpoch": "3"}, {"StoreEpoch": "2"})[0], {"StoreEpoch": "3"})
        for file in ({"StoreEpoch": "2"}, {}):
            with self.assertRaises(SystemExit):
                params.deployed({"StoreEpoch": "1"}, file, {"StoreEpoch": "3"})

    def test_a_name_the_template_does_not_have_is_refused_and_so_is_one_without_a_value(self):
        for template, file in (({"A": "1"}, {"B": "2"}), ({"A": None}, {})):
            with self.assertRaises(SystemExit):
                params.deployed(template, file, {})

    def test_a_stack_that_was_never_made_has_no_parameters(self):
        stack = {"StackStatus": "REVIEW_IN_PROGRESS", "Parameters": [{"ParameterKey": "A", "ParameterValue": "1"}]}
        self.assertEqual(params.live(json.dumps({"Stacks": [stack]})), {})
        self.assertEqual(params.live(json.dumps({"Stacks": [stack | {"StackStatus": "CREATE_COMPLETE"}]})), {"A": "1"})
        self.assertEqual(params.live("\n"), {})


@with_sam
class Deploy(unittest.TestCase):
    """deploy.sh with our template and parameter files, sam's parser, and a build as `make build` leaves it."""

    def setUp(self):
        self.stage = Stage()
        self.addCleanup(self.stage.folder.cleanup)
        self.stage.command("python3", PYTHON_WITH_SAM, "")
        self.stage.command("sam", PYTHON_WITH_SAM, f'"{TOOLS}/tests/sam"')
        for file in (ROOT / "infra/params").glob("*.json"):
            shutil.copy(file, self.stage.params.parent)
        self.template = self.stage.root / ".aws-sam/build/template.yaml"
        self.template.parent.mkdir(parents=True)
        text = (ROOT / "template.yaml").read_text(encoding="utf-8")
        self.template.write_text(re.sub(r"CodeUri: functions/", "CodeUri: ", text), encoding="utf-8")
        for family in (ROOT / "functions").glob("*/Cargo.toml"):
            self.program(family.parent.name, 0xB7)
        self.defaults = {
            name: str(body["Default"]) for name, body in self.parameters_of_the_template().items()
        }

    def parameters_of_the_template(self):
        code = (
            "import json, sys; from samtranslator.yaml_helper import yaml_parse;"
            "print(json.dumps(yaml_parse(open(sys.argv[1]).read())['Parameters']))"
        )
        return json.loads(subprocess.run([PYTHON_WITH_SAM, "-c", code, self.template], capture_output=True, check=True).stdout)

    def program(self, family, machine, mode=0o755):
        program = self.template.parent / family / "bootstrap"
        program.parent.mkdir(exist_ok=True)
        program.write_bytes(b"\x7fELF" + bytes(14) + machine.to_bytes(2, "little"))
        program.chmod(mode)

    def file(self, stage="dev", **values):
        path = self.stage.params.parent / f"{stage}.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))
        return json.loads(path.read_text())

    def change(self, **values):
        self.stage.write(self.stage.read() | values)

    def deploy(self, stage="dev", **env):
        done = self.stage.run("deploy.sh", STAGE=stage, CI="true", SAM_CLI_TELEMETRY="0", **env)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def refused(self, *words):
        done = self.stage.run("deploy.sh", CI="true")
        self.assertEqual(done.returncode, 1, done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)
        self.assertNotIn("deployed", self.stage.read())

    def test_every_parameter_of_a_new_stack_is_the_files_or_the_default(self):
        for stage in ("dev", "prod"):
            with self.subTest(stage):
                self.change(status="")
                # What a file has that was copied from a stage with a key.
                copied = {"TokenKeys": json.dumps(keys.jwks([keys.secret()])), "AuthSecretVersion": "2025-01-01T00:00:00Z_x"}
                file = self.file(stage, AlarmEmail="", GoogleClientIds="a.example,b.example", **copied)
                done = self.deploy(stage)
                wanted = self.defaults | file | {name: self.defaults[name] for name in copied}
                self.assertEqual(self.stage.read()["parameters"], wanted)
                told = self.stage.read()["deployed"]["overrides"]
                self.assertEqual(told, {name: value for name, value in wanted.items() if name not in copied}, "all are told")
                self.assertEqual(self.stage.read()["deployed"]["stack"], f"satchel-{stage}")
                self.assertEqual(done.stdout.strip(), "https://api.example")
                self.assertIn(f"Next: make keys STAGE={stage}", done.stderr)

    def test_what_a_stack_has_and_the_file_no_longer_says_goes_back_to_the_default(self):
        self.change(parameters=self.stage.read()["parameters"] | {"ThrottleRate": "9"})
        self.deploy()
        self.assertEqual(self.stage.read()["parameters"]["ThrottleRate"], self.defaults["ThrottleRate"])

    def test_a_clone_that_is_behind_takes_no_key_back(self):
        self.assertEqual(self.stage.run("keys.sh").returncode, 0)
        running = self.stage.read()["parameters"]
        for old in ({"TokenKeys": NO_KEY, "AuthSecretVersion": "0"}, {"TokenKeys": json.dumps({"keys": [{"kid": "old"}]})}):
            self.file(**old)
            done = self.deploy()
            self.assertIn("TokenKeys: the stack keeps what it has, dev.json says something else", done.stderr)
            for name in params.KEPT:
                self.assertEqual(self.stage.read()["parameters"][name], running[name])
                self.assertNotIn(name, self.stage.read()["deployed"]["overrides"])
        self.file(**{name: running[name] for name in params.KEPT})
        self.assertNotIn("keeps", self.deploy().stderr)

    def test_a_deployment_begins_only_where_it_is_known_what_runs(self):
        self.change(status="", unreachable=True)
        self.refused("it is not known whether there is a stack satchel-dev")

    def test_a_file_that_does_not_fit_is_refused(self):
        self.file(TokenIsuer="x")
        self.refused("TokenIsuer")

    def test_a_build_that_does_not_fit_is_refused(self):
        for spoil, words in (
            (lambda: self.program("sync", 0x3E), "SyncOnErase is not built for arm64"),
            (lambda: self.program("web", 0xB7, 0o644), "Web may not be executed"),
            (lambda: (self.template.parent / "auth/bootstrap").unlink(), "AuthOnErase is not built"),
            (lambda: self.file(Architecture="x86_64"), "Payments is not built for x86_64"),
            (lambda: self.template.unlink(), "nothing is built yet"),
        ):
            with self.subTest(words):
                spoil()
                self.refused(words)

    def test_nothing_is_left_behind(self):
        scratch = self.stage.root / "tmp"
        scratch.mkdir()
        self.deploy(TMPDIR=str(scratch))
        self.change(unreachable=True, status="")
        self.stage.run("deploy.sh", TMPDIR=str(scratch))
        self.assertEqual(list(scratch.iterdir()), [])

    def test_a_check_wants_the_stage_and_deploys_nothing(self):
        self.assertEqual(self.stage.run("deploy.sh", "check").returncode, 0)
        for stage in ("", "nowhere", "Dev;"):
            self.assertEqual(self.stage.run("deploy.sh", "check", STAGE=stage).returncode, 1)
        self.assertNotIn("deployed", self.stage.read())


@with_sam
class Build(unittest.TestCase):
    """build.sh with our template and the real `sam build`, up to the words that it has for cargo."""

    def setUp(self):
        self.stage = Stage()
        self.addCleanup(self.stage.folder.cleanup)
        root = self.stage.root
        self.stage.command("python3", PYTHON_WITH_SAM, "")
        self.stage.command("sam", PYTHON_WITH_SAM, "-m samcli")
        for name in ("cargo", "cargo-lambda"):
            self.stage.command(name, sys.executable, f'"{TOOLS}/tests/cargo"')
        (root / "functions").symlink_to(ROOT / "functions")
        shutil.copy(ROOT / "template.yaml", root)
        # It asked for a newer version of itself just now.
        (root / "home/.aws-sam").mkdir(parents=True)
        (root / "home/.aws-sam/metadata.json").write_text(json.dumps({"lastVersionCheck": time.time()}))

    def build(self, *words, **env):
        asked = self.stage.root / "asked"
        asked.unlink(missing_ok=True)
        done = self.stage.run(
            "build.sh", *words, HOME=str(self.stage.root / "home"), SAM_CLI_TELEMETRY="0", FAKE_CARGO=str(asked),
            CARGO_TARGET_DIR=str(self.stage.root / "target"), **env,
        )
        return done, [json.loads(line) for line in asked.read_text().splitlines()] if asked.exists() else []

    def test_the_stage_says_for_which_architecture(self):
        for file, env, wanted in (
            ({}, {}, "arm64"),
            ({"Architecture": "x86_64"}, {}, "x86_64"),
            ({"Architecture": "x86_64"}, {"STAGE": ""}, "arm64"),
            ({}, {"STAGE": "", "ARCHITECTURE": "x86_64"}, "x86_64"),
        ):
            with self.subTest(file=file, env=env):
                self.stage.params.write_text(json.dumps({"Stage": "dev"} | file))
                done, asked = self.build("Web", **env)
                self.assertEqual(done.returncode, 0, done.stderr)
                arm = ["--arm64"] if wanted == "arm64" else []
                self.assertEqual(asked, [["lambda", "build", "--release", *arm, "--bin", "web"]])

    def test_a_build_of_all_can_be_deployed(self):
        done, asked = self.build()
        self.assertEqual(done.returncode, 0, done.stderr)
        binaries = re.findall(r"Binary: ([a-z-]+)", (ROOT / "template.yaml").read_text(encoding="utf-8"))
        self.assertEqual(sorted(words[-1] for words in asked), sorted(binaries))

    def test_a_stage_without_a_file_is_not_built(self):
        done, asked = self.build(STAGE="nowhere")
        self.assertEqual((done.returncode, asked), (1, []))


class Hook(unittest.TestCase):
    """The hook before a commit, in a repository of its own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        # None of git's variables: of who runs this from a hook they name another repository.
        self.env = {"PATH": os.environ["PATH"], "HOME": folder.name, "GIT_CONFIG_NOSYSTEM": "1"}
        self.git("init", "--quiet")
        # Its last step, the format.
        (self.root / "Makefile").write_text("fmt:\n")

    def git(self, *words):
        user = ["-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *user, *words], cwd=self.root, env=self.env, check=True, capture_output=True)

    def passes(self, **files):
        for name, text in files.items():
            (self.root / name).write_bytes(text.encode())
            self.git("add", name)
        hook = ["bash", str(ROOT / ".githooks/pre-commit")]
        done = subprocess.run(hook, cwd=self.root, env=self.env, capture_output=True, text=True, check=False)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        self.assertEqual("a private key" in done.stderr, done.returncode == 1, done.stderr)
        for name in files:
            self.git("rm", "--quiet", "--cached", name)
        return done.returncode == 0

    def test_a_private_key_is_held_back_in_whatever_file(self):
        pem = keys.new_signing_key()
        self.assertFalse(self.passes(key=pem))
        self.assertFalse(self.passes(key=pem.replace("PRIVATE", "ENCRYPTED PRIVATE")))
        self.assertFalse(self.passes(key=pem.replace("PRIVATE", "RSA PRIVATE")))
        self.assertFalse(self.passes(key=pem.replace("\n", "\r\n")))
        self.assertFalse(self.passes(secret=json.dumps(keys.secret())), "its line breaks are \\n")
        self.assertFalse(self.passes(secret=json.dumps(json.dumps(keys.secret()))), "its line breaks are \\\\n")
        self.assertFalse(self.passes(key=pem.replace("\n", " ")), "a variable of an environment")
        self.assertFalse(self.passes(key="\0" + pem), "git takes it for binary")

    def test_a_key_ahead_of_much_else_is_held_back(self):
        self.assertFalse(self.passes(a=keys.new_signing_key(), b="a line of a large file\n" * 200_000))

    def test_what_is_no_key_passes(self):
        pem = keys.new_signing_key()
        self.assertTrue(self.passes(public=pem.replace("PRIVATE", "PUBLIC"), code='key.startswith("-----BEGIN PRIVATE KEY-----")\n'))
        self.assertTrue(self.passes(hook=(ROOT / ".githooks/pre-commit").read_text(), test=Path(__file__).read_text()))

    def test_a_key_may_go(self):
        (self.root / "key").write_text(keys.new_signing_key())
        self.git("add", "key")
        self.git("commit", "--quiet", "--no-verify", "-m", "a mistake")
        self.git("rm", "--quiet", "key")
        self.assertTrue(self.passes())


if __name__ == "__main__":
    unittest.main()
