//! Where things are kept: the bucket's documents, the vector store, and the key that encrypts both.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::rule;
use super::vector_store::NO_COLLECTION;
use super::{Invalid, VectorStore};

/// How the bucket keeps documents.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Documents {
    /// 'Enabled' keeps what is overwritten or deleted as an older version; 'Suspended' does not. Default:
    /// 'Enabled'.
    pub versioning: Option<Versioning>,

    /// After how many days an older version is deleted for good; 0 keeps it for ever. Older versions of what the operator
    /// keeps under 'tenantry/' are too. Default: 30.
    #[schemars(range(min = 0, max = 36500))]
    pub noncurrent_expiration_days: Option<i32>,

    /// After how many days a document is deleted, also in quarantine; 0 keeps it for ever. The next ingestion then forgets
    /// it. Default: 0.
    #[schemars(range(min = 0, max = 36500))]
    pub expiration_days: Option<i32>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Versioning {
    #[default]
    Enabled,
    Suspended,
}

/// The collection of Amazon OpenSearch Serverless, where that is the vector store. It costs money by the hour, idle or not.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Collection {
    /// 'Enabled' keeps a copy in other availability zones; 'Disabled' costs half and is not for production.
    /// Default: 'Enabled'. May be set at creation only.
    pub standby_replicas: Option<StandbyReplicas>,

    /// Who reaches the collection over the network. Bedrock always does. Default: 'Private', with no VPC
    /// endpoints.
    pub network: Option<Network>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum StandbyReplicas {
    #[default]
    Enabled,
    Disabled,
}

impl StandbyReplicas {
    /// The word that AWS uses.
    pub const fn in_aws(self) -> &'static str {
        match self {
            StandbyReplicas::Enabled => "ENABLED",
            StandbyReplicas::Disabled => "DISABLED",
        }
    }

    /// What a word of AWS's means.
    pub fn of_aws(word: &str) -> Option<Self> {
        [StandbyReplicas::Enabled, StandbyReplicas::Disabled].into_iter().find(|it| it.in_aws() == word)
    }
}

/// Who reaches the collection over the network. Reaching it is not enough to read it: IAM and the data access
/// policy still decide.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("self.access == 'Private' || !has(self.vpcEndpointIds) || self.vpcEndpointIds.size() == 0", ENDPOINTS_ARE_PRIVATE))]
pub struct Network {
    /// 'Private': AWS services and the VPC endpoints below. 'Public': everybody.
    pub access: Access,

    /// Private: the OpenSearch Serverless VPC endpoints from which the collection can be reached. Default:
    /// none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(min = 6, max = 64), regex(pattern = r"^vpce-[0-9a-z]+$")))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub vpc_endpoint_ids: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Access {
    #[default]
    Private,
    Public,
}

const ENDPOINTS_ARE_PRIVATE: &str = "`vpcEndpointIds` must not be set with `access` 'Public', which lets everybody in; set `access` to 'Private'";

/// The key that encrypts documents, vectors and the data that Bedrock keeps for a moment while it ingests.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("(self.key == 'Existing') == has(self.kmsKeyArn)", KEY_ARN_IFF_EXISTING))]
pub struct Encryption {
    /// 'AWSOwned': keys of the AWS services, free of charge. 'Create': a KMS key made for this stack and
    /// deleted with it. 'Existing': the KMS key named by `kmsKeyArn`; it must be symmetric, enabled, of the
    /// same account and region, and carry the tag 'tenantry.dev/allow' with the value 'namespace/<namespace>'
    /// for a Silo, or 'installation/<installation>' for a SharedStack.
    pub key: EncryptionKey,

    /// The KMS key of 'Existing', by its key ARN; an alias or a multi-region key is not accepted.
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = is_key_arn())]
    pub kms_key_arn: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum EncryptionKey {
    AWSOwned,
    Create,
    Existing,
}

const KEY_ARN_IFF_EXISTING: &str =
    "`kmsKeyArn` is required with `key` 'Existing', and must not be set with any other";

/// A pattern alone would not say what is wrong with an alias.
fn is_key_arn() -> kube::core::Rule {
    rule(
        "self.matches('^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$')",
        "`kmsKeyArn` must be a key's own ARN, arn:aws:kms:<region>:<account>:key/<its id>: an alias could be led to another \
         key, and a multi-region key (mrk-…) is not accepted; `aws kms describe-key --key-id <alias>` has the ARN",
    )
}

/// What the bucket does with documents, with every default filled in. Zero days mean for ever.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DocumentsSettings {
    pub versioning: Versioning,
    pub noncurrent_expiration_days: i32,
    pub expiration_days: i32,
}

/// A collection with every default filled in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CollectionSettings {
    pub standby_replicas: StandbyReplicas,
    pub network: NetworkSettings,
}

/// A vector store with every default filled in: which one, and its settings.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum StoreSettings {
    OpenSearchServerless(CollectionSettings),
    S3Vectors,
}

impl StoreSettings {
    /// What a spec asks for.
    pub fn resolve(kind: Option<VectorStore>, collection: Option<&Collection>) -> Result<Self, Invalid> {
        match (kind.unwrap_or_default(), collection) {
            (VectorStore::OpenSearchServerless, collection) => {
                Collection::resolve(collection).map(Self::OpenSearchServerless)
            }
            (VectorStore::S3Vectors, None) => Ok(Self::S3Vectors),
            (VectorStore::S3Vectors, Some(_)) => Err(Invalid::new("collection", NO_COLLECTION)),
        }
    }

    /// Which store.
    pub const fn kind(&self) -> VectorStore {
        match self {
            Self::OpenSearchServerless(_) => VectorStore::OpenSearchServerless,
            Self::S3Vectors => VectorStore::S3Vectors,
        }
    }
}

/// Who reaches a collection over the network.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NetworkSettings {
    Private { vpc_endpoint_ids: Vec<String> },
    Public,
}

/// Which key encrypts.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum EncryptionSettings {
    #[default]
    AwsOwned,
    Create,
    Existing {
        kms_key_arn: String,
    },
}

impl Documents {
    pub fn resolve(written: Option<&Self>) -> DocumentsSettings {
        let Documents { versioning, noncurrent_expiration_days, expiration_days } =
            written.cloned().unwrap_or_default();
        DocumentsSettings {
            versioning: versioning.unwrap_or_default(),
            noncurrent_expiration_days: noncurrent_expiration_days.unwrap_or(30),
            expiration_days: expiration_days.unwrap_or(0),
        }
    }
}

impl Collection {
    pub fn resolve(written: Option<&Self>) -> Result<CollectionSettings, Invalid> {
        let Collection { standby_replicas, network } = written.cloned().unwrap_or_default();
        let network = match network {
            None => NetworkSettings::Private { vpc_endpoint_ids: Vec::new() },
            Some(Network { access: Access::Private, vpc_endpoint_ids }) => {
                NetworkSettings::Private { vpc_endpoint_ids }
            }
            Some(Network { access: Access::Public, vpc_endpoint_ids }) if vpc_endpoint_ids.is_empty() => {
                NetworkSettings::Public
            }
            Some(_) => {
                return Err(Invalid::new("collection.network.vpcEndpointIds", ENDPOINTS_ARE_PRIVATE));
            }
        };
        Ok(CollectionSettings { standby_replicas: standby_replicas.unwrap_or_default(), network })
    }
}

impl Encryption {
    pub fn resolve(written: Option<&Self>) -> Result<EncryptionSettings, Invalid> {
        let Some(Encryption { key, kms_key_arn }) = written else {
            return Ok(EncryptionSettings::AwsOwned);
        };
        match (key, kms_key_arn) {
            (EncryptionKey::AWSOwned, None) => Ok(EncryptionSettings::AwsOwned),
            (EncryptionKey::Create, None) => Ok(EncryptionSettings::Create),
            (EncryptionKey::Existing, Some(arn)) => {
                Ok(EncryptionSettings::Existing { kms_key_arn: arn.clone() })
            }
            _ => Err(Invalid::new("encryption.kmsKeyArn", KEY_ARN_IFF_EXISTING)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_replicas_are_awss_own() {
        assert_eq!(StandbyReplicas::Enabled.in_aws(), "ENABLED");
        assert_eq!(StandbyReplicas::Disabled.in_aws(), "DISABLED");
        for replicas in [StandbyReplicas::Enabled, StandbyReplicas::Disabled] {
            assert_eq!(StandbyReplicas::of_aws(replicas.in_aws()), Some(replicas));
        }
        assert_eq!(StandbyReplicas::of_aws("Enabled"), None);
    }
}
