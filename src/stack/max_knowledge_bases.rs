//! How many knowledge bases a namespace may have: an administrator says so in an annotation of the namespace.

/// The annotation of a Namespace: how many Silo and Bridge tenants it may have, each of which has a knowledge base.
pub const MAX_KNOWLEDGE_BASES: &str = "tenantry.dev/max-knowledge-bases";

/// What the annotation says; none if the account alone sets the limit.
pub fn parse(annotation: Option<&str>) -> Result<Option<usize>, String> {
    let Some(text) = annotation else { return Ok(None) };
    let digits = text.trim();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("'{text}' is no whole number"));
    }
    // A number too large to be one here bounds nothing either.
    Ok(Some(digits.parse().unwrap_or(usize::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_number_is_a_number() {
        assert_eq!(parse(None), Ok(None));
        for (text, number) in
            [("5", 5), ("0", 0), (" 12\n", 12), ("007", 7), ("99999999999999999999999", usize::MAX)]
        {
            assert_eq!(parse(Some(text)), Ok(Some(number)), "{text}");
        }
        for text in ["", " ", "-1", "+5", "5.0", "1e3", "five", "5 6", "٥"] {
            let refused = parse(Some(text)).unwrap_err();
            assert!(refused.contains(&format!("'{text}'")), "{refused}");
        }
    }
}
