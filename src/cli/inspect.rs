//! What the commands share: the Tenant, AWS as whoever runs them sees it, and what an owner has there.

use std::fmt;
use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use kube::ResourceExt;

use super::terminal;
use crate::api::{Column, FINALIZER_PREFIX, GROUP, Layer, Ownership, Standing, Tenant};
use crate::aws;
use crate::aws::{Aws, Gate, Pace, Tags};
use crate::documents::sidecar::{is_document, is_sidecar};
use crate::layers::{Hints, LayerObservation, Layers, store};
use crate::stack::fault::{Class, Fault};
use crate::stack::identity::{Identity, Owner, Scope};
use crate::stack::model::observed::{IndexFacts, Observation, Observed};
use crate::stack::model::plan;
use crate::stack::names;

/// How many documents are counted before it is enough to say that there are more.
const COUNTED: usize = 100_000;

/// The installation that holds a Tenant, if one does. Nobody can tell what becomes of one that two hold.
pub(super) fn installation(tenant: &Tenant) -> anyhow::Result<Option<&str>> {
    let holds = tenant.finalizers().iter().filter_map(|finalizer| finalizer.strip_prefix(FINALIZER_PREFIX));
    let holds: Vec<_> = holds.collect();
    match holds[..] {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        _ => bail!(
            "several installations hold this Tenant, {}: what becomes of it cannot be said before all but one have let go",
            holds.join(" and ")
        ),
    }
}

/// AWS, as the credentials of whoever runs the command see it, and where an installation's things are in it.
pub(super) async fn aws(installation: &str) -> anyhow::Result<(Aws, Arc<Scope>)> {
    let sdk = aws::load().await?;
    let region = sdk.region().map(ToString::to_string).unwrap_or_default();
    ensure!(!region.is_empty(), "no AWS region is set: set AWS_REGION, or a region in your AWS profile");
    ensure!(
        names::is_region(&region),
        "the AWS region is '{region}', and a region is of the form eu-central-1: set AWS_REGION"
    );
    let caller = aws::caller(&sdk).await.map_err(|fault| {
        let why = nobody(&fault, &region);
        anyhow::Error::new(fault).context(why)
    })?;
    let scope = Arc::new(Scope::new(installation, &caller.account, &region).in_partition_of(&caller.arn)?);
    Ok((Aws::new(&sdk, &caller.account, &Gate::new(Pace::FULL)), scope))
}

/// Why AWS does not say who runs the command, and what to do.
fn nobody(fault: &Fault, region: &str) -> String {
    let never_asked = matches!(fault.code.as_str(), "Connection" | "Timeout");
    match fault.code.as_str() {
        _ if never_asked && fault.message.contains("credentials") => {
            "there are no AWS credentials here, or they cannot be loaded: set AWS_PROFILE, or sign in again"
                .into()
        }
        _ if never_asked => format!(
            "AWS cannot be reached in {region}: check the region, the network, HTTPS_PROXY, AWS_ENDPOINT_URL and the \
             certificates that are trusted here"
        ),
        "407" => "the proxy before AWS wants to know who asks: write user and password into HTTPS_PROXY, as \
                  http://<user>:<password>@<host>:<port>"
            .into(),
        "InvalidRequest" => {
            "the settings of AWS here do not go together, such as FIPS with an endpoint of one's own".into()
        }
        "InvalidClientTokenId" | "UnrecognizedClientException" => {
            format!(
                "AWS does not know these credentials in {region}: renew them, or let the account use that region"
            )
        }
        _ => "AWS does not take these credentials".into(),
    }
}

/// What a Tenant's own parts are called.
pub(super) fn identity(scope: Arc<Scope>, tenant: &Tenant) -> anyhow::Result<Identity> {
    let Standing { pattern, stack } = tenant.standing().context(
        "its class says where the Tenant is, and that cannot be read: the Tenant was not accepted yet; `kubectl get tenant` says why",
    )?;
    let owner = Owner::Tenant {
        namespace: tenant.namespace().unwrap_or_default(),
        name: tenant.name_any(),
        tenant_id: tenant.spec.tenant_id.clone(),
        pattern,
        stack: stack.map(str::to_owned),
    };
    Ok(Identity::new(scope, owner, &tenant.uid().unwrap_or_default()))
}

/// Whose bucket it is, if its tags are this installation's and its name is what their owner's bucket is called.
pub(super) fn owner_of_bucket(scope: &Arc<Scope>, bucket: &str, tags: &Tags) -> Option<Identity> {
    let installation = tags.get(&format!("{GROUP}/installation"))?;
    let owner = Owner::of_tags(tags).filter(|_| *installation == scope.installation)?;
    let id = Identity::new(scope.clone(), owner, "");
    (id.name(Layer::Bucket) == bucket).then_some(id)
}

/// Prints an answer. Whoever read as much as they wanted, as `head` does, is no trouble.
pub(super) fn print(told: &str) -> anyhow::Result<()> {
    let told = if std::io::stdout().is_terminal() { terminal::harmless(told) } else { told.into() };
    match writeln!(std::io::stdout(), "{told}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// All that the owner has, layer by layer.
pub(super) async fn look(
    aws: &Aws,
    id: &Identity,
    lender: Option<&Identity>,
    column: Column,
    hints: Hints,
) -> Result<Observation, Fault> {
    let (observed, faults) = look_as_far_as_possible(aws, id, lender, column, hints).await;
    faults.into_iter().next().map_or(Ok(observed), |(_, fault)| Err(fault))
}

/// The same, and the layers that could not be looked at, which are absent from it.
pub(super) async fn look_as_far_as_possible(
    aws: &Aws,
    id: &Identity,
    lender: Option<&Identity>,
    column: Column,
    mut hints: Hints,
) -> (Observation, Vec<(Layer, Fault)>) {
    let (mut observed, mut faults) = (Observation::default(), Vec::new());
    let owned = || column.layers(Ownership::Owns);
    for layer in owned().filter(|layer| *layer != Layer::Index) {
        match aws.look(id, layer, &hints).await {
            Ok(seen) => observed.put(seen),
            Err(fault) => faults.push((layer, fault)),
        }
    }
    if owned().any(|layer| layer == Layer::Index) {
        let store = match lender {
            Some(lender) => store::find(aws, &lender.name(Layer::VectorStore), hints.store_kind)
                .await
                .map(|found| found.filter(|it| it.is_active).map(|it| it.handle)),
            None => Ok(observed.store().filter(|_| observed.has_active_store())),
        };
        let store = store.unwrap_or_else(|fault| {
            faults.push((Layer::Index, fault));
            None
        });
        hints.index_by_endpoint = plan::index_by_endpoint(&observed);
        hints.index_on_record = plan::index_on_record(&observed);
        hints.store = store;
        let hidden = match aws.look(id, Layer::Index, &hints).await {
            Ok(LayerObservation::IndexHidden(_)) => true,
            Ok(seen) => {
                observed.put(seen);
                false
            }
            Err(fault) if matches!(fault.class, Class::NotYet | Class::Denied) => true,
            Err(fault) => {
                faults.push((Layer::Index, fault));
                false
            }
        };
        // A data access policy lets the operator see it, or only its store's endpoint does, and nobody else need be
        // in the one or near the other. It belongs to the policy of its name, and a knowledge base would not stand
        // without it.
        let policy = observed.role.ours().and_then(|facts| facts.data_access.as_ref());
        if hidden && policy.is_some() && observed.knowledge_base.ours().is_some() {
            observed.index = Observed::Ours(IndexFacts::default());
        }
    }
    (observed, faults)
}

/// Documents under a prefix and the metadata files beside them, their current versions alone.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counted {
    documents: usize,
    metadata_files: usize,
    /// Of both.
    pub(super) bytes: u64,
    more: bool,
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.documents, if self.more { " and more" } else { "" })?;
        match self.metadata_files {
            0 => Ok(()),
            1 => write!(f, ", with 1 metadata file,"),
            files => write!(f, ", with {files} metadata files,"),
        }
    }
}

impl Counted {
    fn add(&mut self, key: &str, size: i64) {
        self.documents += usize::from(is_document(key));
        self.metadata_files += usize::from(is_sidecar(key));
        self.bytes += u64::try_from(size).unwrap_or(0);
    }
}

/// Counts the documents under a prefix.
pub(super) async fn count(aws: &Aws, bucket: &str, prefix: &str) -> Result<Counted, Fault> {
    let (mut counted, mut next) = (Counted::default(), None);
    loop {
        let page = aws.objects.list(bucket, prefix, next.as_deref(), None).await?;
        page.objects.iter().for_each(|object| counted.add(&object.key, object.size));
        next = page.next;
        counted.more = next.is_some();
        if next.is_none() || counted.documents + counted.metadata_files >= COUNTED {
            return Ok(counted);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn held_by(holds: &[&str]) -> Tenant {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "tenantry.dev/v1alpha1", "kind": "Tenant",
            "metadata": {"name": "a", "finalizers": holds},
            "spec": {"tenantId": "acme", "pattern": "Silo"},
        }))
        .unwrap()
    }

    /// "Nobody holds it, and nothing would go" must not be said of what two hold.
    #[test]
    fn what_two_installations_hold_is_not_nobodys() {
        assert_eq!(installation(&held_by(&["foregroundDeletion"])).unwrap(), None);
        assert_eq!(installation(&held_by(&["tenantry.dev/prod", "a/b"])).unwrap(), Some("prod"));
        let refused =
            installation(&held_by(&["tenantry.dev/prod", "tenantry.dev/test"])).unwrap_err().to_string();
        assert!(refused.contains("prod") && refused.contains("test"), "{refused}");
    }

    #[test]
    fn what_keeps_aws_from_saying_who_one_is_has_each_its_remedy() {
        let fault = |code: &str, message: &str| Fault {
            class: Class::Transient,
            service: "sts",
            operation: "GetCallerIdentity",
            resource: "the credentials".into(),
            code: code.into(),
            message: message.into(),
            request_id: None,
        };
        let loading =
            "dispatch failure: other: an error occurred while loading credentials: no providers in chain";
        let unreached = "dispatch failure: io error: client error (Connect): dns error";
        let said: BTreeSet<_> = [
            fault("Connection", loading),
            fault("Connection", unreached),
            fault("407", ""),
            fault("InvalidRequest", "Invalid Configuration: FIPS and custom endpoint are not supported"),
            fault("InvalidClientTokenId", "The security token included in the request is invalid"),
            fault("ExpiredToken", "The security token included in the request is expired"),
        ]
        .iter()
        .map(|fault| nobody(fault, "eu-south-1"))
        .collect();
        assert_eq!(said.len(), 6, "{said:#?}");
        assert_eq!(said.iter().filter(|said| said.contains("eu-south-1")).count(), 2, "{said:#?}");
    }

    #[test]
    fn metadata_files_and_folders_are_no_documents() {
        let counted = |keys: &[&str], more: bool| {
            let mut counted = Counted { more, ..Counted::default() };
            keys.iter().for_each(|key| counted.add(key, 10));
            (counted.to_string(), counted.bytes)
        };
        let (a, sidecar) = ("pool/acme/a.md", "pool/acme/a.md.metadata.json");
        for (keys, more, said) in [
            (&[][..], false, "0"),
            (&[a], false, "1"),
            (&["pool/acme/", a, "pool/acme/b/c.md"], true, "2 and more"),
            (&[a, sidecar], false, "1, with 1 metadata file,"),
            (&[sidecar, a, "pool/acme/b.metadata.json"], true, "1 and more, with 2 metadata files,"),
        ] {
            assert_eq!(counted(keys, more), (said.to_owned(), 10 * keys.len() as u64));
        }
    }
}
