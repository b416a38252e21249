//! All Tenants of a class, together.

use std::collections::BTreeMap;

use serde::Serialize;

use super::row::{Classes, Row};
use super::table;
use crate::api::{DocumentsStatus, Enforcement, TenantClassSpec};

/// All Tenants of a class.
#[derive(Debug, Serialize)]
pub(super) struct Group {
    /// None: those without one.
    class: Option<String>,
    /// What the class says of limits and of the gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    says: Option<String>,
    ready: usize,
    /// The sum over all.
    documents: DocumentsStatus,
    tenants: Vec<Row>,
}

/// Class by class, those without tenants included, and whoever has no class at the end.
pub(super) fn by_class(rows: Vec<Row>, classes: &Classes) -> Vec<Group> {
    let mut groups: BTreeMap<Option<String>, Vec<Row>> = BTreeMap::new();
    if let Classes::Known(known) = classes {
        groups.extend(known.keys().map(|name| (Some(name.clone()), Vec::new())));
    }
    for row in rows {
        groups.entry(row.class.clone()).or_default().push(row);
    }
    let without = groups.remove(&None).map(|rows| (None, rows));
    groups.into_iter().chain(without).map(|(class, tenants)| Group::of(class, tenants, classes)).collect()
}

impl Group {
    fn of(class: Option<String>, tenants: Vec<Row>, classes: &Classes) -> Self {
        let each = || tenants.iter().filter_map(|row| row.documents);
        let documents = DocumentsStatus {
            count: each().map(|it| it.count).sum(),
            bytes: each().map(|it| it.bytes).sum(),
        };
        let says = class.as_deref().and_then(|class| classes.get(class)).map(says);
        Self { ready: tenants.iter().filter(|row| row.is_ready()).count(), says, class, documents, tenants }
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let Self { class, says, ready, documents: DocumentsStatus { count, bytes }, tenants } = self;
        let class = class.as_deref().unwrap_or("(no class)");
        let all = tenants.len();
        let mut text = format!("{class}: {all} tenant{}", if all == 1 { "" } else { "s" });
        if all > 0 {
            text += &format!(", {ready} Ready; {count} documents, {}", table::size(*bytes));
        }
        if let Some(says) = says {
            text += &format!("\n  {says}");
        }
        if all > 0 {
            text += &format!("\n{}", table::of(tenants));
        }
        text
    }
}

/// The limits of a class, in a sentence.
fn says(class: &TenantClassSpec) -> String {
    let limits = class.limits.clone().unwrap_or_default();
    let share = class.gateway.clone().unwrap_or_default();
    let counted = [
        limits.documents.map(|it| format!("{it} documents")),
        limits.gigabytes.map(|it| format!("{it} GB")),
        limits.minutes_between_jobs.map(|it| format!("a job every {it} minutes")),
        share.requests_per_minute.map(|it| format!("{it} questions a minute")),
        share.concurrent.map(|it| format!("{it} at once")),
    ];
    let counted: Vec<_> = counted.into_iter().flatten().collect();
    let mut text = match &counted[..] {
        [] => "each without limits".to_owned(),
        all => format!("each at most {}", all.join(", ")),
    };
    text += &format!("; weight {}", share.weight.unwrap_or(1));
    if share.enforcement == Enforcement::Shadow {
        text += "; the gateway counts its limits, and refuses nothing (Shadow)";
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::row::tests::{classes, rows, tenant};
    use super::*;

    #[test]
    fn every_class_has_its_group_and_whoever_has_none_comes_last() {
        let mut tired = tenant("tired", Some("basic"), json!({"count": 5, "bytes": 500}));
        tired.status.as_mut().unwrap().conditions[0].status = "False".into();
        let tenants = [
            tired,
            tenant("acme", Some("basic"), json!({"count": 10, "bytes": 1000})),
            tenant("own", None, json!(null)),
        ];
        let classes = classes();
        let groups = by_class(rows(&tenants, &classes), &classes);
        let told: Vec<_> =
            groups.iter().map(|it| (it.class.as_deref(), it.tenants.len(), it.ready)).collect();
        assert_eq!(told, [(Some("basic"), 2, 1), (Some("premium"), 0, 0), (None, 1, 1)]);
        assert_eq!(groups[0].documents, DocumentsStatus { count: 15, bytes: 1500 });
        let basic = groups[0].text();
        let first = "basic: 2 tenants, 1 Ready; 15 documents, 1.5 kB\n  each at most 1000 documents, 2 GB, 60 questions a minute, \
                     4 at once; weight 1\nNAMESPACE";
        assert!(basic.starts_with(first), "{basic}");
        let shadow = "; the gateway counts its limits, and refuses nothing (Shadow)";
        assert_eq!(groups[1].text(), format!("premium: 0 tenants\n  each without limits; weight 4{shadow}"));
        assert!(groups[2].text().starts_with("(no class): 1 tenant, 1 Ready; 0 documents, 0 B\nNAMESPACE"));
    }
}
