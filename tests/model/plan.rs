//! `tenantry plan`, run as anybody would without a cluster and without AWS: nothing of either is in its environment.

use std::io::{ErrorKind, Write};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

const EXAMPLES: [&str; 6] =
    ["-f", "shared-stack.yaml", "silo.yaml", "bridge.yaml", "pool.yaml", "leaving.yaml"];

/// Ten Pool tenants of one stack.
fn ten_tenants() -> String {
    let stack =
        "{apiVersion: tenantry.dev/v1alpha1, kind: SharedStack, metadata: {name: s}, spec: {pool: {}}}\n";
    let tenants = (0..10).map(|n| tenant(&format!("t{n}"), "pattern: Pool, stackRef: {name: s}"));
    stack.to_owned() + &tenants.collect::<String>()
}

fn tenant(id: &str, spec: &str) -> String {
    format!(
        "---\n{{apiVersion: tenantry.dev/v1alpha1, kind: Tenant, metadata: {{name: {id}}}, \
         spec: {{tenantId: {id}, {spec}}}}}\n"
    )
}

fn run(args: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tenantry"))
        .arg("plan")
        .args(args)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/examples"))
        .env_clear()
        // Whoever asked the network would get no answer.
        .envs([("HTTPS_PROXY", "http://127.0.0.1:9"), ("HTTP_PROXY", "http://127.0.0.1:9")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Whoever refuses its arguments does not read, and may be gone already.
    match child.stdin.take().unwrap().write_all(input.as_bytes()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        written => written.unwrap(),
    }
    child.wait_with_output().unwrap()
}

fn told(args: &[&str], input: &str) -> String {
    let output = run(args, input);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn json_of(args: &[&str], input: &str) -> Value {
    serde_json::from_str(&told(&[args, &["-o", "json"]].concat(), input)).unwrap()
}

/// What is wrong, and that it is an error.
fn refused(input: &str) -> String {
    let output = run(&["-f", "-"], input);
    assert!(!output.status.success() && output.stdout.is_empty(), "{input} should be refused");
    String::from_utf8(output.stderr).unwrap()
}

/// Also a class of which there is no Tenant yet.
#[test]
fn a_class_that_no_tenant_could_be_of_is_refused() {
    let class = |spec: &str| {
        let stack = "{apiVersion: tenantry.dev/v1alpha1, kind: SharedStack, metadata: {name: s}, spec: {}}";
        format!(
            "{stack}\n---\n{{apiVersion: tenantry.dev/v1alpha1, kind: TenantClass, metadata: {{name: gold}}, spec: {{{spec}}}}}\n"
        )
    };
    for (spec, says) in [
        (
            "defaults: {ingestion: {schedule: 0 25 * * *}}",
            "ClassConflict: no Tenant could be of it: ScheduleInvalid",
        ),
        ("placement: {pattern: Silo}, defaults: {ingestion: {timeZone: Vienna}}", "ScheduleInvalid"),
    ] {
        let said = refused(&class(spec));
        assert!(said.contains("The TenantClass \"gold\" is refused") && said.contains(says), "{said}");
        let with_tenant = class(spec) + &tenant("acme", "pattern: Silo, classRef: {name: gold}");
        assert_eq!(refused(&with_tenant).matches("refused").count(), 1, "its tenants are not blamed");
    }
    told(&["-f", "-"], &class("placement: {pattern: Pool, stackRef: {name: s}}"));
}

/// Nothing is wrong with them, and there is nothing to plan.
#[test]
fn classes_alone_are_told_as_good_and_as_not_enough() {
    let (gold, basic) = (class("gold", "placement: {pattern: Silo}"), class("basic", ""));
    let said = refused(&gold);
    for part in [
        "no Tenant and no SharedStack",
        "TenantClass/gold is as it should be, and builds nothing without Tenants",
        "with another -f",
    ] {
        assert!(said.contains(part), "no '{part}' in\n{said}");
    }
    let said = refused(&(gold + &basic));
    assert!(said.contains("TenantClass/gold, TenantClass/basic are as they should be"), "{said}");
    let said = refused(&class("gold", "placement: {pattern: Moat}"));
    assert!(!said.contains("should be"), "{said}");
}

#[test]
fn where_the_operator_requires_a_class_a_tenant_without_one_is_refused() {
    let input = ten_tenants();
    told(&["-f", "-"], &input);
    let output = run(&["-f", "-", "--require-class"], &input);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("ClassNotAllowed"), "{said}");
    let class = "---\n{apiVersion: tenantry.dev/v1alpha1, kind: TenantClass, metadata: {name: gold}, spec: {placement: {pattern: Silo}}}\n";
    let input = class.to_owned() + &tenant("acme", "classRef: {name: gold}");
    told(&["-f", "-", "--require-class"], &input);
}

#[test]
fn the_examples_are_told_to_people() {
    let text = told(&EXAMPLES, "");
    for part in [
        "installation tenantry, account 111122223333 (an example) and region us-east-1",
        "SharedStack/standard, SharedStack with a pool (shared-stack.yaml)",
        "Tenant/tenants/globex, tenantId globex, Silo (silo.yaml)",
        "  key             owned     alias/tenantry-ta-globe-",
        "  bucket          borrowed  tenantry-sa-stand-",
        "  key             none      keys of the AWS services encrypt, free of charge",
        "CreateKnowledgeBase               knowledge base tenantry-ta-inite-",
        "pool/acme/\n  onboarding changes nothing in AWS",
        "3 tenants × 100 documents × 21 chunks of 300 tokens = 6,300 requests and 1,890,000 tokens",
        "ingestion by cohere.embed-multilingual-v3: 100 documents",
        "A month in which nobody asks anything: $701.80, at $0.24 an OCU-hour",
        "if they did not, it would be $1052.20",
        "5 of             100  knowledge bases in the account and region",
        "6 of             500  data access policies",
    ] {
        assert!(text.contains(part), "no '{part}' in\n{text}");
    }
    assert!(!text.contains("DOES NOT FIT") && !text.contains("$-"), "{text}");
}

#[test]
fn names_are_those_of_installation_account_and_region() {
    let bucket = |more: &[&str]| {
        let plan = json_of(&[&EXAMPLES, more].concat(), "");
        plan["objects"][0]["layers"][1]["name"].as_str().unwrap().to_owned()
    };
    // docs/preview.md shows this stack's bucket.
    let demo = ["--installation", "demo", "--account", "111122223333"];
    assert_eq!(bucket(&demo), "demo-sa-stand-gxt44wxbqg");
    assert_ne!(bucket(&[&demo[..], &["--region", "eu-central-1"]].concat()), bucket(&demo));
    for (flag, value) in
        [("--installation", "Prod"), ("--account", "12"), ("--region", "Frankfurt"), ("--rpm", "0")]
    {
        assert!(!run(&[&EXAMPLES[..], &[flag, value]].concat(), "").status.success(), "{flag} {value}");
    }
}

/// The worked example: 1h 50m and 12 a day by requests, 12h 13m and 1 a day by tokens, which bind.
#[test]
fn a_pool_is_ingested_with_all_its_tenants() {
    let flags =
        ["-f", "-", "--documents", "100", "--chunks-per-document", "220", "--tokens-per-chunk", "1000"];
    let rates = ["--rpm", "2000", "--tpm", "300000"];
    let plan = json_of(&[&flags[..], &rates].concat(), &ten_tenants());
    let ingestion = &plan["objects"][0]["ingestion"];
    for (field, expected) in [
        ("tenants", json!(10)),
        ("requests", json!(220_000)),
        ("secondsByRequests", json!(110 * 60)),
        ("scheduleByRequests", json!({"jobsPerDay": 12, "minutes": 120})),
        ("secondsByTokens", json!(12 * 3600 + 13 * 60 + 20)),
        ("scheduleByTokens", json!({"jobsPerDay": 1, "minutes": 1440})),
        ("bound", json!("tokens")),
        ("cron", json!("0 0 * * *")),
    ] {
        assert_eq!(ingestion[field], expected, "{field} of {ingestion:#}");
    }
    assert!(plan["objects"][1]["ingestion"].is_null(), "a Pool tenant has no knowledge base");
    let text = told(&flags, &ten_tenants());
    for part in ["1h 50m, 12 a day\n", "12h 13m, 1 a day; this binds", "1 a day, every 24h (\"0 0 * * *\")"] {
        assert!(text.contains(part), "no '{part}' in\n{text}");
    }
    let text = told(&["-f", "-", "--documents", "100000"], &ten_tenants());
    assert!(text.contains("SharedStack/s: the ingestion of everything takes more than a day"), "{text}");
}

#[test]
fn what_does_not_fit_is_a_warning() {
    let silos: String =
        (0..91).map(|n| tenant(&format!("t{n}"), "pattern: Silo, encryption: {key: Create}")).collect();
    let plan = json_of(&["-f", "-", "--bytes-per-document", "60000000"], &silos);
    let warnings = plan["warnings"].to_string();
    for part in ["--max-knowledge-bases): 91 are planned, and 90", "OCUs for indexing", "bytes in a document"]
    {
        assert!(warnings.contains(part), "no '{part}' in {warnings}");
    }
    let fits = |what: &str| {
        let quotas = plan["quotas"].as_array().unwrap();
        quotas.iter().find(|quota| quota["what"].as_str().unwrap().starts_with(what)).unwrap()["fits"].clone()
    };
    assert_eq!((fits("knowledge bases in"), fits("encryption policies")), (json!(true), json!(true)));
    // Keys of their own share nothing.
    assert_eq!(plan["floor"]["atMostMonthlyUSD"], plan["floor"]["sharedMonthlyUSD"]);
}

/// Nobody can plan how much is asked: the limit is told, and what it leaves for each.
#[test]
fn the_limit_of_questions_is_told_with_what_it_leaves_for_each_tenant() {
    let all = "AWS answers 20 a second, to all knowledge bases of the account and region together";
    let text = told(&["-f", "-"], &ten_tenants());
    assert!(
        text.contains(all) && text.contains("; for 10 tenants 120 a minute each, if all ask alike."),
        "{text}"
    );
    let plan = json_of(&["-f", "-"], &ten_tenants());
    assert_eq!(plan["questions"]["perSecond"], json!(20));
    assert_eq!(plan["questions"]["perTenantAndMinute"], json!(120.0));
    let text = told(&["-f", "shared-stack.yaml"], "");
    assert!(text.contains(all) && text.contains("raises it for nobody.\n"), "{text}");
}

#[test]
fn others_kinds_and_lists_are_read_past() {
    let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}});
    let silo: Value =
        serde_saphyr::from_str(tenant("a", "pattern: Silo").trim_start_matches("---\n")).unwrap();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [config, silo]}).to_string();
    let plan = json_of(&["-f", "-", "-n", "team"], &list);
    assert_eq!(plan["objects"][0]["object"], "Tenant/team/a");
    assert_eq!(plan["skipped"], json!(["standard input: ConfigMap 'c' of v1 was skipped"]));
    assert!(refused(&config.to_string()).contains("no Tenant and no SharedStack"));
}

#[test]
fn bad_input_is_told_all_at_once_with_file_and_remedy() {
    let twice = tenant("a", "pattern: Silo");
    let same_id = tenant("a", "pattern: Silo").replace("name: a", "name: other");
    let stack =
        "---\n{apiVersion: tenantry.dev/v1alpha1, kind: SharedStack, metadata: {name: s}, spec: {}}\n";
    for (input, parts) in [
        ("a: [".into(), &["standard input: ", "1 | a: ["][..]),
        ("just text".into(), &["document 1 has no `apiVersion` or no `kind`"]),
        (
            tenant("a", "pattern: Silo, chunks: 3"),
            &["The Tenant \"a\" is invalid: unknown field \"spec.chunks\""],
        ),
        (
            tenant("a", "pattern: Moat, tags: 3"),
            &[
                "spec.pattern: Unsupported value: \"Moat\": supported values: \"Silo\", \"Bridge\", \"Pool\"",
                "spec.tags in body must be of type object: \"integer\"",
            ],
        ),
        (tenant("a", "pattern: Silo").replace("v1alpha1", "v2"), &["no matches for kind \"Tenant\""]),
        (tenant("a", "pattern: Pool"), &["`stackRef` is required in the 'Bridge' and 'Pool' patterns"]),
        (
            tenant("a", "pattern: Silo, ingestion: {schedule: often}"),
            &["The Tenant \"a\" is refused: ScheduleInvalid: `schedule` 'often' cannot be read"],
        ),
        (
            tenant("a", "pattern: Bridge, stackRef: {name: s}"),
            &[
                "standard input: Tenant/default/a borrows from SharedStack 's', which is in none of the files: add",
            ],
        ),
        (
            stack.to_owned() + &tenant("a", "pattern: Pool, stackRef: {name: s}"),
            &["Tenant/default/a is refused: StackHasNoPool: "],
        ),
        (twice.clone() + &twice, &["Tenant/default/a is there twice"]),
        (
            twice + &same_id,
            &["Tenant/default/other and Tenant/default/a in standard input ask for the same tenantId 'a'"],
        ),
    ] {
        let said = refused(&input);
        for part in parts {
            assert!(said.contains(part), "no '{part}' in\n{said}");
        }
    }
    let said = run(&["-f", "nowhere.yaml"], "");
    assert!(
        !said.status.success()
            && String::from_utf8_lossy(&said.stderr).contains("nowhere.yaml: No such file")
    );
}

fn class(name: &str, spec: &str) -> String {
    format!(
        "---\n{{apiVersion: tenantry.dev/v1alpha1, kind: TenantClass, metadata: {{name: {name}}}, spec: {{{spec}}}}}\n"
    )
}

/// It makes no difference who says a thing, nor which of the two comes first in a file.
#[test]
fn a_tenant_of_a_class_is_planned_as_one_that_says_it_all_itself() {
    let long = tenant(
        "a",
        "pattern: Silo, vectorStore: S3Vectors, encryption: {key: Create}, tags: {tier: premium, own: x}",
    );
    let short = tenant("a", "classRef: {name: premium}, tags: {own: x}");
    let premium = class(
        "premium",
        "placement: {pattern: Silo, vectorStore: S3Vectors, encryption: {key: Create}}, defaults: {tags: {tier: premium}}, \
         mayOverride: [Tags], allowedNamespaces: {}",
    );
    let objects = |input: &str| json_of(&["-f", "-"], input)["objects"].clone();
    assert_eq!(objects(&(premium.clone() + &short)), objects(&long));
    assert_eq!(objects(&(short + &premium)), objects(&long));
    let narrowed = json_of(&["-f", "-"], &(premium + &tenant("a", "classRef: {name: premium}")));
    assert!(narrowed["assumptions"].to_string().contains("TenantClass/premium admits only namespaces"));
}

#[test]
fn a_tenant_and_its_class_that_do_not_go_together_are_refused_as_by_the_operator() {
    let premium = |more: &str| class("premium", &format!("placement: {{pattern: Silo}}{more}"));
    let of_it = |more: &str| tenant("a", &format!("classRef: {{name: premium}}{more}"));
    for (input, part) in [
        (
            of_it(""),
            "Tenant/default/a is of TenantClass 'premium', which is in none of the files: add the file",
        ),
        (
            premium("") + &of_it(", pattern: Silo"),
            "refused: ClassConflict: TenantClass 'premium' says where its tenants are",
        ),
        (
            class("premium", "limits: {documents: 9}") + &of_it(""),
            "refused: ClassConflict: TenantClass 'premium' places nobody",
        ),
        (
            premium("") + &of_it(", tags: {a: b}"),
            "refused: OverrideForbidden: TenantClass 'premium' does not let its tenants set `tags`",
        ),
        (
            premium(", mayOverride: [Answers], limits: {answers: {models: [small]}}")
                + &of_it(", answers: {model: large}"),
            "refused: LimitExceeded: `answers.model` 'large' is not one that TenantClass 'premium' allows",
        ),
        (
            premium(", defaults: {ingestion: {schedule: often}}") + &of_it(""),
            "refused: ClassConflict: no Tenant could be of it: ScheduleInvalid: `schedule` 'often' cannot be read",
        ),
        (
            premium(", placements: {}") + &of_it(""),
            "The TenantClass \"premium\" is invalid: unknown field \"spec.placements\"",
        ),
        (premium("") + &premium("") + &of_it(""), "TenantClass/premium is there twice"),
    ] {
        let said = refused(&input);
        assert!(said.contains(part), "no '{part}' in\n{said}");
        assert!(
            !part.contains("invalid") || !said.contains("none of the files"),
            "one thing is wrong:\n{said}"
        );
    }
}

/// Every line of the page's examples is one that is printed.
#[test]
fn the_page_shows_what_is_printed() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/preview.md")).unwrap();
    let page = page.replace("\\\n", " ");
    let examples: Vec<_> = page.split("$ tenantry plan ").skip(1).collect();
    assert_eq!(examples.len(), 2, "one for each vector store");
    for example in examples {
        let (command, shown) = example.split("```").next().unwrap().split_once('\n').unwrap();
        let command = command.replace("examples/", "");
        let args: Vec<&str> = command.split_whitespace().take_while(|word| *word != "#").collect();
        let printed = told(&args, "").replace(" (s", " (examples/s");
        for line in shown.lines().filter(|line| !line.contains('…')) {
            assert!(printed.lines().any(|printed| printed == line), "'{line}' is not in\n{printed}");
        }
    }
}

/// What `docs/vector-stores.md` says of prices: nothing by the hour, and for what is kept and put.
#[test]
fn a_tenant_on_s3_vectors_costs_what_the_page_says() {
    let args = ["-f", "silo-s3-vectors.yaml", "--documents", "100", "--chunks-per-document", "220"];
    let text = told(&args, "");
    assert!(!text.contains("CreateCollection") && text.contains("CreateVectorBucket"), "{text}");
    let plan = json_of(&args, "");
    let tenant = &plan["objects"][0];
    assert_eq!(tenant["firstIngestionUSD"], json!(0.537109375), "{:#?}", tenant["costs"]);
}

/// Whatever borrows from whom, and whatever else is planned beside it.
#[test]
fn nothing_on_s3_vectors_is_billed_by_the_hour() {
    let stack = "{apiVersion: tenantry.dev/v1alpha1, kind: SharedStack, metadata: {name: s}, \
                 spec: {vectorStore: S3Vectors, pool: {}}}\n";
    let tenants = [
        tenant("silo", "pattern: Silo, vectorStore: S3Vectors"),
        tenant("bridge", "pattern: Bridge, stackRef: {name: s}"),
        tenant("pool", "pattern: Pool, stackRef: {name: s}"),
    ];
    let all = stack.to_owned() + &tenants.concat();
    let plan = json_of(&["-f", "-", "--price-vector-gb-month", "0"], &all);
    for object in plan["objects"].as_array().unwrap() {
        assert_eq!(object["monthlyUSD"], json!(0.0), "{object:#}");
    }
    let floor = &plan["floor"];
    assert_eq!((&floor["sharedMonthlyUSD"], &floor["atMostMonthlyUSD"]), (&json!(0.0), &json!(0.0)));
    assert_eq!(floor["capacities"], json!([]), "nothing of it runs by the hour");
    // Nor is anything told that only collections are about.
    assert!(plan["operatorCalls"] == json!([]) && !plan["assumptions"].to_string().contains("CreateIndex"));
    // A collection beside them is billed as ever.
    let beside = json_of(&["-f", "-"], &(all + &tenant("other", "pattern: Silo")));
    assert!(beside["objects"][4]["monthlyUSD"].as_f64().unwrap() > 350.0);
    assert_eq!(beside["floor"]["capacities"].as_array().unwrap().len(), 1);
    assert_eq!(beside["operatorCalls"][0]["operation"], "CreateAccessPolicy");
}

/// What a program without a cluster and without AWS is told, and whether that is an error.
fn command(args: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tenantry")).args(args).env_clear().output().unwrap();
    let told = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(told).unwrap())
}

#[test]
fn no_partition_is_taken_for_another() {
    let policy = |region| command(&["iam-policy", "operator", "--installation", "prod", "--region", region]);
    for (region, partition) in
        [("eusc-de-east-1", "aws-eusc"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")]
    {
        let (succeeds, told) = policy(region);
        assert!(succeeds && told.contains(&format!("arn:{partition}:s3:::prod-ta-*")), "{told}");
        assert!(!told.contains("arn:aws:"), "{told}");
    }
    for region in ["us-iso-east-1", "us-isob-east-1", "eu-isoe-west-1", "us-isof-south-1"] {
        let (succeeds, told) = policy(region);
        assert!(!succeeds && told.contains("is not one that Tenantry knows"), "{told}");
        let output = run(&["--region", region, "-f", "-"], &ten_tenants());
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && told.contains("is not one that Tenantry knows"), "{told}");
    }
    // Without a region the role says where it is.
    let role = "arn:aws-eusc:iam::111122223333:role/tenantry-operator";
    let (succeeds, told) = command(&["iam-policy", "operator", "--installation", "prod", "--role-arn", role]);
    assert!(succeeds && !told.contains("arn:aws:"), "{told}");
}

/// What is printed without a region was of the partition aws, wherever the account is.
#[test]
fn no_policy_is_printed_for_a_partition_that_nobody_named() {
    let role = ["--role-arn", "arn:aws-us-gov:iam::111122223333:role/tenantry-operator"];
    let bounding = ["--permissions-boundary", "arn:aws-us-gov:iam::111122223333:policy/tenantry-boundary"];
    let given = ["--partition", "aws-us-gov"];
    let of =
        |who: &str, more: &[&str]| command(&[&["iam-policy", who, "--installation", "prod"], more].concat());
    for (who, more) in [
        ("destructive", &given[..]),
        ("boundary", &given),
        ("operator", &given),
        ("operator", &bounding),
        ("guard", &role),
        ("guard", &[&role[..], &["--kind", "resource"]].concat()),
    ] {
        let (succeeds, told) = of(who, more);
        assert!(succeeds && told.contains("arn:aws-us-gov:") && !told.contains("arn:aws:"), "{who}: {told}");
    }
    for (who, more) in [
        ("destructive", &[&given[..], &["--region", "eu-central-1"]].concat()[..]),
        ("boundary", &["--partition", "aws-cn", "--region", "us-gov-west-1"]),
        ("operator", &[&role[..], &["--region", "eu-central-1"]].concat()),
        (
            "operator",
            &[&role[..], &["--permissions-boundary", "arn:aws:iam::111122223333:policy/b"]].concat(),
        ),
        ("guard", &[&role[..], &["--partition", "aws"]].concat()),
        (
            "boundary",
            &[&given[..], &["--embedding-model", "arn:aws:bedrock:eu-central-1::foundation-model/m"]]
                .concat(),
        ),
    ] {
        let (succeeds, told) = of(who, more);
        assert!(!succeeds && told.contains("give what is of one partition"), "{who} {more:?}: {told}");
    }
    let (succeeds, told) = of("destructive", &["--partition", "aws-iso"]);
    assert!(!succeeds && told.contains("is not one that Tenantry knows"), "{told}");
}

/// The ARN of a session, as `aws sts get-caller-identity` tells it, was taken, and the guard bound nobody.
#[test]
fn nothing_but_a_role_is_taken_for_the_operators_role() {
    let guard = |role: &str, more: &[&str]| {
        command(&[&["iam-policy", "guard", "--installation", "prod", "--role-arn", role], more].concat())
    };
    let of =
        |option: &str, arn: &str| command(&["iam-policy", "operator", "--installation", "prod", option, arn]);
    for arn in [
        "arn:aws:sts::111122223333:assumed-role/tenantry-operator/session",
        "arn:aws:iam::111122223333:user/tenantry-operator",
        "arn:aws:iam::111122223333:role/",
        "arn:aws:iam::111122223333:role/*",
        "arn:aws:iam::111122223333:role/tenantry-operato?",
        "arn:aws:iam::*:role/tenantry-operator",
        "arn:aws:iam::11112222333:role/tenantry-operator",
        "arn:aws:iam::aws:role/tenantry-operator",
        "arn:aws:iam:eu-central-1:111122223333:role/tenantry-operator",
        "tenantry-operator",
    ] {
        for (succeeds, told) in [guard(arn, &[]), of("--role-arn", arn)] {
            assert!(!succeeds && told.contains("a role's ARN is of the form"), "{arn}: {told}");
        }
    }
    for arn in ["arn:aws:iam::111122223333:role/b", "arn:aws:iam::111122223333:policy/*", "b"] {
        let (succeeds, told) = of("--permissions-boundary", arn);
        assert!(!succeeds && told.contains("a policy's ARN is of the form"), "{arn}: {told}");
    }
    let role = "arn:aws:iam::111122223333:role/ops/tenantry-operator";
    assert!(guard(role, &["--account", "111122223333"]).0 && of("--role-arn", role).0);
    assert!(of("--permissions-boundary", "arn:aws:iam::aws:policy/ReadOnlyAccess").0);
    let (succeeds, told) = guard(role, &["--account", "999999999999"]);
    assert!(!succeeds && told.contains("give what is of one account"), "{told}");
}

#[test]
fn a_region_without_an_api_for_indexes_is_told_before_anything_is_built() {
    let of = |region| told(&["--region", region, "-f", "-"], &ten_tenants());
    assert!(of("eu-west-2").contains("AWS lists no API for indexes in eu-west-2"), "{}", of("eu-west-2"));
    assert!(!of("eu-central-1").contains("no API for indexes"));
}

/// What kubectl takes, plan takes.
#[test]
fn no_manifest_that_kubectl_takes_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("b.yml"), tenant("b", "pattern: Silo")).unwrap();
    let utf16: Vec<u8> = tenant("a", "pattern: Silo").encode_utf16().flat_map(u16::to_le_bytes).collect();
    std::fs::write(path("a.yaml"), [&[0xFF, 0xFE][..], &utf16].concat()).unwrap();
    std::fs::write(path("notes.txt"), "no: manifest: at all").unwrap();
    std::fs::create_dir(path("c.yaml")).unwrap();
    let plan = json_of(&["-f", folder.path().to_str().unwrap()], "");
    let objects = plan["objects"].as_array().unwrap().iter().map(|it| it["object"].as_str().unwrap());
    assert_eq!(objects.collect::<Vec<_>>(), ["Tenant/default/a", "Tenant/default/b"]);
    let empty = tempfile::tempdir().unwrap();
    let said = run(&["-f", empty.path().to_str().unwrap()], "");
    assert!(String::from_utf8_lossy(&said.stderr).contains("no .yaml, .yml or .json in this folder"));

    let generated = tenant("a", "pattern: Silo").replace("name: a", "generateName: acme-");
    let other = tenant("b", "pattern: Silo").replace("name: b", "generateName: acme-");
    let plan = json_of(&["-f", "-"], &(generated + &other));
    assert_eq!(plan["objects"][0]["object"], "Tenant/default/acme-xxxxx");
    assert!(plan["assumptions"].to_string().contains("Tenant acme-xxxxx has a generateName"));
    // To kubectl 0100 is 64.
    let days = |days: &str| tenant("a", &format!("pattern: Silo, documents: {{expirationDays: {days}}}"));
    assert!(run(&["-f", "-"], &days("0100")).status.success());
    let said = refused(&tenant("a", "pattern: Silo").replace("tenantId: a", "tenantId: 0042"));
    assert!(said.contains("spec.tenantId in body must be of type string: \"integer\""), "{said}");
    let twice = "apiVersion: tenantry.dev/v1alpha1\nkind: Tenant\nmetadata: {name: a}\nspec:\n  tenantId: a\n  tenantId: b\n";
    let said = refused(twice);
    assert!(said.contains("line 6: `tenantId` is there twice") && !said.contains("Policy"), "{said}");
}

/// What cannot be known here is said, and not passed over.
#[test]
fn what_plan_cannot_know_is_no_secret() {
    let assumed = |region: &str, knowledge_base: &str| {
        let spec = format!("pattern: Silo, knowledgeBase: {knowledge_base}");
        let plan = json_of(&["-f", "-", "--region", region], &tenant("a", &spec));
        plan["assumptions"].to_string()
    };
    let (known, unknown) =
        ("eu-central-1", "{embeddingModel: openai.text-embedding-3-small, dimensions: 1536}");
    assert!(
        assumed(known, unknown)
            .contains("openai.text-embedding-3-small is no embedding model that this release knows")
    );
    assert!(!assumed(known, "{}").contains("this release knows"));
    assert!(assumed("eu-cental-1", "{}").contains("eu-cental-1 is no region that this release knows"));
}

#[test]
fn an_inference_profile_is_no_embedding_model() {
    let model = "pattern: Silo, knowledgeBase: {embeddingModel: 'eu.cohere.embed-v4:0', dimensions: 1536}";
    let told = refused(&tenant("acme", model));
    assert!(told.contains("take no inference profile for embeddings"), "{told}");
}

/// AWS documents how long a schema may be for CloudFormation, and not for the call that makes it.
#[test]
fn no_schema_that_may_be_too_long_is_planned_without_a_word() {
    let warned = |count: usize| {
        let attributes = (0..count).map(|n| format!("{{name: longattribute{n}, type: String}}"));
        let attributes = attributes.collect::<Vec<_>>().join(", ");
        let silo = tenant("acme", &format!("pattern: Silo, index: {{attributes: [{attributes}]}}"));
        let warnings = json_of(&["-f", "-"], &silo)["warnings"].to_string();
        warnings.contains("2480") && warnings.contains("CreateIndex")
    };
    assert!(warned(30) && !warned(10));
}

/// Nothing of S3 Vectors is billed by the hour.
#[test]
fn a_tenant_on_s3_vectors_costs_what_is_in_it() {
    let silo = tenant("acme", "pattern: Silo, vectorStore: S3Vectors");
    let args = ["-f", "-", "--chunks-per-document", "220", "--tokens-per-chunk", "1000"];
    let plan = json_of(&args, &silo);
    let acme = &plan["objects"][0];
    let vectors = acme["costs"].as_array().unwrap();
    assert_eq!(vectors.len(), 1, "{vectors:?}");
    assert_eq!(vectors[0]["what"], "vectors");
    // 22,000 vectors of 4,096 + 2,048 bytes.
    let usd = |value: &Value| value.as_f64().unwrap();
    assert!((usd(&acme["monthlyUSD"]) - 0.00755).abs() < 1e-4, "{acme:#}");
    assert!((usd(&acme["firstIngestionUSD"]) - 0.537).abs() < 1e-2, "{acme:#}");
    assert!(usd(&plan["floor"]["sharedMonthlyUSD"]) < 0.01, "{:#}", plan["floor"]);
    let calls: Vec<_> =
        acme["calls"].as_array().unwrap().iter().map(|call| call["operation"].clone()).collect();
    for call in ["CreateVectorBucket", "PutVectorBucketPolicy", "CreateIndex", "CreateRole"] {
        assert!(calls.contains(&json!(call)), "{calls:?}");
    }
    assert!(!calls.iter().any(|call| call.as_str().unwrap().contains("AccessPolicy")), "{calls:?}");
    let limits = plan["quotas"].as_array().unwrap().iter();
    let buckets = limits.clone().find(|it| it["what"] == "vector buckets in the account and region").unwrap();
    assert_eq!((&buckets["used"], &buckets["limit"]), (&json!(1), &json!(10_000)));
    let text = told(&args, &silo);
    assert!(text.contains("it costs $0.54 in S3 Vectors at the most"), "{text}");
    assert!(!text.contains("collection "), "{text}");
}

#[test]
fn what_a_store_lacks_is_refused_of_whoever_borrows_it() {
    let stack = "{apiVersion: tenantry.dev/v1alpha1, kind: SharedStack, metadata: {name: s}, spec: {vectorStore: S3Vectors}}\n";
    let bridge =
        |index: &str| tenant("acme", &format!("pattern: Bridge, stackRef: {{name: s}}, index: {index}"));
    let graph = refused(&(stack.to_owned() + &bridge("{hnsw: {m: 8}}")));
    assert!(graph.contains("`index.hnsw` must not be set with `vectorStore` 'S3Vectors'"), "{graph}");
    told(&["-f", "-"], &(stack.to_owned() + &bridge("{distance: Cosine}")));
}
