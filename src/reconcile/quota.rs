//! Room for knowledge bases: an account has 100, and a stack that cannot have its own is refused before anything of it
//! is built.

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::Mutex;

use crate::api::{Layer, Reason};
use crate::aws::KnowledgeBases;
use crate::stack::fault::Fault;
use crate::stack::identity::Identity;
use crate::stack::model::blocked::Blocked;

/// Knowledge bases that were promised to objects, by uid, and may not be in AWS's list yet.
#[derive(Default)]
pub struct Reservations(Mutex<BTreeMap<String, String>>);

impl Reservations {
    /// Promises one without asking: the object was accepted before.
    pub fn promise(&self, id: &Identity) {
        self.0.lock().insert(id.uid.clone(), id.name(Layer::KnowledgeBase));
    }

    /// The uids of all that have a promise.
    #[cfg(test)]
    pub fn promised(&self) -> Vec<String> {
        self.0.lock().keys().cloned().collect()
    }

    /// The object is gone, or refused.
    pub fn forget(&self, uid: &str) {
        self.0.lock().remove(uid);
    }

    /// Promises one if there is room: what the account has, ours and others', and what is promised.
    fn reserve(&self, id: &Identity, listed: &BTreeSet<String>, limit: usize) -> Result<(), usize> {
        let mut promised = self.0.lock();
        let name = id.name(Layer::KnowledgeBase);
        let others: BTreeSet<_> =
            promised.iter().filter(|(uid, _)| **uid != id.uid).map(|(_, name)| name).collect();
        let taken =
            listed.iter().chain(others).filter(|taken| **taken != name).collect::<BTreeSet<_>>().len();
        if taken >= limit {
            return Err(taken);
        }
        promised.insert(id.uid.clone(), name);
        Ok(())
    }
}

/// Asks for room for one more knowledge base.
pub async fn reserve(
    knowledge_bases: &KnowledgeBases,
    reservations: &Reservations,
    limit: usize,
    id: &Identity,
) -> Result<Result<(), Blocked>, Fault> {
    let listed = match knowledge_bases.names().await {
        Ok(names) => names.into_iter().collect(),
        Err(fault) => return Ok(Err(Blocked::try_from(fault)?)),
    };
    Ok(reservations.reserve(id, &listed, limit).map_err(|taken| Blocked {
        reason: Reason::QuotaReserved,
        message: format!(
            "The account has or is promised {taken} knowledge bases and --max-knowledge-bases is {limit}. Nothing was \
             built. Use the Pool pattern, make room, or raise the limit (AWS allows 100 an account and region)"
        ),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::identity::Scope;

    #[test]
    fn what_is_listed_and_what_is_promised_count_once() {
        let scope = std::sync::Arc::new(Scope::new("prod", "123456789012", "eu-central-1"));
        let id = |name: &str| Identity::of_stack(scope.clone(), name, name);
        let reservations = Reservations::default();
        let mut listed = BTreeSet::from(["somebody-elses".to_string()]);
        assert_eq!(reservations.reserve(&id("a"), &listed, 3), Ok(()));
        assert_eq!(reservations.reserve(&id("a"), &listed, 3), Ok(()), "asking again takes no more room");
        assert_eq!(reservations.reserve(&id("b"), &listed, 3), Ok(()));
        assert_eq!(reservations.reserve(&id("c"), &listed, 3), Err(3));
        listed.insert(id("a").name(Layer::KnowledgeBase));
        assert_eq!(reservations.reserve(&id("c"), &listed, 3), Err(3), "a promise kept is not counted twice");
        reservations.forget("b");
        assert_eq!(reservations.reserve(&id("c"), &listed, 3), Ok(()));
    }
}
