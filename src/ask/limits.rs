//! What a tenant's class lets it ask: so many questions a minute, and so many at once. Replicas share both.
//!
//! The minute is a bucket that fills while the tenant is quiet. What is in it is counted in minutes of the limit and not in
//! questions, so that another limit, or another number of replicas, changes what a question costs, and nothing has to be
//! converted: nobody gains by replicas that come and go. A process begins with empty buckets, and a tenant's first question is
//! on credit.
//!
//! Nothing here knows a clock: who calls says how long the process has run.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::api::{Enforcement, TenantClassSpec};

/// For how many tenants their use is kept before whoever has used up nothing is forgotten.
const KEPT: usize = 1024;
/// How long to wait where nobody knows when one of the tenant's questions is answered.
const SOON: Duration = Duration::from_secs(1);
/// No refusal says to wait for less.
const MOMENT: Duration = Duration::from_millis(100);
/// A question that is there but for a rounding error is there.
const NEARLY: f64 = 1e-9;

/// What a class says of questions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The class.
    pub class: Arc<str>,
    /// The share of what AWS grants to all.
    pub weight: u32,
    /// How many questions a minute.
    pub per_minute: Option<u32>,
    /// How many at once.
    pub concurrent: Option<u32>,
    /// How long one may wait for its turn.
    pub max_wait: Option<Duration>,
    /// Whether limits are counted only.
    pub is_shadow: bool,
}

impl Terms {
    /// Those of a class.
    pub fn of(class: &str, spec: &TenantClassSpec) -> Self {
        let share = spec.gateway.clone().unwrap_or_default();
        // The API server lets in no number below 1.
        let positive = |number: i32| u32::try_from(number).unwrap_or(1).max(1);
        Self {
            class: class.into(),
            weight: share.weight.map_or(1, positive),
            per_minute: share.requests_per_minute.map(positive),
            concurrent: share.concurrent.map(positive),
            max_wait: share.max_wait(),
            is_shadow: share.enforcement == Enforcement::Shadow,
        }
    }

    /// Whether anything has to be counted.
    pub fn has_limits(&self) -> bool {
        self.per_minute.is_some() || self.concurrent.is_some()
    }
}

/// Which part of everything is this replica's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// How many replicas are ready, this one included.
    pub replicas: usize,
    /// How many of those come before this one, in an order that all of them know.
    pub before: usize,
}

impl Part {
    /// Of one that is alone.
    pub const WHOLE: Self = Self { replicas: 1, before: 0 };

    /// Its part of a rate.
    fn of_rate(self, all: u32) -> f64 {
        f64::from(all) / self.replicas.max(1) as f64
    }

    /// Its part of a number of things that cannot be divided. The first replicas have what is left over, and each has one: a
    /// tenant may be asked for at every replica.
    fn of_count(self, all: u32) -> u32 {
        let (replicas, before) = (u32::try_from(self.replicas.max(1)), u32::try_from(self.before));
        let (replicas, before) = (replicas.unwrap_or(u32::MAX), before.unwrap_or(u32::MAX));
        (all / replicas + u32::from(before < all % replicas)).max(1)
    }
}

/// A limit of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// `requestsPerMinute`
    RequestsPerMinute,
    /// `concurrent`
    Concurrent,
}

/// A question that is beyond a limit of its tenant's class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beyond {
    /// The class.
    pub class: Arc<str>,
    /// Which limit.
    pub limit: Limit,
    /// What the class allows.
    pub allowed: u32,
    /// What of it is this replica's, if it is not alone.
    pub here: Option<String>,
    /// How much of that is used.
    pub used: String,
    /// How long to wait before the next try.
    pub wait: Duration,
}

/// What a tenant has used.
#[derive(Debug)]
struct Use {
    /// What is left of its minute, in minutes.
    left: f64,
    /// When that was so.
    at: Duration,
    /// When nothing of it is used any more, if nothing is asked.
    full: Duration,
    /// How many questions are under way.
    under_way: u32,
}

/// What the tenants have used that have limits.
#[derive(Debug)]
pub struct Limits {
    part: Part,
    minute: Duration,
    tenants: HashMap<Arc<str>, Use>,
    /// With how many tenants those are looked for who can be forgotten.
    crowd: usize,
}

impl Limits {
    /// Of a process that has just begun, for which a minute takes so long.
    pub fn new(minute: Duration) -> Self {
        Self { part: Part::WHOLE, minute, tenants: HashMap::new(), crowd: KEPT }
    }

    /// From now on this is the replica's part.
    pub fn set_part(&mut self, part: Part) {
        self.part = part;
    }

    /// Lets in a question of a tenant, which is under way until it [leaves](Self::leave); or says which limit it is beyond,
    /// and uses up nothing.
    pub fn enter(&mut self, tenant: &str, terms: &Terms, now: Duration) -> Result<(), Beyond> {
        let (part, minute) = (self.part, self.minute);
        let first = !self.tenants.contains_key(tenant);
        if first {
            self.forget(now);
            let left = now.div_duration_f64(minute);
            self.tenants.insert(tenant.into(), Use { left, at: now, full: now, under_way: 0 });
        }
        let Some(its) = self.tenants.get_mut(tenant) else { return Ok(()) };
        if let Some(allowed) = terms.concurrent
            && its.under_way >= part.of_count(allowed)
        {
            return Err(its.too_many(terms, allowed, part));
        }
        if let Some(allowed) = terms.per_minute {
            let here = part.of_rate(allowed);
            let (cost, most) = (1.0 / here, f64::max(1.0 / here, 1.0));
            its.left = (its.left + now.saturating_sub(its.at).div_duration_f64(minute)).min(most);
            its.at = its.at.max(now);
            if its.left + NEARLY < cost && !first {
                return Err(its.used_up(terms, allowed, part, minute));
            }
            its.left -= cost;
            its.full = now + minute.mul_f64(f64::max(most - its.left, 0.0));
        }
        its.under_way += 1;
        Ok(())
    }

    /// A question of a tenant is no longer under way.
    pub fn leave(&mut self, tenant: &str) {
        if let Some(its) = self.tenants.get_mut(tenant) {
            its.under_way = its.under_way.saturating_sub(1);
        }
    }

    /// Forgets whoever has used up nothing: to come anew is then the same.
    fn forget(&mut self, now: Duration) {
        if self.tenants.len() >= self.crowd {
            self.tenants.retain(|_, its| its.under_way > 0 || its.full > now);
            self.crowd = KEPT.max(2 * self.tenants.len());
        }
    }
}

impl Use {
    /// Too many questions are under way.
    fn too_many(&self, terms: &Terms, allowed: u32, part: Part) -> Beyond {
        let here = (part.replicas > 1).then(|| part.of_count(allowed).to_string());
        let (class, used) = (terms.class.clone(), self.under_way.to_string());
        Beyond { class, limit: Limit::Concurrent, allowed, here, used, wait: SOON }
    }

    /// The minute is used up.
    fn used_up(&self, terms: &Terms, allowed: u32, part: Part, minute: Duration) -> Beyond {
        let share = part.of_rate(allowed);
        let wait = minute.mul_f64(f64::max(1.0 / share - self.left, 0.0)).max(MOMENT);
        // Of a replica that has less than one question a minute it is the one question that is used up.
        let (here, used) = if share < 1.0 {
            (format!("1 in {} minutes", decimal(1.0 / share)), "1".into())
        } else {
            (decimal(share), decimal(((1.0 - self.left) * share).ceil().clamp(0.0, share)))
        };
        let here = (part.replicas > 1).then_some(here);
        Beyond { class: terms.class.clone(), limit: Limit::RequestsPerMinute, allowed, here, used, wait }
    }
}

impl Limit {
    /// How a refusal because of it is counted.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::RequestsPerMinute => "requests_per_minute",
            Self::Concurrent => "concurrent",
        }
    }
}

impl Beyond {
    /// In words: the limit, what is used of it, and the wait.
    pub fn message(&self) -> String {
        let Self { class, allowed, used, .. } = self;
        let here = self.here.as_ref();
        let wait = self.wait.as_secs_f64();
        let s = |number| if number == 1 { "" } else { "s" };
        match self.limit {
            Limit::RequestsPerMinute => {
                let here = here.map(|here| format!(", of which this replica has {here}")).unwrap_or_default();
                let (questions, are) = (s(*allowed), if used == "1" { "is" } else { "are" });
                format!(
                    "Class {class} lets a tenant ask {allowed} question{questions} a minute{here}, and {used} {are} used up; \
                     try again in {wait:.1} s"
                )
            }
            Limit::Concurrent => {
                let here = here.map(|here| format!(", {here} of them at this replica")).unwrap_or_default();
                let (questions, are) = (s(*allowed), if used == "1" { "is" } else { "are" });
                format!(
                    "Class {class} lets a tenant have {allowed} question{questions} under way at once{here}, and {used} {are}; \
                     try again in {wait:.1} s"
                )
            }
        }
    }
}

/// A number with one digit at most behind its point.
pub fn decimal(number: f64) -> String {
    let text = format!("{number:.1}");
    text.strip_suffix(".0").map_or(text.clone(), Into::into)
}

#[cfg(test)]
mod tests;
