//! What was measured, beside what it may be.

use std::fmt;

/// All that was measured: what has a bound first, and then what explains it.
#[derive(Default)]
pub struct Report {
    figures: Vec<Figure>,
    notes: Vec<String>,
}

struct Figure {
    what: String,
    measured: f64,
    bound: Bound,
    unit: &'static str,
}

/// What a figure may be.
pub enum Bound {
    AtMost(f64),
    Exactly(usize),
}

impl Figure {
    fn holds(&self) -> bool {
        match self.bound {
            Bound::AtMost(most) => self.measured <= most,
            Bound::Exactly(count) => self.measured == count as f64,
        }
    }
}

impl Report {
    /// A figure that must keep a bound.
    pub fn judge(&mut self, what: impl Into<String>, measured: f64, bound: Bound, unit: &'static str) {
        self.figures.push(Figure { what: what.into(), measured, bound, unit });
    }

    /// What else there is to say.
    pub fn note(&mut self, what: impl Into<String>) {
        self.notes.push(what.into());
    }

    /// Whether everything keeps its bound.
    pub fn holds(&self) -> bool {
        self.figures.iter().all(Figure::holds)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.figures.iter().map(|figure| figure.what.len()).max().unwrap_or(0);
        for figure in &self.figures {
            let verdict = if figure.holds() { "ok    " } else { "BROKEN" };
            let Figure { what, measured, unit, .. } = figure;
            match figure.bound {
                Bound::AtMost(most) => {
                    writeln!(f, "{verdict}  {what:width$}  {measured:9.2} {unit:3}  at most {most:.2}")?;
                }
                Bound::Exactly(count) => {
                    writeln!(f, "{verdict}  {what:width$}  {measured:9.0} {unit:3}  exactly {count}")?;
                }
            }
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "        {note}"))
    }
}

/// The one in the middle.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}
