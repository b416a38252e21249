//! What a pass came to, before anybody is told of it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::blocked::Blocked;
use crate::api::{ConditionType, PerLayer, Reason, Status, condition};

pub use super::layer_status::LayerStatus;

pub(super) const TRUE: &str = "True";
pub(super) const FALSE: &str = "False";
pub(super) const UNKNOWN: &str = "Unknown";

/// A reason and its message.
pub type Cause = (Reason, String);

/// How far a pass got. The conditions that sum up an object follow from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The object may not be acted upon.
    Refused(Blocked),
    /// Nobody can say at the moment whether it may.
    Withheld(Blocked),
    /// Nothing of the stack goes on before a person has acted.
    Blocked {
        /// Why, such as that something of our name is not ours.
        why: Blocked,
        /// Whether it is still open if the object may be acted upon.
        undecided: bool,
    },
    /// The stack stands as its layers, and what it borrows, say.
    Layers {
        /// Whether it is still open if the object may be acted upon.
        undecided: bool,
        /// Something has been failing in a way that passes for so long that a person may wonder.
        transient: Option<Cause>,
        /// Everything stands, and yet it cannot be asked: what it would answer from is being made anew.
        reindexing: Option<Cause>,
    },
    /// It is being taken apart.
    Leaving(Leaving),
}

impl Default for Outcome {
    fn default() -> Self {
        Outcome::of_layers(None)
    }
}

impl Outcome {
    /// The stack of an object that is acted upon stands as its layers say.
    pub const fn of_layers(transient: Option<Cause>) -> Self {
        Outcome::Layers { undecided: false, transient, reindexing: None }
    }

    /// The stack of an object that is acted upon cannot go on.
    pub const fn blocked(why: Blocked) -> Self {
        Outcome::Blocked { why, undecided: false }
    }

    /// The same while it is still open if the object may be acted upon, if it is.
    pub fn while_undecided(self, undecided: bool) -> Self {
        match self {
            Outcome::Blocked { why, .. } => Outcome::Blocked { why, undecided },
            Outcome::Layers { transient, reindexing, .. } => {
                Outcome::Layers { undecided, transient, reindexing }
            }
            other => other,
        }
    }

    /// The same while what the stack would answer from is being made anew, if it is.
    pub fn while_reindexing(self, reindexing: Option<Cause>) -> Self {
        match self {
            Outcome::Layers { undecided, transient, .. } => {
                Outcome::Layers { undecided, transient, reindexing }
            }
            other => other,
        }
    }

    /// What has been failing in a way that passes.
    pub fn transient(&self) -> Option<&Cause> {
        match self {
            Outcome::Layers { transient, .. } => transient.as_ref(),
            _ => None,
        }
    }

    /// The teardown, once it has begun.
    pub fn leaving(&self) -> Option<&Leaving> {
        match self {
            Outcome::Leaving(leaving) => Some(leaving),
            _ => None,
        }
    }
}

/// How a teardown stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaving {
    /// What it waits for or does.
    pub reason: Reason,
    /// In words.
    pub message: String,
    /// Whether it waits for something other than its own steps.
    pub blocked: bool,
    /// Whether that needs a person.
    pub stalled: bool,
}

/// How the documents stand, where the owner of a knowledge base, or a Pool tenant with bad news, says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Documents {
    /// Whether the last documents are indexed; `None` = unknown yet.
    pub current: Option<bool>,
    /// Why.
    pub reason: Reason,
    /// What a person should know.
    pub message: String,
}

impl Blocked {
    /// The change that was refused, as the conditions last said it of an object that goes on.
    pub fn of_change(before: &Status) -> Option<Self> {
        let said = before
            .condition(ConditionType::Accepted)
            .filter(|said| said.status != TRUE && before.is_accepted())?;
        Some(Self { reason: Reason::parse(&said.reason)?, message: said.message.clone() })
    }
}

impl Documents {
    /// The condition's status.
    pub fn status(&self) -> &'static str {
        status(self.current)
    }

    /// What the conditions last said of the documents.
    pub fn last(conditions: &[Condition]) -> Option<Self> {
        let said = condition::find(conditions, ConditionType::DocumentsCurrent)?;
        let current = match said.status.as_str() {
            "True" => Some(true),
            "False" => Some(false),
            _ => None,
        };
        Some(Documents { current, reason: Reason::parse(&said.reason)?, message: said.message.clone() })
    }

    /// Whether the conditions last said that something of the documents is not as it should be.
    pub fn were_in_trouble(conditions: &[Condition]) -> bool {
        Self::last(conditions).is_some_and(|last| last.current == Some(false))
    }
}

/// Whether the embedding model stays on offer, where the owner of a knowledge base says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// `None` = nobody could ask.
    pub current: Option<bool>,
    /// Why.
    pub reason: Reason,
    /// What a person should know.
    pub message: String,
}

/// The status of a condition of which this much is known.
pub(super) fn status(known: Option<bool>) -> &'static str {
    known.map_or(UNKNOWN, |known| if known { TRUE } else { FALSE })
}

/// All that a pass has to report: its outcome, and what has a condition of its own besides.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// How far it got.
    pub outcome: Outcome,
    /// Why a change that the spec asks for is refused, while what stood before goes on.
    pub change: Option<Blocked>,
    /// Every owned layer.
    pub layers: PerLayer<Option<LayerStatus>>,
    /// All that is borrowed.
    pub borrowed: Option<LayerStatus>,
    /// The documents.
    pub documents: Option<Documents>,
    /// The embedding model; `None` = the last word stands, if there is one.
    pub model: Option<Model>,
    /// The item in the registry, where there is one.
    pub registered: Option<LayerStatus>,
}
