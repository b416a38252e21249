//! What is told, for a person to read.

use super::report::{Floor, Ingestion, Outlook, Report, Takes};
use crate::stack::forecast::estimate::{Bound, Rates, Schedule};
use crate::stack::forecast::limits::{Questions, Quota};
use crate::stack::forecast::onboarding::Call;
use crate::stack::forecast::prospect::{Holding, Line};

pub(super) fn of(report: &Report) -> String {
    let Report { installation, account, region, rates, .. } = report;
    let mut text = format!(
        "Installation {installation}, account {account}, region {region}. Nothing was asked of a cluster or of AWS.\n"
    );
    if !report.operator_calls.is_empty() {
        text += "\nthe operator, when it first starts:\n";
        text += &calls(&report.operator_calls);
    }
    for object in &report.objects {
        text += &of_object(object, *rates);
    }
    if report.ingestion.iter().any(|it| it.knowledge_bases > 1) {
        text += "\nEmbedding all of it, knowledge bases with the same model sharing its rates:\n";
        for it in &report.ingestion {
            let knowledge_bases = counted(it.knowledge_bases, "knowledge base");
            text += &format!("  {}: {knowledge_bases}, {}\n", it.model, summary(&it.takes));
        }
    }
    text += &floor(&report.floor);
    text += &quotas(&report.quotas);
    text += &questions(&report.questions);
    for (title, lines) in [
        ("Warnings", &report.warnings),
        ("What was assumed", &report.assumptions),
        ("Skipped", &report.skipped),
    ] {
        if !lines.is_empty() {
            text += &format!("\n{title}:\n");
            text.extend(lines.iter().map(|line| format!("  - {line}\n")));
        }
    }
    text.trim_end().to_owned()
}

fn of_object(object: &Outlook, rates: Rates) -> String {
    let Outlook { object: title, file, column, tenant_id, .. } = object;
    let id = tenant_id.as_ref().map(|id| format!(", tenantId {id}")).unwrap_or_default();
    let mut text = format!("\n{title}{id}, {column} ({file})\n");
    text.extend(object.layers.iter().map(layer));
    if let Some(place) = &object.documents {
        text += &format!("  documents go to {place}\n");
    }
    if object.calls.is_empty() {
        text += "  onboarding changes nothing in AWS\n"
    } else {
        let count = counted(object.calls.len() as u64, "call");
        text += &format!("  onboarding, {count} that change something, those of one step side by side:\n");
        text += &calls(&object.calls);
    }
    if let Some(it) = &object.ingestion {
        text += &ingestion(it, rates);
    }
    if let Some(usd) = object.first_ingestion_usd {
        text += &format!(
            "    it costs ${usd:.2} in S3 Vectors at the most, if each vector comes in a call of its own\n"
        );
    }
    let costs = object.costs.iter().map(|cost| format!("{} ${:.2}", cost.what, cost.monthly_usd));
    let costs = costs.collect::<Vec<_>>().join(", ");
    let costs = if costs.is_empty() { "nothing of its own is billed by the hour".into() } else { costs };
    text + &format!("  a month, unused: ${:.2} ({costs})\n", object.monthly_usd)
}

fn layer(line: &Line) -> String {
    let Line { layer, ownership, name, note } = line;
    let ownership = match ownership {
        Holding::Owned => "owned",
        Holding::Borrowed => "borrowed",
        Holding::None => "none",
    };
    let name = name.as_deref().unwrap_or_default();
    let note = match (name, note.as_str()) {
        (_, "") => String::new(),
        ("", note) => note.into(),
        (_, note) => format!("  ({note})"),
    };
    format!("  {layer:<15} {ownership:<9} {name}{note}\n")
}

fn calls(calls: &[Call]) -> String {
    let line = |call: &Call| {
        let Call { step, operation, what, name, .. } = call;
        format!("    {step}  {operation:<33} {what} {name}\n")
    };
    calls.iter().map(line).collect()
}

fn ingestion(it: &Ingestion, rates: Rates) -> String {
    let Ingestion { model, tenants, documents_per_tenant, cut, takes } = it;
    if *tenants == 0 {
        return "  ingestion: none of its pool's Tenants is in the files\n".into();
    }
    let tenants = if *tenants == 1 { String::new() } else { format!("{tenants} tenants × ") };
    let load = takes.estimate.load;
    let mut text = format!(
        "  ingestion by {model}: {tenants}{} × {} of {} = {} and {}\n    ({})\n",
        counted(*documents_per_tenant, "document"),
        counted(cut.chunks_per_document, "chunk"),
        counted(cut.tokens_per_chunk, "token"),
        counted(load.requests, "request"),
        counted(load.tokens, "token"),
        cut.assumed,
    );
    let estimate = &takes.estimate;
    let binds = |bound| if estimate.bound == bound { "; this binds" } else { "" };
    for (what, rate, seconds, schedule, bound) in [
        (
            "requests",
            rates.requests_per_minute,
            estimate.seconds_by_requests,
            estimate.schedule_by_requests,
            Bound::Requests,
        ),
        (
            "tokens",
            rates.tokens_per_minute,
            estimate.seconds_by_tokens,
            estimate.schedule_by_tokens,
            Bound::Tokens,
        ),
    ] {
        text += &format!(
            "    by {what:<9} at {:>9} a minute: {:>7}, {}{}\n",
            grouped(rate),
            duration(seconds),
            at_most(schedule),
            binds(bound)
        );
    }
    text + &match (&takes.schedule, &takes.cron) {
        (Some(schedule), Some(cron)) => format!(
            "    the densest even schedule that fits: {}, every {} (\"{cron}\")\n",
            at_most(Some(*schedule)),
            duration(schedule.minutes * 60),
        ),
        _ => "    more than a day: no daily schedule fits\n".into(),
    }
}

fn summary(takes: &Takes) -> String {
    let load = takes.estimate.load;
    let bound = match takes.estimate.bound {
        Bound::Requests => "requests",
        Bound::Tokens => "tokens",
    };
    format!(
        "{} and {}: {}, bound by {bound}, {}",
        counted(load.requests, "request"),
        counted(load.tokens, "token"),
        duration(takes.seconds),
        at_most(takes.schedule)
    )
}

fn at_most(schedule: Option<Schedule>) -> String {
    schedule.map_or_else(|| "more than a day".into(), |it| format!("{} a day", it.jobs_per_day))
}

fn floor(floor: &Floor) -> String {
    let Floor { at_most, shared, capacities, prices } = floor;
    let mut text = format!("\nA month in which nobody asks anything: ${shared:.2}, at {prices}.\n");
    if (at_most - shared).abs() > 0.005 {
        text += &format!(
            "  Collections under one key share what one of them costs; if they did not, it would be ${at_most:.2}.\n"
        );
    }
    for it in capacities {
        let (units, replicas) = if it.standby_replicas { ("2 OCUs", "with") } else { ("1 OCU", "without") };
        text += &format!("  {units} for all collections under {} key {replicas} standby replicas\n", it.key);
    }
    text
}

fn quotas(quotas: &[Quota]) -> String {
    let mut text = String::from("\nOf AWS's limits (* can be raised) this takes:\n");
    for Quota { what, used, limit, adjustable, fits, .. } in quotas {
        let raised = if *adjustable { "*" } else { " " };
        let fits = if *fits { "" } else { "  DOES NOT FIT" };
        text += &format!("  {:>15} of {:>15}{raised} {what}{fits}\n", grouped(*used), grouped(*limit));
    }
    text
}

fn questions(questions: &Questions) -> String {
    let Questions { per_second, tenants, per_tenant_and_minute, .. } = questions;
    let each = per_tenant_and_minute.map(|each| {
        let tenants = counted(*tenants as u64, "tenant");
        format!("; for {tenants} {} a minute each, if all ask alike", decimal(each))
    });
    format!(
        "Of questions (Retrieve) AWS answers {per_second} a second, to all knowledge bases of the account and region together, \
         and raises it for nobody{}.\n",
        each.unwrap_or_default()
    )
}

/// Two digits that say something, at least.
fn decimal(number: f64) -> String {
    match number {
        10.0.. => format!("{number:.0}"),
        1.0.. => format!("{number:.1}"),
        0.1.. => format!("{number:.2}"),
        _ => format!("{number:.3}"),
    }
}

/// Hours and minutes, or minutes and seconds.
fn duration(seconds: u64) -> String {
    let (hours, minutes) = (seconds / 3600, seconds % 3600 / 60);
    match (hours, minutes, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, 0) => format!("{minutes}m"),
        (0, minutes, seconds) => format!("{minutes}m {seconds}s"),
        (hours, 0, _) => format!("{}h", grouped(hours)),
        (hours, minutes, _) => format!("{}h {minutes}m", grouped(hours)),
    }
}

fn counted(number: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// With a comma before each three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_for_people() {
        assert_eq!([0, 999, 1_000, 220_000_000].map(grouped), ["0", "999", "1,000", "220,000,000"]);
        let times = [0, 59, 60, 61, 3_600, 6_600, 44_000, 90_000_000].map(duration);
        assert_eq!(times, ["0s", "59s", "1m", "1m 1s", "1h", "1h 50m", "12h 13m", "25,000h"]);
        let rates = [1200.0, 12.0, 1.2, 0.12, 0.04].map(decimal);
        assert_eq!(rates, ["1200", "12", "1.2", "0.12", "0.040"]);
        assert_eq!((counted(1, "chunk"), counted(1_000, "chunk")), ("1 chunk".into(), "1,000 chunks".into()));
    }
}
