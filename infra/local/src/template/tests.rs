use super::*;

const SMALL: &str = r#"
Parameters:
  Stage: {Type: String, Default: dev, AllowedValues: [dev, prod]}
  Quota: {Type: Number, Default: 1000}
  Dashboard: {Type: String, Default: ""}
Conditions:
  IsProd: !Equals [!Ref Stage, prod]
  WithDashboard: !And [!Not [!Equals [!Ref Dashboard, ""]], !Or [!Condition IsProd, !Equals [a, a]]]
Globals:
  Function:
    Timeout: 10
    MemorySize: 256
    Environment: {Variables: {STAGE: !Ref Stage, TABLE: !Ref Accounts}}
Resources:
  Accounts:
    Type: AWS::DynamoDB::Table
    DeletionPolicy: Retain
    Properties:
      DeletionProtectionEnabled: !If [IsProd, true, false]
      SSESpecification: !If [IsProd, {SSEEnabled: true}, !Ref AWS::NoValue]
      AttributeDefinitions: [{AttributeName: pk, AttributeType: S}, {AttributeName: sk, AttributeType: S}, {AttributeName: seq, AttributeType: N}]
      KeySchema: [{AttributeName: pk, KeyType: HASH}, {AttributeName: sk, KeyType: RANGE}]
      LocalSecondaryIndexes:
        - {IndexName: by-seq, KeySchema: [{AttributeName: pk, KeyType: HASH}, {AttributeName: seq, KeyType: RANGE}], Projection: {ProjectionType: ALL}}
      StreamSpecification: {StreamViewType: NEW_AND_OLD_IMAGES}
      TimeToLiveSpecification: {AttributeName: ttl, Enabled: true}
  Erase:
    Type: AWS::SQS::Queue
    Properties:
      VisibilityTimeout: 60
      RedrivePolicy: {deadLetterTargetArn: !GetAtt EraseDead.Arn, maxReceiveCount: 5}
  EraseDead: {Type: AWS::SQS::Queue, Properties: {MessageRetentionPeriod: 1209600}}
  Events: {Type: AWS::SNS::Topic}
  Exports: {Type: AWS::S3::Bucket}
  Key: {Type: AWS::SecretsManager::Secret, Properties: {Name: !Sub "${AWS::StackName}/key"}}
  Board:
    Type: AWS::CloudWatch::Dashboard
    Condition: WithDashboard
    Properties: {DashboardBody: "{}"}
  Odd: {Type: AWS::CloudFront::Function, Properties: {Code: !Transform {Name: what}}}
  AuthOnSessionFunction:
    Type: AWS::Serverless::Function
    Properties:
      Timeout: 30
      Environment:
        Variables:
          QUEUE: !Ref Erase
          TOPIC: !Ref Events
          SECRET: !Ref Key
          BUCKET: !Ref Exports
          QUOTA: !Ref Quota
          NAME: !Sub ["${Start}-${AWS::Region}-${!Literal}", {Start: !Select [1, !Split [",", "a,b"]]}]
          JOINED: !Join ["/", [x, !GetAtt Erase.QueueName]]
      Events:
        Api: {Type: HttpApi, Properties: {Path: "/auth/{proxy+}", Method: any}}
        Queue: {Type: SQS, Properties: {Queue: !GetAtt Erase.Arn, BatchSize: 5, FunctionResponseTypes: [ReportBatchItemFailures]}}
        Stream:
          Type: DynamoDB
          Properties:
            Stream: !GetAtt Accounts.StreamArn
            StartingPosition: TRIM_HORIZON
            BisectBatchOnFunctionError: true
            MaximumRetryAttempts: 10
            MaximumRecordAgeInSeconds: 3600
            DestinationConfig: {OnFailure: {Destination: !GetAtt EraseDead.Arn}}
            FilterCriteria: {Filters: [{Pattern: '{"dynamodb":{"Keys":{"sk":{"S":[{"prefix":"EVT#"}]}}}}'}]}
        Daily: {Type: Schedule, Properties: {Schedule: rate(1 day)}}
"#;

fn parse(params: &[(&str, &str)]) -> Result<Template, TemplateError> {
    let params = params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Template::parse(SMALL, &params)
}

#[test]
fn settings_resolve_to_local_names() {
    let template = parse(&[("Quota", "7")]).unwrap();
    let env = &template.functions()[0].env;
    assert_eq!(env["STAGE"], "dev");
    assert_eq!(env["TABLE"], "satchel-local-Accounts");
    assert_eq!(env["QUEUE"], "http://127.0.0.1:9324/000000000000/satchel-local-Erase");
    assert_eq!(env["TOPIC"], "arn:aws:sns:us-east-1:000000000000:satchel-local-Events");
    assert_eq!(env["SECRET"], "arn:aws:secretsmanager:us-east-1:000000000000:secret:satchel-local/key");
    assert_eq!(env["BUCKET"], "satchel-local-exports");
    assert_eq!(env["QUOTA"], "7");
    assert_eq!(env["NAME"], "b-us-east-1-${Literal}");
    assert_eq!(env["JOINED"], "x/satchel-local-Erase");
}

#[test]
fn tables_and_queues_carry_what_the_emulators_need() {
    let template = parse(&[]).unwrap();
    let table = template.table("Accounts").unwrap();
    assert_eq!((table.hash.name.as_str(), table.ttl.as_deref()), ("pk", Some("ttl")));
    assert_eq!(table.local_indexes[0].name, "by-seq");
    assert_eq!(table.stream.as_deref(), Some("NEW_AND_OLD_IMAGES"));
    let queue = template.queue("Erase").unwrap();
    assert_eq!(queue.visibility_s, 60);
    let redrive = queue.redrive.as_ref().unwrap();
    assert_eq!((redrive.max_receives, &redrive.target_arn), (5, &template.queue("EraseDead").unwrap().arn));
}

#[test]
fn functions_know_their_binary_and_events() {
    let template = parse(&[]).unwrap();
    let function = &template.functions()[0];
    assert_eq!(function.binary, "auth-on-session");
    assert_eq!((function.timeout.as_secs(), function.memory_mb), (30, 256));
    assert_eq!(function.events.len(), 4);
    for event in &function.events {
        match event {
            Event::Http { method, path, .. } => assert_eq!((method.as_str(), path.as_str()), ("ANY", "/auth/{proxy+}")),
            Event::Sqs { queue, batch_size, report_failures, .. } => {
                assert_eq!((queue.as_str(), *batch_size, *report_failures), ("Erase", 5, true));
            }
            Event::Stream { table, bisect, max_retries, on_failure, start, max_age, .. } => {
                assert_eq!((table.as_str(), *bisect, *max_retries), ("Accounts", true, Some(10)));
                assert_eq!((on_failure.as_deref(), *start), (Some("EraseDead"), Start::TrimHorizon));
                assert_eq!(max_age.unwrap().as_secs(), 3600);
            }
            Event::Schedule { name, expression, .. } => {
                assert_eq!((name.as_str(), expression.as_str()), ("Daily", "rate(1 day)"));
            }
        }
    }
}

#[test]
fn resources_whose_condition_fails_are_absent() {
    assert!(parse(&[]).unwrap().value("Board").is_none());
    assert!(parse(&[("Dashboard", "yes")]).unwrap().value("Board").is_some());
}

#[test]
fn other_defaults_stand_below_what_is_given_and_may_be_of_another_template() {
    let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let defaults = map(&[("Quota", "7"), ("Stage", "prod"), ("Elsewhere", "x")]);
    let template = Template::parse_with(SMALL, &map(&[("Stage", "dev")]), &defaults).unwrap();
    assert_eq!((&template.parameters()["Quota"][..], &template.parameters()["Stage"][..]), ("7", "dev"));
    assert!(!template.parameters().contains_key("Elsewhere"));
    let wrong = Template::parse_with(SMALL, &map(&[("Elsewhere", "x")]), &defaults).unwrap_err();
    assert!(wrong.to_string().contains("no parameter `Elsewhere`"), "{wrong}");
}

#[test]
fn a_parameter_is_held_to_its_constraints() {
    const PARAMETERS: &str = r#"
Parameters:
  Bytes: {Type: Number, Default: 10, MinValue: -1, MaxValue: "262144"}
  Name: {Type: String, Default: satchel, MinLength: 1, MaxLength: 8}
  Stage: {Type: String, Default: dev, AllowedPattern: "[a-z]{1,5}|prod-[0-9]"}
  Hosts: {Type: CommaDelimitedList, Default: "a, b", AllowedValues: [a, b, c]}
  Ports: {Type: List<Number>, Default: "1,2", MaxValue: 9}
Resources: {Topic: {Type: AWS::SNS::Topic}}
"#;
    let with = |name: &str, value: &str| {
        Template::parse(PARAMETERS, &BTreeMap::from([(name.to_owned(), value.to_owned())])).map(|_| ())
    };
    for (name, value) in [
        ("Bytes", "-1"),
        ("Bytes", "262144"),
        ("Name", "12345678"),
        ("Name", "ééééüüüü"),
        ("Stage", "prod-1"),
        ("Hosts", "c,a"),
        ("Ports", "9"),
    ] {
        assert_eq!(with(name, value), Ok(()), "{name}={value}");
    }
    for (name, value, complaint) in [
        ("Bytes", "-2", "must be at least -1, not `-2`"),
        ("Bytes", "262145", "must be at most 262144, not `262145`"),
        ("Bytes", "NaN", "must be a number, not `NaN`"),
        ("Name", "", "must have 1 or more characters, not 0"),
        ("Name", "123456789", "must have 8 or fewer characters, not 9"),
        ("Stage", "develop", "must match [a-z]{1,5}|prod-[0-9], and `develop` does not"),
        ("Stage", "dev\n", "must match"),
        ("Stage", "xprod-1", "must match"),
        ("Hosts", "a,d", "must be one of a, b, c, not `d`"),
        ("Ports", "1,10", "must be at most 9, not `10`"),
    ] {
        let error = with(name, value).unwrap_err();
        assert_eq!(error.0.len(), 1, "{error}");
        assert!(error.0[0].starts_with(&format!("parameter `{name}` {complaint}")), "{error}");
    }
}

#[test]
fn a_role_lacks_what_its_sources_and_destinations_need() {
    let function = "    Type: AWS::Serverless::Function\n    Properties:\n";
    let with = |statements: &str| {
        let role = format!(
            "{function}      Role: !GetAtt May.Arn\n      EventInvokeConfig: {{DestinationConfig: {{OnFailure: {{Destination: !GetAtt EraseDead.Arn}}}}}}\n"
        );
        let may = format!(
            "  May: {{Type: AWS::IAM::Role, Properties: {{Policies: [{{PolicyDocument: {{Statement: [{statements}]}}}}]}}}}\n"
        );
        Template::parse(&format!("{}{may}", SMALL.replace(function, &role)), &BTreeMap::new())
    };
    let queue = "{Effect: Allow, Action: 'sqs:*', Resource: [!GetAtt Erase.Arn, !GetAtt EraseDead.Arn]}";
    let stream = "{Effect: Allow, Action: 'dynamodb:*', Resource: !GetAtt Accounts.StreamArn}";
    let both = with(&format!("{queue}, {stream}")).unwrap();
    assert_eq!(both.functions()[0].role.name, "May");
    let error = with(stream).unwrap_err();
    let lacks =
        |action: &str| error.0.iter().filter(|text| text.contains(&format!("does not allow {action} on"))).count();
    let queues = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"];
    assert_eq!((queues.map(lacks), lacks("sqs:SendMessage"), error.0.len()), ([1; 3], 2, 5), "{error}");
    let error = with(queue).unwrap_err();
    assert_eq!(error.0.len(), 4, "{error}");
    let elsewhere = SMALL.replace(function, &format!("{function}      Role: arn:aws:iam::1:role/Other\n"));
    let error = Template::parse(&elsewhere, &BTreeMap::new()).unwrap_err();
    assert!(error.to_string().contains("is not a role of this template"), "{error}");
}

#[test]
fn all_complaints_come_at_once() {
    let error = parse(&[("Stage", "test"), ("Sattge", "prod")]).unwrap_err();
    assert_eq!(error.0.len(), 2, "{error}");
    let broken = SMALL.replace("!Ref Exports", "!Ref Export").replace("!GetAtt Erase.Arn", "!GetAtt Eraser.Arn");
    let error = Template::parse(&broken, &BTreeMap::new()).unwrap_err();
    assert!(error.to_string().contains("`Export`"), "{error}");
}
