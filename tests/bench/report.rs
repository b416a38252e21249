//! What was measured, beside what it may be: a line `name value bound ok|short` for each figure.

use std::fmt;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::{Value, json};

/// All that was measured, and what explains it. A line is printed, and written into the file of raw figures, as soon as it is
/// known.
pub struct Report {
    short: usize,
    path: PathBuf,
    file: File,
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
    /// Of the benches that were named, each of which has its part in the name of the file; of all if none was.
    pub fn new(named: &[String]) -> anyhow::Result<Self> {
        let name: Vec<_> = std::iter::once("bench").chain(named.iter().map(String::as_str)).collect();
        let path = target().join(name.join("-")).with_extension("jsonl");
        let file = File::create(&path).with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(Self { short: 0, path, file })
    }

    /// Where the raw figures are, one JSON object a line.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn write(&mut self, figure: &Value) {
        // A disk that is full is no reason to lose what is printed.
        if let Err(error) = writeln!(self.file, "{figure}") {
            eprintln!("{} cannot be written: {error}", self.path.display());
        }
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
        self.write(&json!({ "name": name, "value": measured, "bound": bound.to_string(), "result": word }));
    }

    /// A bench that did not come to its end is short.
    pub fn failed(&mut self, bench: &str, why: &str) {
        self.short += 1;
        println!("{bench:56} {:>9} {:>10} short", "-", "its end");
        self.note(format!("{bench} did not come to its end: {why}"));
    }

    /// What was seen and has no bound: every round of a ratio, and the seconds behind it. Goes to the file of raw figures.
    pub fn raw(&mut self, name: &str, seen: impl serde::Serialize) {
        self.write(&json!({ "name": name, "raw": seen }));
    }

    /// What explains a figure to whoever reads the output.
    pub fn note(&mut self, what: impl Into<String>) {
        let what = what.into();
        println!("# {what}");
        self.write(&json!({ "note": what }));
    }

    /// Whether everything keeps its bound.
    pub fn holds(&self) -> bool {
        self.short == 0
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

/// The one in the middle of what the first of each pair is of the second.
pub fn median_ratio(pairs: &[[f64; 2]]) -> f64 {
    median(pairs.iter().map(|[of, to]| of / to).collect())
}
