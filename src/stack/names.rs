//! Which names can be whose. What others may have written, such as a tag or a marker, is held to the same patterns as the
//! API server holds a manifest to.

/// `^[a-z0-9]+(-[a-z0-9]+)*$`, at most 63 characters: a tenantId, or a SharedStack's name.
pub(crate) fn is_tenant_id(id: &str) -> bool {
    id.len() <= 63
        && id.split('-').all(|word| {
            !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        })
}

/// Whether a namespace can be called so: an RFC 1123 label.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/>
pub(crate) fn is_label(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !name.is_empty()
        && name.len() <= 63
        && name.bytes().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// Whether a Tenant can be called so: labels with dots between them, 63 characters in all.
pub(crate) fn is_object_name(name: &str) -> bool {
    name.len() <= 63 && name.split('.').all(is_label)
}

/// Whether a bucket can be called so. Nothing else gets into a policy or a call as a bucket's name.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
pub(crate) fn is_bucket(name: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (3..=63).contains(&name.len())
        && name.bytes().all(|b| alphanumeric(b) || b == b'-' || b == b'.')
        && name.bytes().next().is_some_and(alphanumeric)
        && name.bytes().next_back().is_some_and(alphanumeric)
        && !name.contains("..")
}

/// Whether a model can be called so: an id, an inference profile or an ARN, as the API server takes it. A wildcard, or a variable
/// of IAM's, would be any model's name in a policy.
pub(crate) fn is_model(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b"._:/-".contains(&b);
    (1..=2048).contains(&name.len()) && name.bytes().all(inner) && name.as_bytes()[0].is_ascii_alphanumeric()
}

/// Whether an account can have this number: twelve digits.
pub(crate) fn is_account(id: &str) -> bool {
    id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether this is the ARN of something of IAM's that is `role` or `policy`: `arn:<partition>:iam::<account>:<kind>/<path and name>`,
/// without wildcards. AWS's own policies have `aws` in place of an account.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-arns>
pub(crate) fn is_iam_arn(text: &str, kind: &str) -> bool {
    let parts: Vec<_> = text.splitn(6, ':').collect();
    let &["arn", partition, "iam", "", account, thing] = parts.as_slice() else { return false };
    let inner = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@/-".contains(&b);
    let path = thing.strip_prefix(kind).and_then(|path| path.strip_prefix('/'));
    !partition.is_empty()
        && partition.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
        && (is_account(account) || (kind == "policy" && account == "aws"))
        && path.is_some_and(|path| path.bytes().all(inner) && !path.split('/').any(str::is_empty))
}

/// Whether a region can be called so: words and a number between hyphens, such as `eu-central-1` or `us-gov-west-1`. An
/// availability zone is none.
/// <https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html>
pub(crate) fn is_region(name: &str) -> bool {
    let mut parts: Vec<_> = name.split('-').collect();
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_word = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    parts.len() >= 3 && parts.pop().is_some_and(is_number) && parts.iter().all(is_word)
}

/// The regions that there were when this release was made, in the partitions that Tenantry knows.
/// <https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html>
const REGIONS: [&str; 39] = [
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "cn-north-1",
    "cn-northwest-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eusc-de-east-1",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-gov-east-1",
    "us-gov-west-1",
    "us-west-1",
    "us-west-2",
];

/// Whether this release has heard of a region. AWS opens new ones: one that is not known is doubtful, and not wrong.
pub(crate) fn is_known_region(name: &str) -> bool {
    REGIONS.binary_search(&name).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_region_that_is_known_is_overlooked() {
        assert!(REGIONS.is_sorted());
        assert!(REGIONS.iter().all(|region| is_region(region) && is_known_region(region)));
        assert!(!is_known_region("eu-cental-1") && !is_known_region(""));
    }

    #[test]
    fn names_are_what_the_api_server_takes() {
        let (most, more) = ("a".repeat(63), "a".repeat(64));
        for (name, id, label, object) in [
            ("acme", true, true, true),
            ("1e5", true, true, true),
            ("a-b", true, true, true),
            (&most, true, true, true),
            ("a--b", false, true, true),
            ("a.b", false, false, true),
            ("a..b", false, false, false),
            ("a.-b", false, false, false),
            (&more, false, false, false),
            ("", false, false, false),
            ("-a", false, false, false),
            ("a-", false, false, false),
            ("Acme", false, false, false),
            ("a_b", false, false, false),
            ("a b", false, false, false),
            ("a\nb", false, false, false),
            ("a*", false, false, false),
            ("ü", false, false, false),
        ] {
            assert_eq!(
                (is_tenant_id(name), is_label(name), is_object_name(name)),
                (id, label, object),
                "{name:?}"
            );
        }
    }

    #[test]
    fn a_region_and_an_account_are_what_aws_calls_so() {
        for good in
            ["eu-central-1", "us-gov-west-1", "us-isob-east-1", "eusc-de-east-1", "cn-north-1", "a-b-10"]
        {
            assert!(is_region(good), "{good}");
        }
        for bad in [
            "",
            " ",
            "eu-central-1a",
            "EU-Central-1",
            "eu-central",
            "eu--1",
            "1-2-3",
            "eu_central_1",
            "eu-central-1 ",
        ] {
            assert!(!is_region(bad), "{bad:?}");
        }
        assert!(is_account("111122223333"));
        for bad in ["", "11112222333", "1111222233334", "11112222333a", "*"] {
            assert!(!is_account(bad), "{bad:?}");
        }
    }

    #[test]
    fn no_name_of_a_model_is_more_than_one_model() {
        for good in [
            "amazon.nova-pro-v1:0",
            "eu.amazon.nova-pro-v1:0",
            "arn:aws:bedrock:eu-central-1:111122223333:custom-model/x/1",
            "m",
        ] {
            assert!(is_model(good), "{good}");
        }
        for bad in
            ["", "*", "arn:*", "amazon.?", "${aws:username}", "a b", "a\n", "-a", "arn:aws:bedrock:*::x", "ä"]
        {
            assert!(!is_model(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_bucket_has_the_name_of_one() {
        let most = "a".repeat(63);
        for good in ["abc", "acme-rag.records", "prod-records-111122223333-eu-central-1-an", most.as_str()] {
            assert!(is_bucket(good), "{good}");
        }
        let more = "a".repeat(64);
        for bad in [
            "",
            "ab",
            more.as_str(),
            "prod-*",
            "a?c",
            "Abc",
            "-abc",
            "abc-",
            "a..c",
            "a/b",
            "a b",
            "arn:aws:s3:::abc",
        ] {
            assert!(!is_bucket(bad), "{bad}");
        }
    }
}
