//! A few names, for messages, and how many there are.

/// How many names are kept for messages.
const NAMED: usize = 10;
/// How many characters of a name are kept.
const LENGTH: usize = 80;

/// A few names, and how many there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// How many.
    pub count: usize,
    /// The first of them.
    pub first: Vec<String>,
}

impl Names {
    pub(super) fn add(&mut self, name: impl FnOnce() -> String) {
        self.count += 1;
        if self.first.len() < NAMED {
            let name = name();
            let short: String = name.chars().take(LENGTH).collect();
            self.first.push(if short.len() < name.len() { format!("{short}…") } else { name });
        }
    }

    pub(super) fn extend(&mut self, others: Names) {
        self.count += others.count;
        self.first.extend(others.first);
        self.first.truncate(NAMED);
    }
}

impl std::fmt::Display for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let more = self.count.saturating_sub(self.first.len());
        write!(f, "{}", self.first.join(", "))?;
        if more > 0 { write!(f, " and {more} more") } else { Ok(()) }
    }
}
