//! The second brake: what becomes of the stack is decided anew in each pass, by the policy as it stands then.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, Client};

use super::stop::TeardownStop;
use crate::api::{DeletionPolicy, Reason};
use crate::stack::model::progress::{Cadence, Progress, STALLED};
use crate::stack::model::teardown_order::{self, OnDelete};

/// What becomes of a stack, as far as it is known.
#[derive(Clone, Debug)]
pub enum Decision {
    /// This.
    Known(OnDelete),
    /// It cannot be known. Until it is, nothing is deleted.
    Unknown(Progress),
}

impl Decision {
    /// By the policy, unless our own definition is being deleted. That deletes all objects at once and passes admission by,
    /// and whoever does it seldom means the documents: then everything stays.
    pub async fn of(
        client: &Client,
        definition: &str,
        policy: Option<&DeletionPolicy>,
    ) -> Result<Self, kube::Error> {
        let on_delete = teardown_order::on_delete(policy);
        if on_delete == OnDelete::Keep {
            return Ok(Decision::Known(on_delete));
        }
        let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
        match definitions.get_metadata_opt(definition).await {
            Ok(Some(found)) if found.metadata.deletion_timestamp.is_none() => Ok(Decision::Known(on_delete)),
            Ok(_) => Ok(Decision::Known(OnDelete::Keep)),
            Err(kube::Error::Api(status)) if status.code == 403 => Ok(Decision::Unknown(Progress::Waiting {
                reason: Reason::Denied,
                message: format!(
                    "Whether the definition {definition} is being deleted cannot be seen, and until then nothing is \
                     deleted. Allow the operator's service account to get customresourcedefinitions"
                ),
                cadence: Cadence::After(STALLED),
            })),
            Err(error) => Err(error),
        }
    }

    /// What is known.
    pub fn known(&self) -> Option<OnDelete> {
        match self {
            Decision::Known(on_delete) => Some(*on_delete),
            Decision::Unknown(_) => None,
        }
    }

    /// Goes on only if it is known.
    pub fn or_wait(&self) -> Result<OnDelete, TeardownStop> {
        match self {
            Decision::Known(on_delete) => Ok(*on_delete),
            Decision::Unknown(waits) => Err(TeardownStop::Waits(waits.clone())),
        }
    }
}
