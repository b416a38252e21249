//! Which version of each object our last word in its status made, until the cache has it: a cached object that is older does
//! not prove that nothing changed.

use std::collections::HashMap;

use parking_lot::Mutex;

/// By uid. What the cache has seen is forgotten: it never shows an older one again.
#[derive(Default)]
pub struct Written(Mutex<HashMap<String, String>>);

impl Written {
    /// Our word made this version.
    pub fn note(&self, uid: String, version: String) {
        self.0.lock().insert(uid, version);
    }

    /// Whether a pass has an older version before it than our last word made. If it has that one, it is forgotten.
    pub fn is_stale(&self, uid: &str, version: Option<&str>) -> bool {
        let mut all = self.0.lock();
        match all.get(uid) {
            Some(written) if Some(written.as_str()) == version => {
                all.remove(uid);
                false
            }
            written => written.is_some(),
        }
    }

    /// The version that is remembered.
    #[cfg(test)]
    pub fn get(&self, uid: &str) -> Option<String> {
        self.0.lock().get(uid).cloned()
    }

    /// The object is gone.
    pub fn forget(&self, uid: &str) {
        self.0.lock().remove(uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_remembered_until_the_cache_has_it() {
        let written = Written::default();
        assert!(!written.is_stale("acme", Some("7")));
        written.note("acme".into(), "9".into());
        assert!(written.is_stale("acme", Some("8")) && written.is_stale("acme", None));
        assert!(!written.is_stale("other", Some("8")));
        assert!(!written.is_stale("acme", Some("9")));
        assert_eq!(written.get("acme"), None);
    }
}
