//! From a token to a tenant: authenticate → name → authorise → whose. Whoever may not ask learns nothing, not even whether
//! there is such a tenant; whoever may is told how it stands.

use std::sync::Arc;
use std::time::Duration;

use super::callers::Callers;
use super::callers::caller::{Caller, May};
use super::freshness::Freshness;
use super::records::Recorded;
use super::rights::Rights;
use super::tenants::{Known, Tenants};
use crate::ask::refusal::Refusal;
use crate::ask::whose::Asked;

/// All that is asked before a question is put.
pub struct Door {
    /// Who calls.
    pub callers: Callers,
    /// Which Tenants there are.
    pub tenants: Arc<Tenants>,
    /// How old that is.
    pub freshness: Freshness,
    /// How old it may be.
    pub usable: Duration,
    /// Who may ask for them.
    pub rights: Rights,
    /// Whose ids are.
    pub recorded: Recorded,
}

/// Whoever came in.
#[derive(Clone, Debug)]
pub struct Guest {
    /// Who it is.
    pub caller: Arc<Caller>,
    /// For whom it asks.
    pub tenant: Arc<Known>,
}

impl Door {
    /// Who has a token.
    pub async fn identify(&self, token: &str) -> Result<Arc<Caller>, Refusal> {
        self.callers.identify(token).await
    }

    /// Lets a caller ask for the tenant that the request names, or that its issuer has named.
    pub async fn admit(&self, caller: Arc<Caller>, named: Option<&str>) -> Result<Guest, Refusal> {
        let tenant_id = match (named, &caller.may) {
            (Some(named), _) => named,
            (None, May::One(tenant_id)) => tenant_id,
            (None, May::Cluster(_)) => {
                let why = "No tenant is named: by the credentials of AssumeRoleWithWebIdentity, or by /t/<tenantId>";
                return Err(Refusal::invalid("", why));
            }
        };
        if self.freshness.age() > self.usable {
            return Err(Refusal::IssuerAway);
        }
        let tenant = self.tenants.get(tenant_id).ok_or(Refusal::NotAllowed)?;
        match &caller.may {
            May::One(tenant_id) if **tenant_id == *tenant.tenant_id => {}
            May::One(_) => return Err(Refusal::NotAllowed),
            May::Cluster(user) => self.rights.must_have(user, &tenant).await?,
        }
        self.recorded.must_name(&tenant).await?;
        Ok(Guest { caller, tenant })
    }

    /// What may be asked for a tenant now.
    pub fn asked(&self, guest: &Guest) -> Result<Arc<Asked>, Refusal> {
        let asked = guest.tenant.asked.clone()?;
        if self.tenants.agrees_with_stack(&asked) {
            return Ok(asked);
        }
        Err(Refusal::NotReady("its SharedStack does not say the same as its status".into()))
    }
}
