//! The tags that say whose a resource is, and the descriptions that stand for them.

use std::collections::BTreeMap;

use super::{Identity, Owner};
use crate::api::{GROUP, Pattern};
use crate::stack::names;

/// The state of what somebody looks after.
const OWNED: &str = "owned";
/// The state of what was left behind on purpose.
pub const RETAINED: &str = "retained";

impl Owner {
    /// Reads back whose tags these are: what [`Identity::tags`] wrote. Names that cannot be are nobody's.
    pub fn of_tags(tags: &BTreeMap<String, String>) -> Option<Self> {
        let tag = |key: &str| tags.get(&format!("{GROUP}/{key}")).cloned();
        let owner = tag("owner")?;
        if let Some(name) = owner.strip_prefix("SharedStack/") {
            return names::is_tenant_id(name).then(|| Owner::Stack { name: name.into() });
        }
        let (namespace, name) = owner.strip_prefix("Tenant/")?.split_once('/')?;
        let (tenant_id, stack) = (tag("tenant-id")?, tag("stack"));
        let pattern = Pattern::ALL.into_iter().find(|it| Some(it.to_string()) == tag("pattern"))?;
        let can_be = names::is_label(namespace)
            && names::is_object_name(name)
            && names::is_tenant_id(&tenant_id)
            && stack.as_deref().is_none_or(names::is_tenant_id);
        can_be.then(|| Owner::Tenant {
            namespace: namespace.into(),
            name: name.into(),
            tenant_id,
            pattern,
            stack,
        })
    }
}

impl Identity {
    /// The tags every created resource carries from its first moment, without the user's own.
    pub fn tags(&self) -> BTreeMap<String, String> {
        self.tags_of_state(OWNED)
    }

    /// The tags of what its owner has left behind on purpose.
    pub fn retained_tags(&self) -> BTreeMap<String, String> {
        self.tags_of_state(RETAINED)
    }

    fn tags_of_state(&self, state: &str) -> BTreeMap<String, String> {
        let mut tags = vec![
            ("installation", self.scope.installation.clone()),
            ("owner", self.owner_tag()),
            ("owner-uid", self.uid.clone()),
            ("state", state.into()),
        ];
        if let Owner::Tenant { tenant_id, pattern, stack, .. } = &self.owner {
            tags.push(("tenant-id", tenant_id.clone()));
            tags.push(("pattern", pattern.to_string()));
            tags.extend(stack.clone().map(|stack| ("stack", stack)));
        }
        tags.into_iter().map(|(key, value)| (format!("{GROUP}/{key}"), value)).collect()
    }

    /// The same facts as [`tags`](Self::tags), for AOSS policies, which have a description and no tags: what is ours
    /// among `tags`, without the user's own. At most 1,000 characters; `installation=…,owner=…,owner-uid=…,state=owned`.
    pub fn description(tags: &BTreeMap<String, String>) -> String {
        let ours =
            tags.iter().filter_map(|(key, value)| Some((key.strip_prefix(GROUP)?.strip_prefix('/')?, value)));
        ours.map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
    }

    /// Reads back what [`description`](Self::description) wrote.
    pub fn parse_description(description: &str) -> BTreeMap<String, String> {
        let pairs = description.split(',').filter_map(|pair| pair.split_once('='));
        pairs.map(|(key, value)| (format!("{GROUP}/{key}"), value.to_string())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::identity::tests::{bridge, identity, with};

    #[test]
    fn tags_say_whose_it_is_and_whether_anybody_looks_after_it() {
        let tags = |state: &str| {
            let tags = [
                ("installation", "prod1234"),
                ("owner", "Tenant/tenants/acme"),
                ("owner-uid", "u-1"),
                ("pattern", "Bridge"),
                ("stack", "standard"),
                ("state", state),
                ("tenant-id", "acme"),
            ];
            tags.map(|(key, value)| (format!("tenantry.dev/{key}"), value.to_owned())).into()
        };
        assert_eq!(bridge().tags(), tags("owned"));
        assert_eq!(bridge().retained_tags(), tags("retained"));
        let stack = Identity::of_stack(bridge().scope, "standard", "u-9");
        assert_eq!(stack.tags().len(), 4, "{:?}", stack.tags());
        assert_eq!(stack.owner_tag(), "SharedStack/standard");
    }

    #[test]
    fn an_owner_is_read_back_from_its_tags() {
        for pattern in Pattern::ALL {
            let id = identity("acme", pattern);
            assert_eq!(Owner::of_tags(&id.tags()), Some(id.owner));
        }
        let id = bridge();
        assert_eq!(Owner::of_tags(&id.tags()).as_ref(), Some(&id.owner));
        let unreadable: [&[(&str, Option<&str>)]; 6] = [
            &[("owner", None)],
            &[("owner", Some("Tenant/acme"))],
            &[("owner", Some("Namespace/tenants/acme"))],
            &[("pattern", None)],
            &[("pattern", Some("Moat"))],
            &[("tenant-id", None)],
        ];
        for changes in unreadable {
            assert_eq!(Owner::of_tags(&with(&id, changes)), None, "{changes:?}");
        }
    }

    #[test]
    fn a_description_says_our_tags_and_nothing_else() {
        let id = bridge();
        let mut tags = id.tags();
        let others = [("costCenter", "42"), ("tenantry.dev", "x"), ("tenantry.developer/name", "x")];
        tags.extend(others.map(|(key, value)| (key.to_owned(), value.to_owned())));
        let description = Identity::description(&tags);
        assert_eq!(
            description,
            "installation=prod1234,owner=Tenant/tenants/acme,owner-uid=u-1,pattern=Bridge,stack=standard,state=owned,\
             tenant-id=acme"
        );
        assert_eq!(Identity::parse_description(&description), id.tags());
        let others = Identity::parse_description("somebody's own words, with=an=equals sign,");
        assert_eq!(others, [("tenantry.dev/ with".to_owned(), "an=equals sign".to_owned())].into());
        assert_eq!(Identity::parse_description(""), BTreeMap::new());
    }
}
