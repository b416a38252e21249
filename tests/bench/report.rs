//! What was measured, beside what it may be: a line `name value bound ok|short` for each figure.

use std::fmt;
use std::path::PathBuf;

use serde_json::json;

/// All that was measured, and what explains it. A line is printed as soon as it is known.
pub struct Report {
    short: usize,
    raw: Vec<serde_json::Value>,
}

/// What a figure may be.
pub enum Bound {
    AtMost(f64),
    AtLeast(f64),
    Exactly(usize),
}

impl Bound {
    fn holds(&self, measured: f64) -> bool {
        match self {
            Self::AtMost(most) => measured <= *most,
            Self::AtLeast(least) => measured >= *least,
            Self::Exactly(count) => measured == *count as f64,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "<={most:.2}"),
            Self::AtLeast(least) => write!(f, ">={least:.2}"),
            Self::Exactly(count) => write!(f, "={count}"),
        }
    }
}

impl Report {
    pub fn new() -> Self {
        Self { short: 0, raw: Vec::new() }
    }

    /// A figure that must keep a bound. Its name is one word in kebab-case; the unit, if it has one, is in the name.
    pub fn judge(&mut self, name: &str, measured: f64, bound: Bound) {
        let word = if bound.holds(measured) { "ok" } else { "short" };
        self.short += usize::from(word == "short");
        let value = match bound {
            Bound::AtMost(_) | Bound::AtLeast(_) => format!("{measured:.2}"),
            Bound::Exactly(_) => format!("{measured:.0}"),
        };
        println!("{name:56} {value:>9} {:>10} {word}", bound.to_string());
        self.raw.push(json!({ "name": name, "value": measured, "bound": bound.to_string(), "result": word }));
    }

    /// What was seen and has no bound: every round of a ratio, and the seconds behind it. Goes to the file of raw figures.
    pub fn raw(&mut self, name: &str, seen: impl serde::Serialize) {
        self.raw.push(json!({ "name": name, "raw": seen }));
    }

    /// What explains a figure to whoever reads the output.
    pub fn note(&mut self, what: impl Into<String>) {
        let what = what.into();
        println!("# {what}");
        self.raw.push(json!({ "note": what }));
    }

    /// Whether everything keeps its bound.
    pub fn holds(&self) -> bool {
        self.short == 0
    }

    /// Writes every figure, one JSON object a line.
    pub fn write(&self) -> anyhow::Result<PathBuf> {
        let path = target().join("bench.jsonl");
        let lines: String = self.raw.iter().map(|figure| format!("{figure}\n")).collect();
        std::fs::write(&path, lines)?;
        Ok(path)
    }
}

/// Where files of a run are.
pub fn target() -> PathBuf {
    let manifest = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target");
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(manifest, PathBuf::from)
}

/// The one in the middle.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}
