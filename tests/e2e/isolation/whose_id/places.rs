//! One installation, one place: a second operator of it anywhere else is refused before it changes anything.

use std::process::Stdio;

use aws_sdk_s3::types::{Tag, Tagging};

use super::{STACK, tenant};
use crate::support::world::{PATIENCE, World, world_without_operator};

/// `tenantry run`, told something else, ends and says why.
async fn is_refused(w: &World, arguments: &[&str], environment: &[(&str, &str)], says: &[&str]) {
    let mark = w.double.mark().await;
    let mut program = w.program(arguments).await;
    program.envs(environment.iter().copied()).stderr(Stdio::piped());
    let ended = tokio::time::timeout(PATIENCE, program.output()).await.expect("it did not end").unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success(), "{said}");
    assert!(says.iter().all(|word| said.contains(word)), "{said}");
    let writes = w.double.journal(mark).await.only(|call| call.mutating && call.is_operators());
    assert!(writes.is_empty(), "it was refused, and yet:\n{writes}");
}

#[tokio::test]
async fn another_lease_and_another_region_are_refused() {
    let test = async |w: World| {
        w.namespace("others", &[]).await;
        let (leases, others) = (w.namespace_name(""), w.namespace_name("others"));
        let mut operator = w.replica("first", &[]).await;
        w.apply(STACK).await;
        w.ready("SharedStack/standard").await;
        w.apply(&tenant("", "acme", "acme", "Pool", "Delete")).await;
        w.ready("acme").await;

        let elsewhere = ["--leader-elect-resource-namespace", others.as_str()];
        let elects = [("TENANTRY_LEADER_ELECT", "true")];
        is_refused(&w, &elsewhere, &elects, &[&leases, &others, "--leader-elect-resource-namespace"]).await;
        let region = [("AWS_REGION", "eu-central-1")];
        is_refused(&w, &[], &region, &["us-east-1", "eu-central-1", "AWS_REGION"]).await;
        operator.die().await;
    };
    world_without_operator(|_| {}, test).await;
}

/// A name that no other world has.
fn bucket_of(w: &World) -> String {
    format!("admins-records-{}", w.suffix)
}

/// The bucket of that name is somebody else's, or was made without our tag.
#[tokio::test]
async fn a_bucket_that_is_not_the_installations_is_left_alone() {
    let test = async |w: World| {
        let bucket = bucket_of(&w);
        w.operator_may_use(&bucket).await;
        w.sdk.s3.create_bucket().bucket(&bucket).send().await.unwrap();
        is_refused(&w, &["--installation-bucket", &bucket], &[], &[&bucket, "tenantry.dev/installation"])
            .await;
        let nowhere = format!("{bucket}-nowhere");
        w.operator_may_use(&nowhere).await;
        is_refused(&w, &["--installation-bucket", &nowhere], &[], &[&nowhere, "make it"]).await;
    };
    world_without_operator(|_| {}, test).await;
}

/// Where an organisation forbids CreateBucket, an administrator makes it.
#[tokio::test]
async fn an_administrators_bucket_is_finished_and_used() {
    let test = async |w: World| {
        let bucket = &bucket_of(&w);
        w.sdk.s3.create_bucket().bucket(bucket).send().await.unwrap();
        let tag = Tag::builder().key("tenantry.dev/installation").value("e2e").build().unwrap();
        let tagging = Tagging::builder().tag_set(tag).build().unwrap();
        w.sdk.s3.put_bucket_tagging().bucket(bucket).tagging(tagging).send().await.unwrap();
        let theirs = format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Sid":"Theirs","Effect":"Deny","Principal":"*","Action":"s3:DeleteBucket","Resource":"arn:aws:s3:::{bucket}"}}]}}"#
        );
        w.sdk.s3.put_bucket_policy().bucket(bucket).policy(theirs).send().await.unwrap();
        w.operator_may_use(bucket).await;
        let operator = w.program(&["--installation-bucket", bucket]).await.spawn().unwrap();
        w.apply(STACK).await;
        w.ready("SharedStack/standard").await;
        w.apply(&tenant("", "acme", "acme", "Pool", "Delete")).await;
        w.ready("acme").await;
        assert_eq!(w.keys(bucket, "").await, ["lock.json", "tenants/acme.json"]);
        let policy = w.sdk.s3.get_bucket_policy().bucket(bucket).send().await.unwrap().policy.unwrap();
        assert!(policy.contains("Theirs") && policy.contains("s3:if-none-match"), "{policy}");
        let versioning = w.sdk.s3.get_bucket_versioning().bucket(bucket).send().await.unwrap();
        assert_eq!(versioning.status.unwrap().as_str(), "Enabled");
        // Nobody writes a record without saying over what.
        let put = w.sdk.s3.put_object().bucket(bucket).key("tenants/acme.json").body(Vec::new().into());
        assert!(put.send().await.is_err());
        assert!(w.sdk.s3.head_bucket().bucket(w.records()).send().await.is_err(), "and yet it made one");
        crate::support::operators::kill(operator).await;
        // What ends the test looks at everything once more.
        w.operator_may_use(&w.records()).await;
    };
    world_without_operator(|_| {}, test).await;
}
