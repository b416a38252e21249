//! What things cost while nobody uses them: list prices, as assumptions that a user can replace.

use clap::Args;

/// Hours of a month, as AWS counts them.
const HOURS: f64 = 730.0;
/// Bytes of a gigabyte, as S3 counts them.
const GIGABYTE: f64 = (1_u64 << 30) as f64;

/// Prices in US dollars, those of us-east-1 in 2026 unless said otherwise.
#[derive(Args, Clone, Copy, Debug)]
pub struct Prices {
    /// An OpenSearch compute unit, an hour. <https://aws.amazon.com/opensearch-service/pricing/>
    #[arg(long = "price-ocu-hour", value_name = "USD", default_value_t = 0.24)]
    pub ocu_hour: f64,

    /// A gigabyte in S3 Standard, a month. <https://aws.amazon.com/s3/pricing/>
    #[arg(long = "price-gb-month", value_name = "USD", default_value_t = 0.023)]
    pub gb_month: f64,

    /// A customer key, a month. <https://aws.amazon.com/kms/pricing/>
    #[arg(long = "price-key-month", value_name = "USD", default_value_t = 1.0)]
    pub key_month: f64,
}

impl Prices {
    /// A month of a collection that nobody uses, at the most: 1 OCU, or 2 with standby replicas. Collections under the same
    /// key share that.
    /// <https://docs.aws.amazon.com/opensearch-service/latest/developerguide/serverless-scaling.html>
    pub fn collection(&self, standby_replicas: bool) -> f64 {
        let units = if standby_replicas { 2.0 } else { 1.0 };
        units * self.ocu_hour * HOURS
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
        let prices = Prices { ocu_hour: 0.24, gb_month: 0.023, key_month: 1.0 };
        assert!((prices.collection(true) - 350.4).abs() < 1e-9);
        assert!((prices.collection(false) - 175.2).abs() < 1e-9);
        assert!((prices.bytes(10 << 30) - 0.23).abs() < 1e-9);
        assert!(prices.words().contains("$0.24 an OCU-hour"));
    }
}
