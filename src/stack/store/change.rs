//! Something of a vector store that differs, as whoever knows no store asks of it.

use crate::stack::iam::operation::Operation;

/// One difference between a store and the wanted one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreChange {
    /// As a sentence names it; `None` for what AWS does, and nobody puts right.
    pub words: Option<&'static str>,
    /// Whether it keeps nobody from being answered.
    pub lets_answers_be: bool,
    /// The call that puts it right, and what that makes or changes. None: it is waited for.
    pub call: Option<(Operation, &'static str)>,
}

/// A setting that never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fixed {
    /// As a spec names it.
    pub setting: &'static str,
    /// What AWS has, if that is known.
    pub has: Option<String>,
    /// What is wanted.
    pub wanted: String,
}
