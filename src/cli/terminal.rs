//! What others wrote, such as a document's text or its key, shown to a person: it says what it says, and tells the terminal
//! nothing.

use std::borrow::Cow;
use std::io::{self, Write};

/// The escape character. What formats a log's line colours with it.
const ESCAPE: char = '\u{1b}';

/// Whether a character does something other than to be seen: controls, of which C1's are also begun by ESC, and what changes the
/// direction of the text around it.
fn commands(c: char) -> bool {
    let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns
}

/// The same text with such characters as JSON has them, lines and tabs apart. JSON stays JSON.
pub(super) fn harmless(text: &str) -> Cow<'_, str> {
    escaped(text, |c| commands(c) && !matches!(c, '\n' | '\t'))
}

/// Says something beside the answer of a command.
pub(super) fn note(text: &str) {
    eprintln!("{}", harmless(text));
}

fn escaped(text: &str, is_harmful: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_harmful) {
        return text.into();
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' if is_harmful(c) => safe.push_str("\\n"),
            c if is_harmful(c) => safe.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => safe.push(c),
        }
    }
    safe.into()
}

/// A log in which each event is one line, whatever it tells of. The subscriber writes an event at once.
pub(super) struct OneLineEach<W>(pub(super) W);

impl<W: Write> Write for OneLineEach<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let line = escaped(line, |c| commands(c) && !matches!(c, '\t' | ESCAPE));
        self.0.write_all(format!("{line}\n").as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn what_a_document_says_tells_the_terminal_nothing() {
        for (text, shown) in [
            ("plain\n\ttext, äöü 漢字 🙂", "plain\n\ttext, äöü 漢字 🙂"),
            ("\u{1b}]0;owned\u{7}\u{1b}[2J", "\\u001b]0;owned\\u0007\\u001b[2J"),
            ("a\rb\u{9b}31mc\u{7f}", "a\\u000db\\u009b31mc\\u007f"),
            ("pool/acme/\u{202e}dm.exe", "pool/acme/\\u202edm.exe"),
        ] {
            assert_eq!(harmless(text), shown);
        }
        let json = serde_json::to_string(&"\u{9b}1m").unwrap();
        assert_eq!(
            serde_json::from_str::<String>(&harmless(&json)).unwrap(),
            "\u{9b}1m",
            "JSON says the same"
        );
    }

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// S23: a key with a line break in it forged a line of the log.
    #[test]
    fn no_key_forges_a_line_of_the_log() {
        let (kept, forged) = (Kept::default(), "pool/acme/x\n2026-01-01T00:00:00Z  INFO all is well\r");
        let writer = kept.clone();
        let logs = tracing_subscriber::fmt().with_writer(move || OneLineEach(writer.clone())).with_ansi(true);
        tracing::subscriber::with_default(logs.finish(), || {
            tracing::warn!(key = %forged, "it was refused: {forged}");
            tracing::warn!("the next");
        });
        let log = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<_> = log.lines().collect();
        assert_eq!(lines.len(), 2, "{log}");
        assert!(
            lines[0].contains("x\\n2026") && lines[0].contains(ESCAPE),
            "it is whole, and in colours: {log}"
        );
    }
}
