//! Why something failed, in one line.

use std::error::Error;

/// An error and its causes, each said once: many repeat those below them.
pub fn causes(error: &dyn Error) -> String {
    let mut said = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !said.contains(&text) {
            said = format!("{said}: {text}");
        }
        next = cause.source();
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{said}")]
    struct Because {
        said: &'static str,
        source: Option<Box<Because>>,
    }

    fn because(causes: &[&'static str]) -> Because {
        let source = (causes.len() > 1).then(|| Box::new(because(&causes[1..])));
        Because { said: causes[0], source }
    }

    #[test]
    fn each_cause_is_said_once() {
        let error = because(&[
            "ServiceError: client error (Connect)",
            "client error (Connect)",
            "refused (os error 111)",
        ]);
        assert_eq!(causes(&error), "ServiceError: client error (Connect): refused (os error 111)");
        assert_eq!(causes(&because(&["alone"])), "alone");
    }
}
