//! Where a service is that no SDK client asks.

use aws_config::SdkConfig;
use aws_types::service_config::ServiceConfigKey;

use crate::stack::identity;

/// The address of a service, without a slash at its end: what the environment or the profile names for it, or for all, and
/// else AWS's own. `id` is the service's name in AWS's model, `host` the first part of its host name.
pub(super) fn endpoint(config: &SdkConfig, id: &str, host: &str) -> String {
    let key =
        ServiceConfigKey::builder().service_id(id).env("AWS_ENDPOINT_URL").profile("endpoint_url").build();
    let named = key.ok().and_then(|key| config.service_config()?.load_config(key));
    if let Some(url) = named.as_deref().or(config.endpoint_url()) {
        return url.trim_end_matches('/').into();
    }
    let region = config.region().map(ToString::to_string).unwrap_or_default();
    let fips = if config.use_fips() == Some(true) { "-fips" } else { "" };
    let domain = identity::domain(identity::partition_of(&region), config.use_dual_stack() == Some(true));
    format!("https://{host}{fips}.{region}.{domain}")
}

#[cfg(test)]
mod tests {
    use aws_types::region::Region;

    use super::*;

    #[test]
    fn a_service_is_where_the_region_has_it_unless_somebody_names_another_place() {
        let of = |fips, dual_stack, named: Option<&str>| {
            let config = SdkConfig::builder().region(Region::new("eu-central-1"));
            let mut config = config.use_fips(fips).use_dual_stack(dual_stack);
            config.set_endpoint_url(named.map(str::to_owned));
            endpoint(&config.build(), "Bedrock Agent Runtime", "bedrock-agent-runtime")
        };
        assert_eq!(of(false, false, None), "https://bedrock-agent-runtime.eu-central-1.amazonaws.com");
        assert_eq!(of(true, false, None), "https://bedrock-agent-runtime-fips.eu-central-1.amazonaws.com");
        assert_eq!(of(false, true, None), "https://bedrock-agent-runtime.eu-central-1.api.aws");
        assert_eq!(of(true, true, Some("http://127.0.0.1:4566/")), "http://127.0.0.1:4566");
    }
}
