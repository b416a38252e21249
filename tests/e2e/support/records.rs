//! The records of a world's tenantIds, as a test reads, changes and loses them.

use aws_sdk_s3::primitives::ByteStream;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use tenantry::settings::Settings;
use tenantry::stack::identity::Scope;

use crate::support::aws::{REGION, Role};
use crate::support::world::World;

impl World {
    /// The bucket with the installation's records.
    pub fn records(&self) -> String {
        let made = || Scope::new(&self.settings.installation, &self.account, REGION).installation_bucket();
        self.settings.installation_bucket.clone().unwrap_or_else(made)
    }

    /// An object in it, and its ETag.
    async fn kept(&self, key: &str) -> Option<(Value, String)> {
        let found = self.sdk.s3.get_object().bucket(self.records()).key(key).send().await.ok()?;
        let etag = found.e_tag.clone().unwrap();
        let bytes = found.body.collect().await.unwrap().into_bytes();
        Some((serde_json::from_slice(&bytes).unwrap(), etag))
    }

    /// Whether all that was there before the operator has its record, so that whoever is new is let in.
    pub async fn records_are_complete(&self) -> bool {
        self.kept("lock.json").await.is_some_and(|(lock, _)| lock["complete"] == true)
    }

    /// The record of a tenantId.
    pub async fn record_of(&self, tenant_id: &str) -> Option<Value> {
        self.kept(&format!("tenants/{tenant_id}.json")).await.map(|(record, _)| record)
    }

    /// What the record of a tenantId says became of it.
    pub async fn state_of(&self, tenant_id: &str) -> String {
        let record = self.record_of(tenant_id).await.expect("a record");
        let state = record["state"].as_str().unwrap();
        if record["empty"] == true { format!("{state}, empty") } else { state.to_owned() }
    }

    /// What all records say, a line each, and the lock.
    pub async fn all_records(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for key in self.keys(&self.records(), "").await {
            let (record, _) = self.kept(&key).await.unwrap();
            lines.push(match key.as_str() {
                "lock.json" => {
                    format!("lock complete {} took over {}", record["complete"], record["tookOver"])
                }
                _ => {
                    let holder = |what: &str| record["holder"][what].as_str().unwrap_or_default().to_owned();
                    let who = format!("Tenant/{}/{} {}", holder("namespace"), holder("name"), holder("uid"));
                    format!("record {key} {} empty {} {who}", record["state"], record["empty"])
                }
            });
        }
        lines
    }

    /// Somebody who may do everything writes an object in it.
    pub async fn rewrite(&self, key: &str, change: impl FnOnce(&mut Value)) {
        let (mut content, etag) = self.kept(key).await.unwrap_or_else(|| panic!("there is no {key}"));
        change(&mut content);
        let put = self.sdk.s3.put_object().bucket(self.records()).key(key).if_match(etag);
        put.body(ByteStream::from(content.to_string().into_bytes())).send().await.unwrap();
    }

    /// Somebody deletes objects in it, with all their versions.
    pub async fn lose(&self, prefix: &str) {
        let bucket = self.records();
        let versions =
            self.sdk.s3.list_object_versions().bucket(&bucket).prefix(prefix).send().await.unwrap();
        for version in versions.versions() {
            let delete = self.sdk.s3.delete_object().bucket(&bucket).key(version.key().unwrap());
            delete.version_id(version.version_id().unwrap()).send().await.unwrap();
        }
    }

    /// Somebody deletes the whole bucket.
    pub async fn lose_records(&self) {
        self.lose("").await;
        self.sdk.s3.delete_bucket().bucket(self.records()).send().await.unwrap();
    }

    /// The operator's role may use this bucket for records, as `tenantry iam-policy` prints it, and no other.
    pub async fn operator_may_use(&self, bucket: &str) {
        let settings = Settings { installation_bucket: Some(bucket.into()), ..self.settings.clone() };
        // The role is made with its first session.
        self.operator_session().await;
        let role = Role::of_operator(&settings, &self.account);
        self.role_may(role.name, role.policy).await;
    }

    /// The keys of a bucket that begin so.
    pub async fn keys(&self, bucket: &str, prefix: &str) -> Vec<String> {
        let listed = self.sdk.s3.list_objects_v2().bucket(bucket).prefix(prefix).send().await.unwrap();
        listed.contents().iter().map(|object| object.key().unwrap().to_owned()).collect()
    }

    /// Sets an annotation of a namespace, or removes it.
    pub async fn annotate_namespace(&self, name: &str, annotation: &str, value: Option<&str>) {
        let patch = Patch::Merge(json!({"metadata": {"annotations": {annotation: value}}}));
        let api: Api<Namespace> = Api::all(self.client.clone());
        api.patch(&self.namespace_name(name), &PatchParams::default(), &patch).await.unwrap();
    }
}
