//! The moments at which something can go wrong: calls of a recorded run, by what they are and how often they came before.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};

use crate::support::double::Call;
use crate::support::proxy::Request;
use crate::support::world::World;

/// What is called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    Aws {
        service: String,
        operation: String,
    },
    /// A path with `*` in the places of the world's own name, and of names that are made up.
    Kubernetes {
        method: String,
        path: String,
    },
}

/// The `nth` call of an operation in a scenario; only calls that take effect count.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    pub operation: Operation,
    pub nth: usize,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Operation::Aws { service, operation } => write!(f, "{service}:{operation}"),
            Operation::Kubernetes { method, path } => {
                let path = path.split_once("/v1alpha1/").map_or(path.as_str(), |(_, path)| path);
                write!(f, "{method}:{path}")
            }
        }
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.operation, self.nth)
    }
}

impl Operation {
    pub fn of_call(call: &Call) -> Self {
        Operation::Aws { service: call.service.clone(), operation: call.operation.clone() }
    }

    pub fn of_request(w: &World, request: &Request) -> Self {
        let mut parts: Vec<String> = Vec::new();
        for part in request.path.split('/') {
            let made_up = parts.last().is_some_and(|kind| kind == "events");
            parts.push(if made_up { "*".into() } else { part.replace(&w.suffix, "*") });
        }
        Operation::Kubernetes { method: request.method.clone(), path: parts.join("/") }
    }

    /// The beginning of a rule that means this operation.
    fn rule(&self) -> Value {
        match self {
            Operation::Aws { service, operation } => {
                json!({"caller": "*/operator", "service": service, "operation": operation})
            }
            Operation::Kubernetes { method, path } => json!({"method": method, "path": path}),
        }
    }

    /// The first call of it meets this.
    pub fn once(&self, fault: &Value) -> Value {
        merged(self.rule(), fault)
    }
}

impl Point {
    /// One point for each call, in their order.
    pub fn of(operations: impl Iterator<Item = Operation>) -> Vec<Point> {
        let mut counts: BTreeMap<Operation, usize> = BTreeMap::new();
        let numbered = operations.map(|operation| {
            let count = counts.entry(operation.clone()).or_default();
            *count += 1;
            Point { operation, nth: *count }
        });
        numbered.collect()
    }

    pub fn is_in_kubernetes(&self) -> bool {
        matches!(self.operation, Operation::Kubernetes { .. })
    }

    /// Whether a status is written.
    pub fn is_a_report(&self) -> bool {
        matches!(&self.operation, Operation::Kubernetes { path, .. } if path.ends_with("/status"))
    }

    /// This call meets `fault`.
    pub fn rule(&self, fault: &Value) -> Value {
        merged(merged(self.operation.rule(), &json!({"first": self.nth})), fault)
    }
}

fn merged(mut rule: Value, more: &Value) -> Value {
    rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    rule
}
