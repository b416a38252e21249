//! What things cost while nobody uses them.

use crate::stack::model::observed::Observation;

/// Hours of a month, as AWS counts them.
const HOURS: f64 = 730.0;
/// Bytes of a gigabyte, as S3 counts them.
const GIGABYTE: f64 = (1_u64 << 30) as f64;

/// Prices in US dollars.
#[derive(Clone, Copy, Debug)]
pub struct Prices {
    /// An OpenSearch compute unit, an hour. <https://aws.amazon.com/opensearch-service/pricing/>
    pub ocu_hour: f64,
    /// A gigabyte in S3 Standard, a month. <https://aws.amazon.com/s3/pricing/>
    pub gb_month: f64,
    /// A customer key, a month. <https://aws.amazon.com/kms/pricing/>
    pub key_month: f64,
}

impl Prices {
    /// The list prices of us-east-1 in 2026.
    pub const LIST: Prices = Prices { ocu_hour: 0.24, gb_month: 0.023, key_month: 1.0 };

    /// A month of a collection that nobody uses, at the most: 1 OCU, or 2 with standby replicas. Collections under the same
    /// key share that.
    /// <https://docs.aws.amazon.com/opensearch-service/latest/developerguide/serverless-scaling.html>
    pub fn collection(&self, standby_replicas: bool) -> f64 {
        let units = if standby_replicas { 2.0 } else { 1.0 };
        units * self.ocu_hour * HOURS
    }

    /// A month of the collection that was seen, if there is one.
    pub fn collection_of(&self, observed: &Observation) -> f64 {
        let collection = observed.collection.ours().and_then(|facts| facts.collection.as_ref());
        collection.map_or(0.0, |it| self.collection(it.standby_replicas != "DISABLED"))
    }

    /// A month of the key that was seen, if there is one.
    pub fn key_of(&self, observed: &Observation) -> f64 {
        observed.key.ours().map_or(0.0, |_| self.key_month)
    }

    /// A month of so many bytes.
    pub fn bytes(&self, bytes: u64) -> f64 {
        bytes as f64 / GIGABYTE * self.gb_month
    }

    /// What was assumed, in words.
    pub fn words(&self) -> String {
        let Self { ocu_hour, gb_month, key_month } = self;
        format!("${ocu_hour} an OCU-hour, ${gb_month} a GB-month, ${key_month} a key-month")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_collection_is_what_costs() {
        let prices = Prices::LIST;
        assert!((prices.collection(true) - 350.4).abs() < 1e-9);
        assert!((prices.collection(false) - 175.2).abs() < 1e-9);
        assert!((prices.bytes(10 << 30) - 0.23).abs() < 1e-9);
        assert!(prices.collection_of(&Observation::default()).abs() < f64::EPSILON, "nothing is there");
        assert!(prices.words().contains("$0.24 an OCU-hour"));
    }
}
