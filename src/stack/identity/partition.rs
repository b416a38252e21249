//! The partitions of AWS: what a region's name says of them, and the domains of their services.

/// The partitions that Tenantry knows, with the domains of their services: over IPv4 alone, and over both.
/// <https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html>
const PARTITIONS: [(&str, &str, &str); 4] = [
    ("aws", "amazonaws.com", "api.aws"),
    ("aws-us-gov", "amazonaws.com", "api.aws"),
    ("aws-cn", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    ("aws-eusc", "amazonaws.eu", "api.amazonwebservices.eu"),
];

/// A partition of AWS that Tenantry does not know: names, endpoints and services there are guesswork.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the partition '{0}' is not one that Tenantry knows: aws, aws-us-gov, aws-cn, aws-eusc")]
pub struct UnknownPartition(String);

/// The partition that a region is in, by its name.
pub fn partition_of(region: &str) -> &'static str {
    const BY_PREFIX: [(&str, &str); 7] = [
        ("cn-", "aws-cn"),
        ("us-gov-", "aws-us-gov"),
        ("eusc-", "aws-eusc"),
        ("us-iso-", "aws-iso"),
        ("us-isob-", "aws-iso-b"),
        ("eu-isoe-", "aws-iso-e"),
        ("us-isof-", "aws-iso-f"),
    ];
    BY_PREFIX.iter().find(|(prefix, _)| region.starts_with(prefix)).map_or("aws", |(_, partition)| partition)
}

/// A partition, if Tenantry knows it.
pub fn known_partition(name: &str) -> Result<&'static str, UnknownPartition> {
    let known = PARTITIONS.iter().find(|(known, ..)| *known == name);
    known.map(|(known, ..)| *known).ok_or_else(|| UnknownPartition(name.into()))
}

/// The domain of a partition's services.
pub fn domain(partition: &str, dual_stack: bool) -> &'static str {
    let (_, domain, dual) =
        PARTITIONS.iter().find(|(known, ..)| *known == partition).unwrap_or(&PARTITIONS[0]);
    if dual_stack { dual } else { domain }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::identity::Scope;

    #[test]
    fn the_region_says_which_partition_it_is_in() {
        for (region, partition) in [
            ("eu-central-1", "aws"),
            ("us-east-1", "aws"),
            ("cn-north-1", "aws-cn"),
            ("us-gov-west-1", "aws-us-gov"),
            ("eusc-de-east-1", "aws-eusc"),
        ] {
            assert_eq!(known_partition(partition_of(region)), Ok(partition));
            let scope = Scope::new("prod", "123456789012", region);
            let arn = format!("arn:{partition}:kms:{region}:123456789012:key/k");
            assert_eq!(scope.arn("kms", "key/k"), arn);
            assert_eq!((scope.permissions_boundary, scope.operator), (None, None));
        }
    }

    #[test]
    fn no_partition_is_taken_for_another() {
        for region in ["us-iso-east-1", "us-isob-east-1", "eu-isoe-west-1", "us-isof-south-1"] {
            let partition = partition_of(region);
            assert_eq!(known_partition(partition), Err(UnknownPartition(partition.into())), "{region}");
        }
        let in_partition_of = |arn| Scope::new("prod", "123456789012", "xx-north-1").in_partition_of(arn);
        let sovereign = in_partition_of("arn:aws-eusc:sts::123456789012:assumed-role/r/s").unwrap();
        assert_eq!(sovereign.role_arn("r"), "arn:aws-eusc:iam::123456789012:role/tenantry/prod/r");
        for arn in ["arn:aws-iso:iam::1:root", "arn:aws-new:iam::1:root", "", "nonsense"] {
            in_partition_of(arn).unwrap_err();
        }
        assert_eq!(domain("aws-eusc", false), "amazonaws.eu");
        assert_eq!((domain("aws", false), domain("aws", true)), ("amazonaws.com", "api.aws"));
    }
}
