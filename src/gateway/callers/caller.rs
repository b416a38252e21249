//! Who calls, once that is proven.

use std::collections::BTreeMap;
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use crate::ask::access::Subject;

/// A caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// How the access log names it.
    pub subject: Subject,
    /// How it is named to itself.
    pub name: String,
    /// When the token ends.
    pub ends: SystemTime,
    /// What the caller may be asked for.
    pub may: May,
}

/// What decides for whom a caller may ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum May {
    /// The cluster, of this user of its.
    Cluster(User),
    /// The issuer: it has named one tenant.
    One(String),
}

/// A user as the cluster knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: Option<String>,
    /// Its groups.
    pub groups: Vec<String>,
    /// What else is known of it.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// A sum of all that rights can hang on.
    pub fn sum(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        let mut add = |part: &str| {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        };
        add(&self.name);
        add(self.uid.as_deref().unwrap_or_default());
        add(&self.groups.len().to_string());
        self.groups.iter().for_each(|group| add(group));
        for (key, values) in &self.extra {
            add(key);
            add(&values.len().to_string());
            values.iter().for_each(|value| add(value));
        }
        hasher.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_that_differ_in_anything_have_other_sums() {
        let of = |name: &str, groups: &[&str], extra: &[(&str, &[&str])]| {
            let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
            let extra = extra.iter().map(|(key, values)| ((*key).to_owned(), owned(values)));
            let user = User { name: name.into(), uid: None, groups: owned(groups), extra: extra.collect() };
            user.sum()
        };
        let sums = [
            of("a", &[], &[]),
            of("a", &["b"], &[]),
            of("ab", &[], &[]),
            of("a", &["b", "c"], &[]),
            of("a", &["bc"], &[]),
            of("a", &["b"], &[("c", &[])]),
            of("a", &["b"], &[("c", &["d"])]),
        ];
        let different: std::collections::BTreeSet<_> = sums.iter().collect();
        assert_eq!(different.len(), sums.len());
        assert_eq!(of("a", &["b"], &[]), sums[1]);
    }
}
