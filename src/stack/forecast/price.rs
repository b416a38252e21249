//! What things cost while nobody uses them.

use crate::stack::model::observed::Observation;
use crate::stack::store::StoreFacts;

/// Hours of a month, as AWS counts them.
const HOURS: f64 = 730.0;
/// Bytes of a gigabyte, as S3 counts them.
const GIGABYTE: f64 = (1_u64 << 30) as f64;

/// The least that a call is billed for that puts vectors.
const PUT: f64 = 128.0 * 1024.0;

/// A million questions to S3 Vectors, beside the data that they go through. <https://aws.amazon.com/s3/pricing/>
const MILLION_QUESTIONS: f64 = 2.5;

/// Prices in US dollars.
#[derive(Clone, Copy, Debug)]
pub struct Prices {
    /// An OpenSearch compute unit, an hour. <https://aws.amazon.com/opensearch-service/pricing/>
    pub ocu_hour: f64,
    /// A gigabyte in S3 Standard, a month. <https://aws.amazon.com/s3/pricing/>
    pub gb_month: f64,
    /// A customer key, a month. <https://aws.amazon.com/kms/pricing/>
    pub key_month: f64,
    /// A gigabyte in S3 Vectors, a month. <https://aws.amazon.com/s3/pricing/>
    pub vector_gb_month: f64,
    /// A gigabyte that is put there. <https://aws.amazon.com/s3/pricing/>
    pub vector_gb_put: f64,
}

impl Prices {
    /// The list prices of us-east-1 in 2026.
    pub const LIST: Prices = Prices {
        ocu_hour: 0.24,
        gb_month: 0.023,
        key_month: 1.0,
        vector_gb_month: 0.06,
        vector_gb_put: 0.20,
    };

    /// A month of so many compute units.
    pub fn units(&self, units: f64) -> f64 {
        units * self.ocu_hour * HOURS
    }

    /// A month of the vector store that was seen, if there is one, while nobody uses it.
    pub fn store_of(&self, observed: &Observation) -> f64 {
        self.units(observed.vector_store.ours().map_or(0.0, StoreFacts::idle_units))
    }

    /// A month of the key that was seen, if there is one.
    pub fn key_of(&self, observed: &Observation) -> f64 {
        observed.key.ours().map_or(0.0, |_| self.key_month)
    }

    /// A month of so many bytes.
    pub fn bytes(&self, bytes: u64) -> f64 {
        bytes as f64 / GIGABYTE * self.gb_month
    }

    /// A month of so many bytes of vectors, in a store that bills what is in it.
    pub fn vectors(&self, bytes: u64) -> f64 {
        bytes as f64 / GIGABYTE * self.vector_gb_month
    }

    /// So many vectors put into such a store, if each comes in a call of its own: at the most.
    pub fn puts(&self, vectors: u64) -> f64 {
        vectors as f64 * PUT / GIGABYTE * self.vector_gb_put
    }

    /// What was assumed, in words.
    pub fn words(&self) -> String {
        let Self { ocu_hour, gb_month, key_month, vector_gb_month, vector_gb_put } = self;
        format!(
            "${ocu_hour} an OCU-hour, ${gb_month} a GB-month, ${vector_gb_month} a GB-month of vectors in S3 Vectors and \
             ${vector_gb_put} a GB put there, ${key_month} a key-month; questions are not counted, of which a million to S3 \
             Vectors costs ${MILLION_QUESTIONS} and the data that they go through"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::store::Capacity;

    #[test]
    fn an_idle_collection_is_what_costs() {
        let prices = Prices::LIST;
        let idle = |standby_replicas| Capacity { key: String::new(), standby_replicas }.idle_units();
        assert!((prices.units(idle(true)) - 350.4).abs() < 1e-9);
        assert!((prices.units(idle(false)) - 175.2).abs() < 1e-9);
        assert!((prices.bytes(10 << 30) - 0.23).abs() < 1e-9);
        assert!(prices.store_of(&Observation::default()).abs() < f64::EPSILON, "nothing is there");
        for said in ["$0.24 an OCU-hour", "$0.2 a GB put there", "a million to S3 Vectors costs $2.5 "] {
            assert!(prices.words().contains(said), "{}", prices.words());
        }
    }
}
