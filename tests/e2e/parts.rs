//! The parts of which an owner's stack is made, and what somebody else can do to each behind the operator's back.

use aws_sdk_opensearchserverless::types::{AccessPolicyType, SecurityPolicyType};
use aws_sdk_s3::types::Tagging;
use serde_json::json;
use tenantry::api::{Layer, Pattern, Status};
use tenantry::stack::identity::Identity;

use crate::world::World;

/// A thing of its own in AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Key,
    Alias,
    Bucket,
    Encryption,
    Network,
    Collection,
    Index,
    Role,
    Access,
    KnowledgeBase,
    DataSource,
    BucketPolicy,
    Trust,
    Permissions,
}

/// An object, and what it has in AWS.
#[derive(Clone)]
pub struct Owned {
    /// As tests call it.
    pub object: String,
    pub id: Identity,
    pub status: Status,
}

impl Part {
    /// All but those that are settings of others.
    pub const THINGS: [Part; 11] = [
        Part::Key,
        Part::Alias,
        Part::Bucket,
        Part::Encryption,
        Part::Network,
        Part::Collection,
        Part::Index,
        Part::Role,
        Part::Access,
        Part::KnowledgeBase,
        Part::DataSource,
    ];

    /// The layer that it is part of.
    pub fn layer(self) -> Layer {
        match self {
            Part::Key | Part::Alias => Layer::Key,
            Part::Bucket | Part::BucketPolicy => Layer::Bucket,
            Part::Encryption | Part::Network | Part::Collection => Layer::VectorStore,
            Part::Index => Layer::Index,
            Part::Role | Part::Access | Part::Trust | Part::Permissions => Layer::Role,
            Part::KnowledgeBase | Part::DataSource => Layer::KnowledgeBase,
        }
    }

    /// Its name in a manifest.
    pub fn word(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    fn kind(self) -> SecurityPolicyType {
        if self == Part::Encryption { SecurityPolicyType::Encryption } else { SecurityPolicyType::Network }
    }
}

impl World {
    /// An object as it is now, with what it has in AWS.
    pub async fn owned(&self, object: &str) -> Owned {
        let found = self.get(object).await;
        let id = match object.strip_prefix("SharedStack/") {
            Some(name) => self.stack_identity(name, found.uid()),
            None => {
                let pattern = match found.spec["pattern"].as_str().unwrap() {
                    "Silo" => Pattern::Silo,
                    "Bridge" => Pattern::Bridge,
                    _ => Pattern::Pool,
                };
                let suffix = format!("-{}", self.suffix);
                let stack = found.spec["stackRef"]["name"].as_str();
                let stack = stack.map(|stack| stack.strip_suffix(&suffix).unwrap());
                self.tenant_identity(object, pattern, stack, found.uid())
            }
        };
        Owned { object: object.into(), id, status: found.status }
    }

    /// Empties a bucket and deletes it.
    pub async fn delete_bucket(&self, bucket: &str) {
        loop {
            let versions = self.sdk.s3.list_object_versions().bucket(bucket).send().await.unwrap();
            for version in versions.versions() {
                let request = self.sdk.s3.delete_object().bucket(bucket).key(version.key().unwrap());
                request.version_id(version.version_id().unwrap()).send().await.unwrap();
            }
            if versions.is_truncated != Some(true) {
                break;
            }
        }
        self.sdk.s3.delete_bucket().bucket(bucket).send().await.unwrap();
    }
}

impl Owned {
    pub fn name(&self, part: Part) -> String {
        // The data access policy bears the name of its index.
        self.id.name(if part == Part::Access { Layer::Index } else { part.layer() })
    }

    pub fn knowledge_base(&self) -> &str {
        self.status.knowledge_base_id.as_deref().unwrap()
    }

    pub fn data_source(&self) -> &str {
        self.status.data_source_id.as_deref().unwrap()
    }

    pub fn collection(&self) -> &str {
        self.status.store_arn.as_deref().unwrap().rsplit_once('/').unwrap().1
    }

    /// Somebody deletes a part; returns when it is gone. A key can only be on its way.
    pub async fn lose(&self, w: &World, part: Part) {
        let (name, sdk) = (self.name(part), &w.sdk);
        match part {
            Part::Key => {
                let key = self.status.kms_key_arn.as_deref().unwrap();
                let delete = sdk.kms.schedule_key_deletion().key_id(key).pending_window_in_days(7);
                delete.send().await.unwrap();
            }
            Part::Alias => {
                sdk.kms.delete_alias().alias_name(format!("alias/{name}")).send().await.unwrap();
            }
            Part::Bucket => w.delete_bucket(&name).await,
            Part::Encryption | Part::Network => {
                sdk.aoss.delete_security_policy().r#type(part.kind()).name(name).send().await.unwrap();
            }
            Part::Collection => {
                sdk.aoss.delete_collection().id(self.collection()).send().await.unwrap();
                let gone = || async {
                    let found = sdk.aoss.batch_get_collection().ids(self.collection()).send().await.unwrap();
                    found.collection_details.unwrap_or_default().is_empty().then_some(())
                };
                w.eventually("the collection is gone", gone).await;
            }
            Part::Index => {
                let delete = sdk.aoss.delete_index().id(self.collection()).index_name(name);
                delete.send().await.unwrap();
            }
            Part::Role => {
                let policies = sdk.iam.list_role_policies().role_name(&name).send().await.unwrap();
                for policy in policies.policy_names {
                    let delete = sdk.iam.delete_role_policy().role_name(&name).policy_name(policy);
                    delete.send().await.unwrap();
                }
                sdk.iam.delete_role().role_name(name).send().await.unwrap();
            }
            Part::Access => {
                let delete = sdk.aoss.delete_access_policy().r#type(AccessPolicyType::Data).name(name);
                delete.send().await.unwrap();
            }
            Part::KnowledgeBase => {
                self.lose_data_source(w).await;
                let gone = || async {
                    let delete = sdk.bedrock.delete_knowledge_base().knowledge_base_id(self.knowledge_base());
                    let answer = delete.send().await;
                    answer
                        .is_err_and(|error| error.into_service_error().is_resource_not_found_exception())
                        .then_some(())
                };
                w.eventually("the knowledge base is gone", gone).await;
            }
            Part::DataSource => self.lose_data_source(w).await,
            Part::BucketPolicy => {
                sdk.s3.delete_bucket_policy().bucket(name).send().await.unwrap();
            }
            Part::Trust => {
                let nobody = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
                    "Action": "sts:AssumeRole", "Principal": {"AWS": w.own_role()}}]});
                let update = sdk.iam.update_assume_role_policy().role_name(name);
                update.policy_document(nobody.to_string()).send().await.unwrap();
            }
            Part::Permissions => {
                let policies = sdk.iam.list_role_policies().role_name(&name).send().await.unwrap();
                for policy in policies.policy_names {
                    let delete = sdk.iam.delete_role_policy().role_name(&name).policy_name(policy);
                    delete.send().await.unwrap();
                }
            }
        }
    }

    async fn lose_data_source(&self, w: &World) {
        let gone = || async {
            let delete = w.sdk.bedrock.delete_data_source().knowledge_base_id(self.knowledge_base());
            let answer = delete.data_source_id(self.data_source()).send().await;
            answer
                .is_err_and(|error| error.into_service_error().is_resource_not_found_exception())
                .then_some(())
        };
        w.eventually("the data source is gone", gone).await;
    }

    /// Somebody makes a part their own: its name stays, and its tags, or its description, say that it is theirs. What
    /// has neither belongs to another part.
    pub async fn disown(&self, w: &World, part: Part) {
        const OWNER: &str = "tenantry.dev/owner";
        const SOMEBODY: &str = "Tenant/elsewhere/somebody";
        let (name, sdk) = (self.name(part), &w.sdk);
        match part {
            Part::Key => {
                let tag = aws_sdk_kms::types::Tag::builder().tag_key(OWNER).tag_value(SOMEBODY).build();
                let key = self.status.kms_key_arn.as_deref().unwrap();
                sdk.kms.tag_resource().key_id(key).tags(tag.unwrap()).send().await.unwrap();
            }
            Part::Alias => {
                let theirs = sdk.kms.create_key().send().await.unwrap().key_metadata.unwrap().key_id;
                let update = sdk.kms.update_alias().alias_name(format!("alias/{name}")).target_key_id(theirs);
                update.send().await.unwrap();
            }
            Part::Bucket => {
                let tag = aws_sdk_s3::types::Tag::builder().key(OWNER).value(SOMEBODY).build().unwrap();
                let tagging = Tagging::builder().tag_set(tag).build().unwrap();
                sdk.s3.put_bucket_tagging().bucket(name).tagging(tagging).send().await.unwrap();
            }
            Part::Encryption | Part::Network => {
                let found = sdk.aoss.get_security_policy().r#type(part.kind()).name(&name).send().await;
                let found = found.unwrap().security_policy_detail.unwrap();
                let update = sdk.aoss.update_security_policy().r#type(part.kind()).name(name);
                let update = update.policy_version(found.policy_version.unwrap()).description("somebody's");
                update.send().await.unwrap();
            }
            Part::Access => {
                let kind = AccessPolicyType::Data;
                let found = sdk.aoss.get_access_policy().r#type(kind.clone()).name(&name).send().await;
                let found = found.unwrap().access_policy_detail.unwrap();
                let update = sdk.aoss.update_access_policy().r#type(kind).name(name);
                let update = update.policy_version(found.policy_version.unwrap()).description("somebody's");
                update.send().await.unwrap();
            }
            Part::Collection => {
                let tag =
                    aws_sdk_opensearchserverless::types::Tag::builder().key(OWNER).value(SOMEBODY).build();
                let arn = self.status.store_arn.as_deref().unwrap();
                sdk.aoss.tag_resource().resource_arn(arn).tags(tag.unwrap()).send().await.unwrap();
            }
            Part::Role => {
                let tag = aws_sdk_iam::types::Tag::builder().key(OWNER).value(SOMEBODY).build().unwrap();
                sdk.iam.tag_role().role_name(name).tags(tag).send().await.unwrap();
            }
            Part::KnowledgeBase => {
                let arn = self.status.knowledge_base_arn.as_deref().unwrap();
                sdk.bedrock.tag_resource().resource_arn(arn).tags(OWNER, SOMEBODY).send().await.unwrap();
            }
            _ => panic!("{part:?} has no tags"),
        }
    }
}
