"""What cfn-lint and `sam validate` do not say about template.yaml; its header tells the rules.

Looks at the text, and at what SAM makes of it. Prints every complaint and ends with 1 where there is one.
"""

import json
import os
import re
import sys
from pathlib import Path

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[2]
METHODS = {"get", "put", "post", "patch", "delete", "head", "options", "trace"}
# Properties that name a thing for the whole account or region.
NAMES = {
    "FunctionName", "TableName", "QueueName", "TopicName", "BucketName", "RoleName", "ManagedPolicyName", "AlarmName",
    "DashboardName", "LogGroupName", "Name",
}
# Resources whose property of such a name refers to another resource, or names nothing outside the stack.
REFERRING = {
    "AWS::IAM::RolePolicy", "AWS::Lambda::Permission", "AWS::Lambda::EventInvokeConfig",
    "AWS::Lambda::EventSourceMapping", "AWS::CloudWatch::Alarm", "AWS::ApiGatewayV2::DomainName",
    "AWS::ApiGatewayV2::ApiMapping", "AWS::ApiGatewayV2::Stage",
}

complaints = []


def complain(text):
    complaints.append(text)


def as_list(value):
    return value if isinstance(value, list) else [value]


def of_type(resources, kind):
    return {name: body for name, body in resources.items() if body["Type"] == kind}


def target(value):
    """The logical id that a Ref, GetAtt or Sub refers to."""
    if isinstance(value, dict):
        if "Ref" in value:
            return value["Ref"]
        if "Fn::GetAtt" in value:
            got = value["Fn::GetAtt"]
            return got[0] if isinstance(got, list) else got.split(".")[0]
        if "Fn::Sub" in value:
            found = re.search(r"\$\{([A-Za-z0-9]+)", str(value["Fn::Sub"]))
            return found and found.group(1)
    return value


def statements(document):
    for statement in as_list(document["Statement"]):
        if "Fn::If" in statement:
            statement = statement["Fn::If"][1]
        yield statement


def policies(resources):
    """(where, role, statement) of every policy of the template."""
    for name, role in of_type(resources, "AWS::IAM::Role").items():
        for policy in role["Properties"].get("Policies", []):
            for statement in statements(policy["PolicyDocument"]):
                yield name, name, statement
    for name, grant in of_type(resources, "AWS::IAM::RolePolicy").items():
        for statement in statements(grant["Properties"]["PolicyDocument"]):
            yield name, target(grant["Properties"]["RoleName"]), statement


def check_text(text):
    if re.search(r"(?m)^[^#'\"]*[:\-]\s+[&*][A-Za-z]", text):
        complain("a YAML anchor or alias: CloudFormation knows none")
    for line in re.findall(r"(?m)^  # grant: (.*)$", text):
        if not re.fullmatch(r"[a-z-]+ -> [a-z, ]+: .+", line):
            complain(f"`# grant: {line}` is not `<binary> -> <owners>: <what and why>`")
    grants = re.findall(r"(?m)^  # grant: ([a-z-]+) -> .*\n  ([A-Za-z]+):\n    Type: AWS::IAM::RolePolicy\n", text)
    named = {name for _, name in grants}
    for name in re.findall(r"(?m)^  ([A-Za-z]+):\n    Type: AWS::IAM::RolePolicy\n", text):
        if name not in named:
            complain(f"{name}: no `# grant:` line stands before it")
    return {name: binary for binary, name in grants}



def check_permissions(resources, binaries, grants):
    for where, _, statement in policies(resources):
        if statement["Effect"] != "Allow":
            continue
        for action in as_list(statement["Action"]):
            if "*" in action:
                complain(f"{where}: the action {action}")
        for resource in as_list(statement["Resource"]):
            if resource == "*":
                complain(f"{where}: the resource *")
    # A role's own policy reaches only what one family has; what two families reach needs a grant.
    reached = {}
    for name, role in of_type(resources, "AWS::IAM::Role").items():
        family = binaries.get(name.removesuffix("Role"), (None, None))[1]
        for policy in role["Properties"].get("Policies", []):
            for statement in statements(policy["PolicyDocument"]):
                for resource in as_list(statement["Resource"]):
                    logical = target(resource)
                    if logical in resources and resources[logical]["Type"] in (
                        "AWS::DynamoDB::Table", "AWS::SQS::Queue", "AWS::S3::Bucket", "AWS::SecretsManager::Secret",
                    ):
                        reached.setdefault(logical, set()).add(family)
    for logical, families in reached.items():
        if len(families) > 1:
            complain(f"{logical} is reached by the own policies of {', '.join(sorted(families))}: all but one are grants")
    for name, binary in grants.items():
        role = target(resources[name]["Properties"]["RoleName"])
        if binaries.get(role.removesuffix("Role"), (None,))[0] != binary:
            complain(f"{name}: its comment says {binary}, its role is {role}")


def check_functions(resources, binaries):
    for logical, (binary, family) in binaries.items():
        role = target(resources[logical]["Properties"].get("Role"))
        if role != f"{logical}Role":
            complain(f"{binary}: its role is {role}, not its own")
        group = target(resources[logical]["Properties"].get("LoggingConfig", {}).get("LogGroup"))
        if group != f"{logical}Logs" or "RetentionInDays" not in resources.get(group, {}).get("Properties", {}):
            complain(f"{binary}: no log group of its own with a retention")
        if not binary == family and not binary.startswith(f"{family}-"):
            complain(f"{binary}: a binary of {family} is named {family}-...")
    # What a function may reach and what it is told of must be the same tables, queues and buckets.
    reach = {}
    for _, role, statement in policies(resources):
        for resource in as_list(statement["Resource"]):
            reach.setdefault(role, set()).add(target(resource))
    for logical, (binary, _) in binaries.items():
        for setting, value in resources[logical]["Properties"]["Environment"]["Variables"].items():
            if re.match(r"(TABLE|QUEUE|TOPIC|BUCKET)_|.*_ARN$", setting):
                if target(value) not in reach.get(f"{logical}Role", set()):
                    complain(f"{binary}: is told {setting} but may not reach it")


def check_sources(resources):
    queues = of_type(resources, "AWS::SQS::Queue")
    dead = {target(q["Properties"]["RedrivePolicy"]["deadLetterTargetArn"]) for q in queues.values() if "RedrivePolicy" in q["Properties"]}
    failed = set()
    watched = {}
    for alarm in of_type(resources, "AWS::CloudWatch::Alarm").values():
        for dimension in alarm["Properties"].get("Dimensions", []):
            if dimension["Name"] == "QueueName":
                watched.setdefault(target(dimension["Value"]), set()).add(alarm["Properties"]["MetricName"])
    for name, mapping in of_type(resources, "AWS::Lambda::EventSourceMapping").items():
        properties = mapping["Properties"]
        function = resources[target(properties["FunctionName"])]["Properties"]
        if properties.get("FunctionResponseTypes") != ["ReportBatchItemFailures"]:
            complain(f"{name}: no partial batch failures")
        source = target(properties["EventSourceArn"])
        if source in queues:
            queue = queues[source]["Properties"]
            if "RedrivePolicy" not in queue:
                complain(f"{source}: no dead-letter queue")
            if queue.get("VisibilityTimeout", 30) < 6 * function["Timeout"]:
                complain(f"{source}: visible again before six times the time-out of its consumer")
            if "ApproximateAgeOfOldestMessage" not in watched.get(source, set()):
                complain(f"{source}: no alarm on the age of its oldest message")
        else:
            for needed in ("FilterCriteria", "BisectBatchOnFunctionError", "MaximumRetryAttempts", "MaximumRecordAgeInSeconds"):
                if needed not in properties:
                    complain(f"{name}: no {needed}")
            failed.add(target(properties.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")))
    for config in of_type(resources, "AWS::Lambda::EventInvokeConfig").values():
        failed.add(target(config["Properties"]["DestinationConfig"]["OnFailure"]["Destination"]))
    for queue in sorted(dead | failed, key=str):
        if "ApproximateNumberOfMessagesVisible" not in watched.get(queue, set()):
            complain(f"{queue}: no alarm on what lies in it")


def check_names(resources):
    for name, body in resources.items():
        if body["Type"] in REFERRING:
            continue
        for key, value in body.get("Properties", {}).items():
            if key in NAMES and "${AWS::StackName}" not in json.dumps(value) and "AWS::StackName" not in json.dumps(value):
                complain(f"{name}: {key} is not built from the stack's name")


def check_api(resources):
    api = resources["HttpApi"]["Properties"]["Body"]
    cors = api.get("x-amazon-apigateway-cors", {}).get("Fn::If", [None, {}])[1]
    if not {"allowOrigins", "allowMethods", "allowHeaders", "exposeHeaders"} <= set(cors):
        complain(f"HttpApi: SAM left of the CORS settings {sorted(cors)}")
    routes = {
        (method.upper(), path) for path, methods in api["paths"].items() for method in methods if method in METHODS
    }
    if "/$default" not in api["paths"] and "$default" not in api["paths"]:
        complain("HttpApi: no $default route")
    document = ROOT / "docs/openapi.json"
    if not document.exists():
        print("docs/openapi.json is not there yet: routes are not compared")
        return
    paths = json.loads(document.read_text(encoding="utf-8"))["paths"]
    said = {(method.upper(), path) for path, methods in paths.items() for method in methods if method in METHODS}
    for method, path in sorted(routes - said):
        complain(f"{method} {path} stands in the template, not in docs/openapi.json")
    for method, path in sorted(said - routes):
        complain(f"{method} {path} stands in docs/openapi.json, not in the template")


def main():
    text = (ROOT / "template.yaml").read_text(encoding="utf-8")
    template = yaml_parse(text)
    binaries = {}
    for name, body in of_type(template["Resources"], "AWS::Serverless::Function").items():
        binaries[name] = (
            body["Metadata"]["BuildProperties"]["Binary"],
            body["Properties"]["CodeUri"].removeprefix("functions/"),
        )
        # SAM wants the code where a build would have put it.
        body["Properties"]["CodeUri"] = "s3://bucket/key"
    grants = check_text(text)

    os.environ.setdefault("AWS_DEFAULT_REGION", "eu-central-1")

    class NoManagedPolicies:
        def load(self):
            return {}

    resources = transform(template, {"AWS::Region": os.environ["AWS_DEFAULT_REGION"]}, NoManagedPolicies())["Resources"]
    check_permissions(resources, binaries, grants)
    check_functions(resources, binaries)
    check_sources(resources)
    check_names(resources)
    check_api(resources)
    for complaint in complaints:
        print(f"template.yaml: {complaint}", file=sys.stderr)
    print(f"template.yaml: {len(binaries)} functions, {len(grants)} grants, {len(complaints)} complaints")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
