//! What a real API server admits and refuses: the same matrix that the model tests ask their copy of the rules.

use kube::api::{DeleteParams, DynamicObject, PostParams};
use kube::core::ApiResource;
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use tenantry::api::{SharedStack, Tenant, TenantClass};

use crate::support::bed::bed;

#[path = "../../model/matrix.rs"]
mod matrix;

use matrix::Case;

#[tokio::test]
async fn the_matrix_is_answered_as_it_says() {
    let client = bed().await.client().await;
    let mut wrong = Vec::new();
    for case in matrix::cases() {
        let said = answer(&client, &case).await;
        match (&said, &case.refused) {
            (Ok(()), None) => {}
            (Err(said), Some(part)) if said.contains(part) => {}
            _ => wrong.push(format!("{}: expected {:?}, and was told {said:?}", case.name, case.refused)),
        }
    }
    assert!(wrong.is_empty(), "{} cases differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// `tenantry plan` has no API server to ask; what it says of a new object are the API server's own words.
#[tokio::test]
async fn what_is_said_without_an_api_server_is_what_it_says() {
    let client = bed().await.client().await;
    let mut wrong = Vec::new();
    for case in matrix::cases().iter().filter(|case| case.before.is_none() && case.refused.is_some()) {
        let said = answer(&client, case).await.expect_err(&case.name);
        let ours = tenantry::api::admission::refusals(&case.object, None);
        if ours.is_empty() || !ours.iter().all(|ours| said.contains(ours)) {
            wrong.push(format!("{}: we say {ours:?}, and it says {said}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{} cases differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// What the API server says of a case. No operator sees these objects: they have no world's label.
async fn answer(client: &Client, case: &Case) -> Result<(), String> {
    let tenant = case.object["kind"] == "Tenant";
    let kind = match case.object["kind"].as_str() {
        Some("Tenant") => ApiResource::erase::<Tenant>(&()),
        Some("TenantClass") => ApiResource::erase::<TenantClass>(&()),
        _ => ApiResource::erase::<SharedStack>(&()),
    };
    let api: Api<DynamicObject> = if tenant {
        Api::namespaced_with(client.clone(), "default", &kind)
    } else {
        Api::all_with(client.clone(), &kind)
    };
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    let object = |value: &Value| serde_json::from_value::<DynamicObject>(value.clone()).unwrap();
    let answer = match &case.before {
        None => api.create(&dry_run, &object(&case.object)).await,
        Some(before) => {
            let before = api.create(&PostParams::default(), &object(before)).await.expect(&case.name);
            let mut after = case.object.clone();
            after["metadata"]["resourceVersion"] = json!(before.resource_version());
            let answer = api.replace(&before.name_any(), &dry_run, &object(&after)).await;
            api.delete(&before.name_any(), &DeleteParams::default()).await.unwrap();
            answer
        }
    };
    answer.map(drop).map_err(|error| error.to_string())
}
