//! AWS is eventually consistent: what was made a moment ago may not be there yet. All of that resolves by itself and
//! is nobody's business; what does not is said at once, with what to do about it.

use serde_json::json;
use tenantry::api::{Layer, Pattern};

use crate::support::aws::Sdk;
use crate::support::fleet::Fleet;
use crate::support::world::{world, world_without_operator};

const FLEET: Fleet = Fleet { each: 1 };
const INVALID: &str = "The knowledge base storage configuration provided is invalid... ";

#[tokio::test]
async fn what_propagates_late_is_waited_for() {
    world(|w| async move {
        let operators = Sdk::new(&w.operator_session().await);
        // Each is so much longer than the one before, and than the operator takes on a busy machine, that every race is run.
        let lag = json!({"role": 90, "network": 45, "data_access": 150, "index_visible": 240});
        w.double.settings(json!({"lag": lag})).await;
        for sdk in [&w.sdk, &operators] {
            let ours = || async { sdk.bedrock.list_knowledge_bases().send().await.is_ok().then_some(()) };
            w.eventually("the roles that test and operator run as have propagated", ours).await;
        }

        let witness = w.witness();
        w.apply(&FLEET.yaml()).await;
        FLEET.ready(&w).await;
        witness.assert_never_stalled(&w, "bridge1").await;
        FLEET.assert_as_if_undisturbed(&w).await;
        let refused = w.double.journal(0).await.of("CreateKnowledgeBase").only(|call| !call.succeeded());
        for race in ["assume", "403 Forbidden", "no such index"] {
            assert!(refused.iter().any(|call| call.message.contains(race)), "no '{race}' in\n{refused}");
        }
    })
    .await;
}

/// Every message of which it is known that AWS gives it to who comes too early, once for each resource.
#[tokio::test]
async fn every_known_race_is_waited_out() {
    world(|w| async move {
        let bedrock = |operation: &'static str, message: String| (operation, "ValidationException", 400, message);
        let mut races: Vec<(&str, &str, u16, String)> = [
            "Bedrock Knowledge Base cannot assume role arn:aws:iam::1:role/x.",
            "Bedrock Knowledge Base was unable to assume the given role. Provide the proper permissions and retry.",
            "The knowledge base role provided is not able to call the specified bedrock embedding model x: User: y is \
             not authorized to perform: bedrock:InvokeModel on resource: x",
        ]
        .map(|message| bedrock("CreateKnowledgeBase", message.into()))
        .into();
        races.extend(
            [
                "Request failed: [security_exception] 403 Forbidden",
                "Bad Authorization",
                "Request failed: [security_exception] all shards failed",
                "Dependency error document status code: 404, error message: no such index [x]",
                "please check your configuration",
            ]
            .map(|message| bedrock("CreateKnowledgeBase", format!("{INVALID}{message}"))),
        );
        races.push(bedrock("CreateDataSource", "Bedrock was unable to assume the given role.".into()));
        races.extend(
            [
                ("CreateKnowledgeBase", "ConflictException", 409, "A knowledge base of this name is being deleted"),
                ("CreateDataSource", "ConflictException", 409, "The knowledge base is not ACTIVE"),
                ("CreateIndex", "AccessDeniedException", 403, "The caller may not call aoss:CreateIndex"),
                ("CreateCollection", "ConflictException", 400, "A collection of this name is being deleted"),
                ("CreateBucket", "OperationAborted", 409, "A conflicting conditional operation is in progress"),
                ("StartIngestionJob", "ConflictException", 409, "A job of this knowledge base is running"),
                ("StartIngestionJob", "ServiceQuotaExceededException", 402, "Five jobs are running"),
                ("StartIngestionJob", "ThrottlingException", 429, "Once in ten seconds"),
            ]
            .map(|(operation, code, status, message)| (operation, code, status, message.into())),
        );
        let mut faults = Vec::new();
        for (operation, code, status, message) in &races {
            let rule = json!({"operation": operation, "caller": "*/operator", "each": "resource",
                              "code": code, "status": status, "message": message});
            faults.push(w.double.fault(rule).await);
        }
        let witness = w.witness();
        w.apply(&FLEET.yaml()).await;
        FLEET.ready(&w).await;
        for tenant in ["silo1", "bridge1", "pool1"] {
            w.upload(tenant, &[("handbook.md", "Our office opens at nine.")]).await;
        }
        for owner in ["silo1", "bridge1", "SharedStack/standard"] {
            w.condition(owner, "DocumentsCurrent=True/Synced").await;
        }
        witness.assert_never_stalled(&w, "bridge1").await;
        FLEET.assert_as_if_undisturbed(&w).await;
        for (fault, race) in faults.iter().zip(&races) {
            assert!(fault.hits().await.len() >= 2, "this race was not run by every owner: {race:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_waiting_does_not_cure_says_what_does() {
    // AWS and the operator are equally much faster than they are.
    const SPEED: u32 = 100;
    let test = async |w: crate::support::world::World| {
        w.double.settings(json!({"speedup": SPEED})).await;
        w.start_operator().await;
        w.granted().await;
        let engine = "The OpenSearch Serverless engine type associated with your vector index is invalid. Recreate your \
                      vector index with one of the following valid engine types: FAISS. Then retry your request.";
        let cases = [
            (
                "engine",
                Layer::KnowledgeBase,
                "CreateKnowledgeBase",
                "Invalid",
                "Recreate your vector index",
                json!({"code": "ValidationException", "status": 400, "message": format!("{INVALID}{engine}")}),
            ),
            (
                "denied",
                Layer::VectorStore,
                "CreateCollection",
                "Denied",
                "Allow aoss:CreateCollection",
                json!({"fault": "denied"}),
            ),
            (
                "quota",
                Layer::KnowledgeBase,
                "CreateKnowledgeBase",
                "Quota",
                "Raise the quota",
                json!({"code": "ServiceQuotaExceededException", "status": 402, "message": "You have 100 of them"}),
            ),
            // What should have passed and does not needs a person too.
            (
                "late",
                Layer::KnowledgeBase,
                "CreateKnowledgeBase",
                "DeadlineExceeded",
                "403 Forbidden",
                json!({"code": "ValidationException", "status": 400,
                    "message": format!("{INVALID}Request failed: [security_exception] 403 Forbidden")}),
            ),
        ];
        for (name, layer, operation, _, _, fault) in &cases {
            let id = w.tenant_identity(name, Pattern::Silo, None, "");
            let mut rule = json!({"operation": operation, "resource": id.name(*layer), "count": 1_000_000});
            rule.as_object_mut().unwrap().extend(fault.as_object().unwrap().clone());
            w.double.fault(rule).await;
            w.apply(&format!(
                "{{kind: Tenant, metadata: {{name: {name}}}, spec: {{tenantId: {name}, pattern: Silo}}}}"
            ))
            .await;
        }
        for (name, layer, operation, reason, remedy, fault) in &cases {
            let told = w.condition(name, &format!("Stalled=True/{reason}")).await;
            assert!(
                told.is(&format!("Ready=False/{reason}")) && told.is("Reconciling=False"),
                "{}",
                told.describe()
            );
            let message = told.message(&format!("{layer:?}Ready"));
            let code = fault["code"].as_str().unwrap_or("AccessDeniedException");
            for wanted in
                [*remedy, code, *operation, &w.tenant_identity(name, Pattern::Silo, None, "").name(*layer)]
            {
                assert!(message.contains(wanted), "'{wanted}' is not in: {message}");
            }
            let events = w.events(name).await;
            assert!(events.iter().any(|(said, _)| said == reason), "no event says so: {events:?}");
        }
        w.double.heal().await;
        for (name, ..) in &cases {
            w.ready(name).await;
        }
    };
    world_without_operator(|settings| settings.clock = SPEED, test).await;
}
