//! The token of the next page. It leaves with the tenantId before it, and comes back for that tenant only.
//!
//! That is a guard against a mistake, and no secret: the gateway has none, so that any of its replicas can read what another
//! gave. What keeps tenants apart is that each passage of each page is held against whoever asks: another's token brings
//! nothing to light.

use super::refusal::Refusal;

/// How long AWS's own token may be.
const TOKEN: usize = 2048;

/// A token of AWS's as it leaves.
pub fn leaving(tenant_id: &str, token: &str) -> String {
    format!("{tenant_id}.{token}")
}

/// AWS's token again, if it was this tenant's.
pub fn back<'a>(tenant_id: &str, token: &'a str) -> Result<&'a str, Refusal> {
    let own = token.strip_prefix(tenant_id).and_then(|rest| rest.strip_prefix('.'));
    let good = |it: &&str| (1..=TOKEN).contains(&it.len()) && it.bytes().all(|byte| byte.is_ascii_graphic());
    own.filter(good).ok_or_else(|| Refusal::invalid("nextToken", "is none that this tenant was given"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_back_to_its_own_tenant() {
        let token = leaving("acme", "Abc+/=.x");
        assert_eq!(back("acme", &token), Ok("Abc+/=.x"));
        for (tenant, token) in [
            ("umbrella", token.as_str()),
            ("acm", token.as_str()),
            ("acme", "Abc+/="),
            ("acme", "acme."),
            ("acme", "acme.a b"),
            ("acme", "acme.a\nb"),
            ("acme", ""),
            ("", "acme.x"),
        ] {
            assert!(back(tenant, token).is_err(), "{tenant} {token:?}");
        }
        assert!(back("acme", &leaving("acme", &"x".repeat(TOKEN))).is_ok());
        assert!(back("acme", &leaving("acme", &"x".repeat(TOKEN + 1))).is_err());
    }
}
