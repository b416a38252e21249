//! Tenants as a table, for people.

use super::row::{Row, Usage};

const HEAD: [&str; 10] = [
    "NAMESPACE",
    "NAME",
    "TENANT ID",
    "PATTERN",
    "STORE",
    "CLASS",
    "READY",
    "DOCUMENTS",
    "SIZE",
    "NEAREST LIMIT",
];

/// A line for each, under a head.
pub(super) fn of(rows: &[Row]) -> String {
    if rows.is_empty() {
        return "There are no Tenants here.".into();
    }
    let cells: Vec<_> = std::iter::once(HEAD.map(str::to_owned)).chain(rows.iter().map(cells)).collect();
    let widths: [usize; HEAD.len()] =
        std::array::from_fn(|at| cells.iter().map(|line| line[at].chars().count()).max().unwrap_or_default());
    let line = |cells: &[String; HEAD.len()]| {
        let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    cells.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn cells(row: &Row) -> [String; HEAD.len()] {
    const NOTHING: &str = "-";
    let or = |text: Option<String>| text.unwrap_or_else(|| NOTHING.into());
    let class = match (&row.class, &row.wants) {
        (class, Some(wanted)) => format!("{} (not yet {wanted})", class.as_deref().unwrap_or(NOTHING)),
        (class, None) => or(class.clone()),
    };
    let ready = match &row.reason {
        Some(reason) if row.ready != "True" => format!("{} ({reason})", row.ready),
        _ => row.ready.clone(),
    };
    [
        row.namespace.clone(),
        row.name.clone(),
        row.tenant_id.clone(),
        or(row.pattern.map(|it| it.to_string())),
        or(row.vector_store.map(|it| it.to_string())),
        class,
        ready,
        or(row.documents.map(|it| it.count.to_string())),
        or(row.documents.map(|it| size(it.bytes))),
        match &row.usage {
            None => "unknown".into(),
            Some(_) => or(row.nearest().map(near)),
        },
    ]
}

fn near(usage: &Usage) -> String {
    let Usage { limit, used, allowed, percent } = usage;
    match *limit {
        "bytes" => format!("{percent}% of {}", size(*allowed)),
        limit => format!("{percent}% ({used} of {allowed} {limit})"),
    }
}

/// So many bytes, as disks are sold: a kilobyte has a thousand.
pub(super) fn size(bytes: i64) -> String {
    let mut size = bytes as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if size < 999.95 {
            let text = format!("{size:.1}");
            return format!("{} {unit}", text.strip_suffix(".0").unwrap_or(&text));
        }
        size /= 1000.0;
    }
    format!("{size:.1} TB")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::row::tests::{classes, rows, tenant};
    use super::*;

    #[test]
    fn a_line_has_who_where_and_near_what() {
        let mut waits = tenant("waits", None, json!(null));
        waits.spec.class_ref = serde_json::from_value(json!({"name": "premium"})).unwrap();
        waits.status.as_mut().unwrap().conditions[0].status = "False".into();
        waits.status.as_mut().unwrap().conditions[0].reason = "Creating".into();
        let tenants = [waits, tenant("acme", Some("basic"), json!({"count": 950, "bytes": 1_500_000}))];
        let table = of(&rows(&tenants, &classes()));
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(
            lines,
            [
                "NAMESPACE  NAME   TENANT ID  PATTERN  STORE                 CLASS                READY             DOCUMENTS  SIZE    NEAREST LIMIT",
                "tenants    acme   acme-id    Pool     OpenSearchServerless  basic                True              950        1.5 MB  95% (950 of 1000 documents)",
                "tenants    waits  waits-id   Pool     OpenSearchServerless  - (not yet premium)  False (Creating)  -          -       -",
            ]
        );
        assert_eq!(of(&[]), "There are no Tenants here.");
    }

    #[test]
    fn a_size_is_short() {
        let sizes = [0, 999, 1000, 1_500_000, 999_999, 2_000_000_000, 3_250_000_000_000];
        assert_eq!(sizes.map(size), ["0 B", "999 B", "1 kB", "1.5 MB", "1 MB", "2 GB", "3.2 TB"]);
    }
}
