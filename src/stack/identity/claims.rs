//! Whose a resource is, by its tags, and whether an owner may treat it as its own.

use std::collections::BTreeMap;

use super::{Adopts, Identity, Owner};
use crate::api::{GROUP, Reason};
use crate::stack::approval;

/// Who a resource's tags say it belongs to, compared with an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnershipClaim {
    /// Installation, owner and uid are ours.
    Ours,
    /// Everything but the uid is ours: what an earlier object of this name left behind. That object is gone: two of
    /// one name cannot be.
    Adoptable,
    /// Everything but the name and the uid is ours: what another Tenant of this namespace left behind. Whoever may write
    /// Tenants in the namespace may take it over, and has to say so.
    Neighbour {
        /// Who that was, as `Tenant/<namespace>/<name>`.
        owner: String,
        /// The uid that it had.
        uid: String,
    },
    /// What another object of this name, or this tenantId, left behind.
    Earlier,
    /// Anybody else's, or nobody's.
    Foreign,
}

impl Identity {
    /// Whose a resource with these tags is. Ours is only what proves it: installation, owner and uid.
    pub fn claim(&self, tags: &BTreeMap<String, String>) -> OwnershipClaim {
        let ours = self.tags();
        let same = |key: &str| {
            let key = format!("{GROUP}/{key}");
            tags.get(&key) == ours.get(&key)
        };
        let has = |key: &str| tags.contains_key(&format!("{GROUP}/{key}"));
        let like_ours = ["tenant-id", "pattern", "stack"].into_iter().all(same);
        match (same("installation"), same("owner"), same("owner-uid")) {
            (true, true, true) => OwnershipClaim::Ours,
            (true, true, false) if has("owner-uid") && like_ours => OwnershipClaim::Adoptable,
            (true, true, false) => OwnershipClaim::Earlier,
            (true, false, false) if has("owner-uid") && like_ours && self.is_neighbour(tags) => {
                let tag = |key: &str| tags.get(&format!("{GROUP}/{key}")).cloned().unwrap_or_default();
                OwnershipClaim::Neighbour { owner: tag("owner"), uid: tag("owner-uid") }
            }
            (true, false, _) if has("tenant-id") && same("tenant-id") => OwnershipClaim::Earlier,
            _ => OwnershipClaim::Foreign,
        }
    }

    /// Whether these are the tags of a Tenant of our namespace.
    fn is_neighbour(&self, tags: &BTreeMap<String, String>) -> bool {
        let Owner::Tenant { namespace, .. } = &self.owner else { return false };
        let owner = tags.get(&format!("{GROUP}/owner"));
        owner
            .and_then(|owner| owner.strip_prefix("Tenant/")?.split_once('/'))
            .is_some_and(|it| it.0 == namespace)
    }

    /// Whether a resource with these tags may be treated as our own.
    pub fn owns(&self, claim: &OwnershipClaim) -> bool {
        match (claim, &self.adopts) {
            (OwnershipClaim::Ours, _) | (OwnershipClaim::Adoptable, Adopts::Left { .. }) => true,
            (OwnershipClaim::Neighbour { owner, uid }, Adopts::Left { approved: Some(approved) }) => {
                *approved == self.takeover_code(owner, uid)
            }
            _ => false,
        }
    }

    /// The approval with which this owner takes over what a neighbour left.
    pub fn takeover_code(&self, owner: &str, uid: &str) -> String {
        approval::code(&self.uid, Reason::TenantIdRetained, &[owner, uid])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Pattern;
    use crate::stack::identity::tests::{bridge, identity, with};

    #[test]
    fn only_installation_owner_and_uid_prove_that_it_is_ours() {
        let id = identity("acme", Pattern::Silo);
        let with = |key: &str, value: &str| {
            let mut tags = id.tags();
            tags.insert(format!("{GROUP}/{key}"), value.into());
            tags
        };
        assert_eq!(id.claim(&id.tags()), OwnershipClaim::Ours);
        assert_eq!(id.claim(&with("state", "retained")), OwnershipClaim::Ours);
        assert_eq!(id.claim(&with("owner-uid", "u-0")), OwnershipClaim::Adoptable);
        assert!(
            !id.owns(&OwnershipClaim::Adoptable)
                && id.clone().adopting(None).owns(&OwnershipClaim::Adoptable)
        );
        let mut changed = with("owner-uid", "u-0");
        changed.insert(format!("{GROUP}/pattern"), "Pool".into());
        assert_eq!(id.claim(&changed), OwnershipClaim::Earlier, "another pattern is another stack");
        assert_eq!(id.claim(&with("owner", "Tenant/elsewhere/acme")), OwnershipClaim::Earlier);
        let mut neighbours = with("owner-uid", "u-0");
        for elsewhere in ["Tenant/tenants-2/old", "Tenant/tenant/old", "SharedStack/tenants"] {
            neighbours.insert(format!("{GROUP}/owner"), elsewhere.into());
            assert_eq!(id.claim(&neighbours), OwnershipClaim::Earlier, "{elsewhere} is another namespace");
        }
        neighbours.insert(format!("{GROUP}/owner"), "Tenant/tenants/old".into());
        let neighbour = id.claim(&neighbours);
        assert!(
            matches!(&neighbour, OwnershipClaim::Neighbour { owner, .. } if owner == "Tenant/tenants/old")
        );
        let code = id.takeover_code("Tenant/tenants/old", "u-0");
        assert!(id.clone().adopting(Some(&code)).owns(&neighbour));
        for approved in [None, Some("TenantIdRetained-000000")] {
            assert!(!id.clone().adopting(approved).owns(&neighbour), "{approved:?}");
        }
        assert_eq!(id.claim(&with("installation", "other")), OwnershipClaim::Foreign);
        assert_eq!(id.claim(&BTreeMap::new()), OwnershipClaim::Foreign);
        let with_the_users = id.tags().into_iter().chain([("costCenter".into(), "42".into())]).collect();
        assert_eq!(Identity::parse_description(&Identity::description(&with_the_users)), id.tags());
        assert_eq!(Owner::of_tags(&id.tags()), Some(id.owner.clone()));
        let stack = Identity::of_stack(id.scope.clone(), "standard", "u-9");
        assert_eq!(Owner::of_tags(&stack.tags()), Some(stack.owner));
        assert_eq!(Owner::of_tags(&BTreeMap::new()), None);
    }

    /// Whose it is, by who the owner is and by its uid: of an installation of ours, and with what else is unlike ours.
    #[test]
    fn a_claim_is_told_from_all_that_the_tags_say() {
        let id = bridge();
        let unlike: [&[(&str, Option<&str>)]; 9] = [
            &[],
            &[("state", Some("retained"))],
            &[("tenant-id", Some("other"))],
            &[("tenant-id", None)],
            &[("pattern", Some("Pool"))],
            &[("pattern", None)],
            &[("stack", Some("other"))],
            &[("stack", None)],
            &[("pattern", Some("Silo")), ("stack", None)],
        ];
        let (same, before, none) = (Some("u-1"), Some("u-0"), None);
        let (ours, neighbour) = (Some("Tenant/tenants/acme"), Some("Tenant/tenants/old"));
        // O ours, A adoptable, N a neighbour's, E an earlier one's, F anybody's.
        let table = [
            (ours, same, "OOOOOOOOO"),
            (ours, before, "AAEEEEEEE"),
            (ours, none, "EEEEEEEEE"),
            (neighbour, same, "EEFFEEEEE"),
            (neighbour, before, "NNFFEEEEE"),
            (neighbour, none, "EEFFEEEEE"),
            (Some("Tenant/elsewhere/acme"), same, "EEFFEEEEE"),
            (Some("Tenant/elsewhere/acme"), before, "EEFFEEEEE"),
            (Some("Tenant/tenants"), before, "EEFFEEEEE"),
            (Some("tenants/old"), before, "EEFFEEEEE"),
            (Some("SharedStack/tenants/old"), before, "EEFFEEEEE"),
            (Some("SharedStack/standard"), none, "EEFFEEEEE"),
            (none, same, "EEFFEEEEE"),
            (none, before, "EEFFEEEEE"),
            (none, none, "EEFFEEEEE"),
        ];
        for (owner, uid, claims) in table {
            for (unlike, expected) in unlike.into_iter().zip(claims.chars()) {
                let mut tags = with(&id, &[unlike, &[("owner", owner), ("owner-uid", uid)]].concat());
                let claim = id.claim(&tags);
                let letter = match &claim {
                    OwnershipClaim::Ours => 'O',
                    OwnershipClaim::Adoptable => 'A',
                    OwnershipClaim::Neighbour { owner: theirs, uid: had } => {
                        assert_eq!((Some(theirs.as_str()), Some(had.as_str())), (owner, uid));
                        'N'
                    }
                    OwnershipClaim::Earlier => 'E',
                    OwnershipClaim::Foreign => 'F',
                };
                assert_eq!(letter, expected, "{tags:?}");
                for installation in [None, Some("prod"), Some("")] {
                    let key = format!("{GROUP}/installation");
                    tags.remove(&key);
                    tags.extend(installation.map(|it| (key, it.to_owned())));
                    assert_eq!(id.claim(&tags), OwnershipClaim::Foreign, "{tags:?}");
                }
            }
        }
    }

    #[test]
    fn a_stack_has_no_neighbours_and_takes_no_tenants_things() {
        let id = Identity::of_stack(bridge().scope, "standard", "u-1");
        for (changes, claim) in [
            (&[][..], OwnershipClaim::Ours),
            (&[("owner-uid", Some("u-0"))], OwnershipClaim::Adoptable),
            (&[("owner-uid", None)], OwnershipClaim::Earlier),
            (&[("owner-uid", Some("u-0")), ("tenant-id", Some("acme"))], OwnershipClaim::Earlier),
            (&[("owner-uid", Some("u-0")), ("owner", Some("SharedStack/other"))], OwnershipClaim::Foreign),
            (&[("owner-uid", Some("u-0")), ("owner", Some("Tenant/tenants/acme"))], OwnershipClaim::Foreign),
            (&[("owner", Some("Tenant/tenants/acme"))], OwnershipClaim::Foreign),
        ] {
            assert_eq!(id.claim(&with(&id, changes)), claim, "{changes:?}");
        }
    }

    #[test]
    fn only_what_is_ours_or_was_given_to_us_is_treated_so() {
        let id = bridge();
        let code = id.takeover_code("Tenant/tenants/old", "u-0");
        let later = Identity { uid: "u-2".into(), ..id.clone() };
        let others = [
            later.takeover_code("Tenant/tenants/old", "u-0"),
            id.takeover_code("Tenant/tenants/older", "u-0"),
            id.takeover_code("Tenant/tenants/old", "u-00"),
        ];
        let neighbour = OwnershipClaim::Neighbour { owner: "Tenant/tenants/old".into(), uid: "u-0".into() };
        let claims = [
            OwnershipClaim::Ours,
            OwnershipClaim::Adoptable,
            neighbour,
            OwnershipClaim::Earlier,
            OwnershipClaim::Foreign,
        ];
        let owned = |id: &Identity| claims.clone().map(|claim| id.owns(&claim));
        assert_eq!(owned(&id), [true, false, false, false, false], "on the way back");
        assert_eq!(owned(&id.clone().adopting(None)), [true, true, false, false, false]);
        assert_eq!(owned(&id.clone().adopting(Some(&code))), [true, true, true, false, false]);
        for other in others {
            assert_ne!(other, code);
            assert_eq!(owned(&id.clone().adopting(Some(&other))), [true, true, false, false, false]);
        }
    }
}
